"""Every reason for a refusal is provoked through the wire: here, or in the test that is named."""

from typing import Any, Final

import pytest

from support import granting
from support.naming import source_of
from support.serving import refused, running
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, AnyUser, IssueRtcTokenRequest
from token_authority.v1.whiteboard_pb2 import (
    WHITEBOARD_ROLE_ADMIN,
    IssueWhiteboardTokenRequest,
    NonExpiring,
    WhiteboardSdkScope,
)
from token_authority_server.errors import Reason
from token_authority_server.rpc.status import status_code


def rtc(**fields: Any) -> IssueRtcTokenRequest:
    request = {"channel_name": "c", "uid": 1, "role": RTC_ROLE_PUBLISHER, **fields}
    return IssueRtcTokenRequest(**request)


def sdk(**fields: Any) -> IssueWhiteboardTokenRequest:
    return IssueWhiteboardTokenRequest(
        sdk=WhiteboardSdkScope(), role=WHITEBOARD_ROLE_ADMIN, **fields
    )


def all_of(project: str = "classroom", **changes: Any) -> Any:
    return granting.callers(granting.caller(granting.everything(project, **changes)))


LONG: Final = rtc()
LONG.ttl.FromSeconds(7200)
ANYBODY: Final = IssueRtcTokenRequest(channel_name="c", any_user=AnyUser(), role=RTC_ROLE_PUBLISHER)
PROVOKED: Final[dict[Reason, tuple[Any, str, Any]]] = {
    Reason.INVALID_REQUEST: (all_of(), "IssueRtcToken", IssueRtcTokenRequest()),
    Reason.GRANT_MISSING: (all_of(channels=("d",)), "IssueRtcToken", rtc()),
    Reason.TTL_FORBIDDEN: (all_of(max_ttl="1h"), "IssueRtcToken", LONG),
    Reason.NON_EXPIRING_FORBIDDEN: (
        all_of(allow=()),
        "IssueWhiteboardToken",
        sdk(non_expiring=NonExpiring()),
    ),
    Reason.WILDCARD_FORBIDDEN: (all_of(allow=()), "IssueRtcToken", ANYBODY),
    Reason.SDK_SCOPE_FORBIDDEN: (
        granting.callers(
            granting.caller(
                {
                    "name": "rooms",
                    "project": "classroom",
                    "tokens": ("whiteboard.room",),
                    "roles": ("*",),
                    "rooms": ("*",),
                }
            )
        ),
        "IssueWhiteboardToken",
        sdk(),
    ),
    Reason.NO_ACTIVE_KEY: (all_of("retired"), "IssueRtcToken", rtc()),
    Reason.PROJECT_LACKS_PRODUCT: (all_of("whiteboard-only"), "IssueRtcToken", rtc()),
}
ELSEWHERE: Final = {
    Reason.CREDENTIAL_MISSING: "tests/rpc/test_authentication.py::"
    "test_a_call_without_a_credential_is_refused_with_the_accepted_schemes",
    Reason.CREDENTIAL_INVALID: "tests/rpc/test_authentication.py::"
    "test_wrong_keys_are_refused_in_the_same_words",
    Reason.CREDENTIAL_EXPIRED: "tests/rpc/test_authentication.py::"
    "test_an_expired_jwt_is_named_so_only_if_its_signature_is_valid",
    Reason.CREDENTIAL_UNVERIFIABLE: "tests/rpc/test_authentication.py::"
    "test_a_provider_that_is_down_at_first_is_logged_and_retried",
    Reason.BATCH_EXCEEDS_LIMIT: "tests/rpc/test_limits.py::"
    "test_a_batch_that_can_never_pass_is_not_to_be_retried",
    Reason.DENIED: "tests/rpc/test_denials.py::test_denied_tokens_are_refused_and_others_issued",
    Reason.RATE_LIMITED: "tests/rpc/test_limits.py::"
    "test_a_caller_that_has_had_its_tokens_is_told_when_to_retry",
    Reason.TOO_MANY_IN_FLIGHT: "tests/rpc/test_limits.py::test_calls_under_way_are_bounded",
    Reason.AUDIT_UNAVAILABLE: "tests/rpc/full_disk.py::main",
    Reason.DRAINING: "tests/rpc/test_server.py::"
    "test_a_call_in_progress_at_the_end_of_the_grace_is_refused_with_draining",
    Reason.INTERNAL_ERROR: "tests/rpc/test_methods.py::test_a_defect_shows_an_id_and_nothing_else",
}


def test_every_reason_is_provoked() -> None:
    assert set(PROVOKED) | set(ELSEWHERE) == set(Reason)
    for reason, name in ELSEWHERE.items():
        assert reason in source_of(name)


@pytest.mark.parametrize("reason", PROVOKED)
async def test_a_reason_through_the_wire(reason: Reason) -> None:
    who, method, request = PROVOKED[reason]
    async with running(who=who) as server:
        refusal = await refused(getattr(server.stub, method)(request))
        assert (refusal.reason, refusal.code) == (reason, status_code(reason))
        assert server.log[-1]["reason"] == reason
