import pickle

import pytest

from support.keys import access_key, certificate
from token_authority_server.keyring import Secret


def test_a_secret_shows_nothing() -> None:
    secret = Secret("hunter2")
    for text in (repr(secret), str(secret), f"{secret}", repr(certificate()), repr(access_key())):
        assert "hunter2" not in text
        assert secret.reveal() == "hunter2"
    assert "5CFd" not in repr(certificate())
    with pytest.raises(TypeError):
        pickle.dumps(secret)
