import dataclasses
import pickle
from typing import Any, cast

import pytest

from support.keys import (
    CERTIFICATE,
    OLD_CERTIFICATE,
    SECRET_KEY,
    access_key,
    certificate,
)
from token_authority_server.errors import Reason, Refusal
from token_authority_server.formats.access_token_007 import second_key
from token_authority_server.formats.packing import FormatError
from token_authority_server.keyring import (
    AccessKey,
    AppCertificate,
    Keyring,
    KeyState,
    Project,
    Secret,
)


def test_a_secret_shows_nothing() -> None:
    secret = Secret("hunter2")
    for text in (repr(secret), str(secret), f"{secret}", repr(certificate()), repr(access_key())):
        assert "hunter2" not in text
        assert secret.reveal() == "hunter2"
    assert "5CFd" not in repr(certificate())
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_the_key_of_a_second_is_derived_from_this_certificate_and_second() -> None:
    old, new = certificate(secret=OLD_CERTIFICATE), certificate()
    # Back and forth: the last second and key are remembered.
    for issued_at in (7, 7, 8, 7, 0, 2**32 - 1):
        for key, secret in ((old, OLD_CERTIFICATE), (new, CERTIFICATE)):
            assert key.second_key(issued_at) == second_key(secret, issued_at)
    assert dataclasses.replace(new, certificate=old.certificate).second_key(7) == old.second_key(7)
    # What is remembered is neither compared nor shown.
    assert new == dataclasses.replace(new)
    assert repr(new) == repr(certificate())
    for issued_at in (-1, 2**32):
        with pytest.raises(FormatError):
            new.second_key(issued_at)


def test_the_key_of_a_second_is_derived_once() -> None:
    key = certificate()
    assert key.second_key(7) is key.second_key(7)


class CountedProject:
    """A project that counts how often any of its kind is looked at."""

    looks = 0

    def __init__(self, name: str) -> None:
        self._project = Project(name, (certificate(f"key-of-{name}"), access_key()))

    def __getattr__(self, attribute: str) -> Any:
        CountedProject.looks += 1
        return getattr(self._project, attribute)


def test_keys_are_looked_up_in_the_named_projects_only() -> None:
    projects = [CountedProject(f"p{number}") for number in range(300)]
    keyring = Keyring(cast("list[Project]", projects))
    CountedProject.looks = 0
    # In the order of the configuration; unknown names have no keys.
    keys = keyring.keys({"p200", "p7", "unknown", "p30"})
    assert CountedProject.looks <= 12
    assert [(name, key.key_id) for name, key in keys] == [
        (name, key_id) for name in ("p7", "p30", "p200") for key_id in (f"key-of-{name}", "ak-1")
    ]
    assert keyring.keys(()) == []


def test_the_active_key_is_that_of_the_product() -> None:
    disabled = certificate("off", OLD_CERTIFICATE, KeyState.DISABLED)
    project = Project("p", (access_key(), disabled, certificate()))
    assert project.active_key(AppCertificate).key_id == "cert-2"
    assert project.active_key(AccessKey).key_id == "ak-1"


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ((), Reason.PROJECT_LACKS_PRODUCT),
        ((access_key(),), Reason.PROJECT_LACKS_PRODUCT),
        ((certificate(state=KeyState.VERIFY_ONLY), access_key()), Reason.NO_ACTIVE_KEY),
        ((certificate(state=KeyState.DISABLED),), Reason.NO_ACTIVE_KEY),
    ],
)
def test_a_project_without_an_active_key_refuses(keys: Any, reason: Reason) -> None:
    with pytest.raises(Refusal) as caught:
        Project("p", keys).active_key(AppCertificate)
    assert caught.value.reason is reason


def test_a_project_is_found_by_its_name() -> None:
    one, other = Project("one", ()), Project("other", ())
    keyring = Keyring([one, other])
    assert (keyring.project("one"), keyring.project("other")) == (one, other)
    with pytest.raises(Refusal) as caught:
        keyring.project("third")
    assert caught.value.reason is Reason.GRANT_MISSING


def test_what_is_confidential_of_a_key_is_its_secret() -> None:
    assert certificate().confidential() == (CERTIFICATE,)
    assert access_key().confidential() == (SECRET_KEY,)


def test_the_remembered_key_of_a_second_is_neither_shown_nor_compared() -> None:
    one = certificate()
    other, shown = dataclasses.replace(one), repr(one)
    one.second_key(1_700_000_000)
    assert repr(one) == shown == repr(other)
    assert one == other
    assert hash(one) == hash(other)
