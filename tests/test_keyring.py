import pickle

import pytest

from support.keys import access_key, certificate
from token_authority_server.errors import Reason, Refusal
from token_authority_server.keyring import Keyring, Project, Secret


def test_a_secret_shows_nothing() -> None:
    secret = Secret("hunter2")
    for text in (repr(secret), str(secret), f"{secret}", repr(certificate()), repr(access_key())):
        assert "hunter2" not in text
        assert secret.reveal() == "hunter2"
    assert "5CFd" not in repr(certificate())
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_an_unnamed_project_is_the_only_one() -> None:
    only = Project("only", (certificate(),))
    assert Keyring([only]).project("") is only
    with pytest.raises(Refusal) as caught:
        Keyring([only, Project("other", ())]).project("")
    assert caught.value.reason is Reason.INVALID_REQUEST
    assert [violation.field for violation in caught.value.violations] == ["project"]
