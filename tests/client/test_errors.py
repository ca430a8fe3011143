import pickle
from datetime import timedelta

import pytest

from token_authority_client import (
    FieldViolation,
    InvalidRequest,
    PermissionDenied,
    TokenAuthorityError,
)
from token_authority_client._errors import BY_CODE, BY_REASON
from token_authority_server.errors import Code, Reason


def test_errors_survive_pickling_whole() -> None:
    error = InvalidRequest(
        "uid must be …",
        reason="INVALID_REQUEST",
        advice="set it",
        metadata={"fields": "uid"},
        violations=[FieldViolation("uid", "REQUIRED", "must be set")],
        retry_after=timedelta(seconds=2),
    )
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert type(copy) is InvalidRequest
    assert str(copy) == str(error)
    assert copy.__dict__ == error.__dict__


@pytest.mark.parametrize("code", BY_CODE)
def test_every_error_has_its_code_and_one_base(code: str) -> None:
    assert BY_CODE[code].code == code
    assert issubclass(BY_CODE[code], TokenAuthorityError)


def test_an_invalid_request_is_a_value_error() -> None:
    assert issubclass(InvalidRequest, ValueError)
    assert not issubclass(PermissionDenied, ValueError)


def test_a_denial_names_the_grant_that_comes_closest() -> None:
    error = PermissionDenied("no", metadata={"grant": "teach", "missing": "channels"})
    assert (error.nearest_grant, error.missing) == ("teach", "channels")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert copy.nearest_grant == "teach"
    assert (PermissionDenied("no").nearest_grant, PermissionDenied("no").missing) == ("", "")


@pytest.mark.parametrize("reason", BY_REASON)
def test_what_has_an_exception_of_its_own_is_still_what_it_was(reason: str) -> None:
    assert issubclass(BY_REASON[reason], BY_CODE[BY_REASON[reason].code])
    assert BY_REASON[reason].code == Reason[reason].code


def test_every_status_code_of_the_server_has_an_exception() -> None:
    assert {code.value for code in Code} <= set(BY_CODE)
