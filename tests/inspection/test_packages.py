"""Tokens of Agora's npm packages that users reported, and what is said about them.

Made by tests/npm/build.js at a moment of our choice.
"""

from collections.abc import AsyncGenerator, Mapping
from types import SimpleNamespace
from typing import Any, Final

import pytest

from differential.drawing import Call
from differential.node import Node, node
from inspection.tokens import DAY, HOUR, NOW, ROOM, inspect
from inspection.trials import CHAT_UUID, uuid_1
from support.installing import npm_install
from support.keys import ACCESS_KEY, APP_ID, CERTIFICATE, CHANCE, NONCE, NOW_MS, SECRET_KEY
from token_authority_server.families import Moment
from token_authority_server.inspection import Inspection, Severity

IDS: Final = [APP_ID, CERTIFICATE]
RTC: Final = "007.RtcTokenBuilder.buildTokenWithUserAccount"
RTC_006: Final = "006.RtcTokenBuilder.buildTokenWithUid"
RAW_006: Final = "raw.token.privileges006"
ROOM_TOKEN: Final = "netless.token.roomToken"  # not a secret


@pytest.fixture
async def builder() -> AsyncGenerator[Node]:
    npm_install()
    async with node() as packages:
        yield packages


def moment(now_ms: int = NOW_MS) -> Moment:
    return Moment(now_ms, 1, CHANCE)


def told(inspection: Inspection) -> tuple[list[str], list[str]]:
    """Returns the reasons of errors and of warnings."""
    by_severity: Mapping[Severity, list[str]] = {severity: [] for severity in Severity}
    for finding in inspection.findings:
        by_severity[finding.severity].append(finding.reason.value)
    return by_severity[Severity.ERROR], by_severity[Severity.WARNING]


def pattern(channel: str, user: str) -> list[Any]:
    return [*IDS, channel, user, 1, HOUR, HOUR]


OLD: Final = ["LEGACY_FORMAT_006"]
CASES: Final[Mapping[str, tuple[str, list[Any], dict[str, Any], list[str], list[str]]]] = {
    "D1 Chat UUID, logged in by name": (
        "007.ChatTokenBuilder.buildUserToken",
        [*IDS, CHAT_UUID, HOUR],
        {"user_account": "alice"},
        [],
        ["CHAT_USER_ID_FORM"],
    ),
    "D1 Chat UUID": (
        "007.ChatTokenBuilder.buildUserToken",
        [*IDS, CHAT_UUID, HOUR],
        {"user_account": CHAT_UUID},
        [],
        [],
    ),
    "D2 user in both places": (
        RAW_006,
        [*IDS, "alice", "alice", {1000: NOW + HOUR}],
        {"user_account": "alice", "error": "5"},
        ["RTM_USER_MISPLACED"],
        OLD,
    ),
    "D2 user behind the channel": (
        RAW_006,
        [*IDS, "lesson-1", "alice", {1000: NOW + HOUR}],
        {"user_account": "alice", "channel_name": "lesson-1", "error": "5"},
        ["RTM_USER_MISPLACED"],
        OLD,
    ),
    "D2 RtmTokenBuilder": (
        "006.RtmTokenBuilder.buildToken",
        [*IDS, "alice", 1, NOW + HOUR],
        {"user_account": "alice"},
        [],
        OLD,
    ),
    "D3 expiry 0": (
        RTC_006,
        [*IDS, "lesson-1", 7, 1, 0],
        {"channel_name": "lesson-1", "uid": 7},
        [],
        [*OLD, "ZERO_LIFE"],
    ),
    "D8 empty channel": (
        RTC_006,
        [*IDS, "", 7, 1, NOW + HOUR],
        {"channel_name": "lesson-1", "uid": 7},
        ["CHANNEL_EMPTY"],
        OLD,
    ),
    "D14 a lifetime as expiry": (
        RTC_006,
        [*IDS, "lesson-1", 7, 1, HOUR],
        {"channel_name": "lesson-1", "uid": 7},
        ["SECONDS_AS_EPOCH"],
        OLD,
    ),
    "D14 an end before the issue": (
        RTC_006,
        [*IDS, "lesson-1", 7, 1, NOW - DAY],
        {"channel_name": "lesson-1", "uid": 7},
        ["ENDS_BEFORE_ISSUE"],
        OLD,
    ),
    **{
        f"D15 channel {channel!r} of user {user!r}": (
            RTC,
            pattern(channel, user),
            {"channel_name": joined, "uid": 1772},
            [],
            [expected],
        )
        for channel, user, joined, expected in (
            ("lesson-*", "1772", "lesson-9", "WILDCARD_PATTERN"),
            ("1*a*2", "1772", "1-a-2", "WILDCARD_PATTERN"),
            ("", "1772", "lesson-9", "WILDCARD_CHANNEL"),
            ("lesson-9", "*", "lesson-9", "WILDCARD_PATTERN"),
            ("lesson-9", "1*2", "lesson-9", "WILDCARD_PATTERN"),
        )
    },
    "D15 a pattern that does not match": (
        RTC,
        pattern("lesson-*", "1772"),
        {"channel_name": "exam-1", "uid": 1772},
        ["WRONG_CHANNEL"],
        ["WILDCARD_PATTERN"],
    ),
    "D16 a room with dashes": (
        ROOM_TOKEN,
        [ACCESS_KEY, SECRET_KEY, HOUR * 1000, {"role": "1", "uuid": ROOM}],
        {"room_uuid": f"{ROOM[:8]}-{ROOM[8:12]}-{ROOM[12:16]}-{ROOM[16:20]}-{ROOM[20:]}"},
        [],
        ["ROOM_SPELLING"],
    ),
}


@pytest.mark.parametrize(("name", "args", "use", "errors", "warnings"), CASES.values(), ids=CASES)
async def test_a_reported_token(
    builder: Node,
    name: str,
    args: list[Any],
    use: dict[str, Any],
    errors: list[str],
    warnings: list[str],
) -> None:
    inspection = inspect(await builder.build(Call(name, args), moment()), **use)
    assert inspection.signature.verdict == "valid"
    assert told(inspection) == (errors, warnings)


@pytest.mark.parametrize(
    ("lifespan_ms", "nonce_ms", "reason"),
    [
        (HOUR, NOW_MS, "LIFESPAN_IN_SECONDS"),
        (HOUR * 1000, NOW_MS, None),
        (NOW_MS + HOUR * 1000, NOW_MS, "EPOCH_AS_LIFESPAN"),
        (NOW_MS + HOUR * 1000, None, "EPOCH_AS_LIFESPAN"),
    ],
)
async def test_units_of_a_whiteboard_lifespan(
    builder: Node, lifespan_ms: int, nonce_ms: int | None, reason: str | None
) -> None:
    nonce = NONCE if nonce_ms is None else uuid_1(nonce_ms)
    call = Call(ROOM_TOKEN, [ACCESS_KEY, SECRET_KEY, lifespan_ms, {"role": "1", "uuid": ROOM}])
    # A Moment's own nonce is always of version 4.
    pinned: Any = SimpleNamespace(now_ms=NOW_MS, salt=1, nonce=nonce)
    token = await builder.build(call, pinned)
    # A minute later, the one with an hour in the wrong unit has expired.
    findings = inspect(token, now_ms=NOW_MS + 60_000).findings
    assert [finding.reason.value for finding in findings] == [reason] * (reason is not None)


async def test_a_character_added_to_a_signature(builder: Node) -> None:
    token = await builder.build(Call(RTC_006, [*IDS, "lesson-1", 7, 1, NOW + HOUR]), moment())
    for at in range(40, 80):
        findings = inspect(token[:at] + "x" + token[at:]).findings
        assert findings[0].reason == "DAMAGED"
        assert "lost or added" in findings[0].problem
    assert inspect(token[:-9]).findings[0].problem == "The end of the token is missing."


async def test_header_and_finding_name_the_same_end(builder: Node) -> None:
    """RTC ends before RTM: one definition of expired, per service."""
    args = [*IDS, "lesson-1", "alice", 1, 2 * HOUR, HOUR, HOUR, HOUR, HOUR, "alice", 2 * HOUR]
    token = await builder.build(Call("007.RtcTokenBuilder.buildTokenWithRtm2", args), moment())
    late = inspect(token, now_ms=NOW_MS + 3 * HOUR * 1000)
    assert late.time_summary == "issued 3 h ago, RTC expired 2 h ago, RTM expired 1 h ago"
    (finding,) = [one for one in late.findings if one.reason == "EXPIRED"]
    assert finding.problem.startswith("The token had expired 2 h before it was used: it was valid ")
    assert "RTM ended at 2023-11-15 00:13:20 UTC" in finding.problem
    between: dict[str, Any] = {"now_ms": NOW_MS + 90 * 60_000}
    assert inspect(token, **between).expired
    for_rtm = inspect(token, **between, user_account="alice", product="rtm")
    assert not for_rtm.expired
    assert for_rtm.time_summary == "issued 1 h 30 m ago, expires in 29 m 59 s"
