from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from token_authority_cli.first_token import request_for
from token_authority_client import AuthorityInfo, CallerLimits, Grant


def info(**grant: Any) -> AuthorityInfo:
    known: dict[str, Any] = {
        "name": "g",
        "project": "p",
        "tokens": (),
        "roles": (),
        "channels": (),
        "users": (),
        "rooms": (),
        "default_ttl": None,
        "max_ttl": timedelta(hours=1),
        "clamp_ttl": False,
        "allow": (),
    }
    limits = CallerLimits((), 0, 1, 1)
    grants = (Grant(**{**known, **grant}),)
    return AuthorityInfo("c", "i", grants, "", limits, "1", datetime.now(UTC))


@pytest.mark.parametrize(
    ("grant", "method", "asked"),
    [
        (
            {"tokens": ("rtc",), "channels": ("lesson-*",), "users": ("uid:*",), "roles": ("*",)},
            "IssueRtcToken",
            {"project": "p", "channel_name": "lesson-doctor", "uid": 1, "role": 2},
        ),
        (
            {"tokens": ("*",), "users": ("account:al*",), "roles": ("pub*",)},
            "IssueRtcToken",
            {"channel_name": "doctor", "user_account": "aldoctor", "role": 1},
        ),
        ({"tokens": ("rtc",), "users": ("uid:7",)}, "IssueRtcToken", {"uid": 7}),
        ({"tokens": ("rtm",), "users": ("account:al",)}, "IssueRtmToken", {"user_id": "al"}),
        ({"tokens": ("rtm",), "users": ("uid:*",)}, "IssueRtmToken", {"user_id": "1"}),
        ({"tokens": ("chat.user",)}, "IssueChatToken", {"project": "p"}),
        (
            {"tokens": ("whiteboard.*",), "rooms": ("r-*",), "roles": ("writer",)},
            "IssueWhiteboardToken",
            {"role": 2},
        ),
    ],
)
def test_a_request_that_the_grant_covers(
    grant: dict[str, Any], method: str, asked: dict[str, Any]
) -> None:
    request = request_for(info(**grant))
    assert request is not None
    assert request.method == method
    assert {name: getattr(request.message, name) for name in asked} == asked


def test_without_grants_there_is_nothing_to_ask_for() -> None:
    assert request_for(info(tokens=("rtc+", "fpa"))) is None


def test_a_server_that_says_nothing_is_asked_for_the_most_common() -> None:
    request = request_for(None)
    assert request is not None
    assert request.method == "IssueRtcToken"
