"""Time to authorize one request, in microseconds.

    python tests/bench/decisions.py

Measures reading a request (`TokenFamily.read`) and finding the grant that covers it
(`Caller.find_grant`). Of 20 grants all but the last are for the same types of token and for other
channels and users, so that each has to be checked.
"""

import statistics
import timeit
from typing import Any, Final

from token_authority.v1.access_token_pb2 import AccessTokenService, IssueAccessTokenRequest
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest, RtmLogin
from token_authority_server.access.callers import Caller
from token_authority_server.config.callers import CallerSettings
from token_authority_server.errors import Refusal
from token_authority_server.families import TokenFamily
from token_authority_server.families.access_token import AccessToken
from token_authority_server.families.rtc import Rtc

COUNT, ROUNDS = 10_000, 9
LIMIT_US: Final = 10
NOW_MS: Final = 1_700_000_000_000
RTC: Final = IssueRtcTokenRequest(channel_name="lesson-1", uid=7, role=RTC_ROLE_PUBLISHER)
WITH_RTM: Final = IssueRtcTokenRequest(
    channel_name="lesson-1", uid=7, role=RTC_ROLE_PUBLISHER, rtm=RtmLogin(user_id="al")
)
COMPOSED: Final = IssueAccessTokenRequest(
    services=[AccessTokenService(rtm={"user_id": f"al-{number}"}) for number in range(4)]  # type: ignore[arg-type]
)
FOREIGN: Final = IssueRtcTokenRequest(channel_name="office", uid=7, role=RTC_ROLE_PUBLISHER)


def grant(name: str, channel: str, users: tuple[str, ...]) -> dict[str, Any]:
    """A grant for one channel, or for those that a pattern matches."""
    return {
        "name": name,
        "project": "classroom",
        "tokens": ("rtc", "rtm", "access_token"),
        "roles": ("publisher", "subscriber"),
        "channels": (channel,),
        "users": users,
    }


def context(count: int) -> Caller:
    """A caller whose last grant covers the requests above."""
    others = [
        grant(f"room-{n}", f"room-{n}-*", ("uid:*", f"account:room-{n}-*"))
        for n in range(count - 1)
    ]
    lessons = grant("lessons", "lesson-*", ("uid:*", "account:al*"))
    row = {"name": "tester", "identities": ("local",), "grants": (*others, lessons)}
    return CallerSettings.model_validate(row).caller()


def microseconds(who: Caller, family: TokenFamily[Any, Any], request: Any) -> float:
    """Times decisions on one request; the median of some rounds."""

    def authorize() -> None:
        try:
            who.find_grant("classroom", family.read(request, NOW_MS))
        except Refusal:
            assert request is FOREIGN

    rounds = timeit.repeat(authorize, number=COUNT, repeat=ROUNDS)
    return statistics.median(rounds) / COUNT * 1e6


if __name__ == "__main__":
    cases: list[tuple[str, TokenFamily[Any, Any], Any]] = [
        ("RTC", Rtc(), RTC),
        ("RTC with an RTM login", Rtc(), WITH_RTM),
        ("a composition of 4 services", AccessToken(), COMPOSED),
        ("RTC, refused and explained", Rtc(), FOREIGN),
    ]
    for title, family, request in cases:
        one, twenty = [microseconds(context(count), family, request) for count in (1, 20)]
        wanted = f" (≤ {LIMIT_US})" if request is RTC else ""
        print(f"{title:28} 1 grant {one:5.1f} µs, 20 grants {twenty:5.1f} µs{wanted}")
