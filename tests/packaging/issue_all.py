"""Requests tokens of every shape from a server, with the installed client.

    python issue_all.py TARGET

prints a JSON line for each: the arguments, the token, and for Agora's builders the expected
content. It runs in environments with the wheel but without the project's tests.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Generator
from datetime import timedelta
from typing import Any

from builders import BUILDERS  # type: ignore[import-not-found]  # beside this script

from token_authority_client import (
    AsyncTokenAuthorityClient,
    InvalidRequest,
    RtcPrivileges,
    RtmLogin,
    TokenAuthorityClient,
)

MINUTE = timedelta(minutes=1)
USERS: list[dict[str, Any]] = [
    {"uid": 1},
    {"uid": 4294967295},
    {"user_account": "alice +&%"},
    {"user_account": "0"},
    {"any_user": True},
]
RIGHTS: list[dict[str, Any]] = [
    {"role": "publisher"},
    {"role": "subscriber"},
    {"privileges": RtcPrivileges(join_channel=2 * MINUTE, publish_video=MINUTE)},
]
ENDS: list[dict[str, Any]] = [{"ttl": timedelta(milliseconds=1500)}, {"non_expiring": True}, {}]


def rtc_arguments() -> list[dict[str, Any]]:
    """Returns every user with all privileges, in both formats, and what only 007 supports."""
    several: list[dict[str, Any]] = [
        {"channel": "a b~!#$%&()+-:;<=.>?@[]^_{}|,", "format": form, **user, **rights}
        for form in ("006", "007")
        for user in USERS
        for rights in RIGHTS
    ]
    return [
        *several,
        {"any_channel": True, "uid": 7, "role": "publisher"},
        {"channel": "c", "uid": 7, "role": "publisher", "rtm": RtmLogin("al ice", MINUTE)},
    ]


def whiteboard_arguments() -> list[dict[str, Any]]:
    """Returns every scope with every role and expiration."""
    scopes: list[dict[str, Any]] = [{"room": "4a50cb3b-6a0c"}, {"task": "t_1"}, {"sdk": True}]
    return [
        {"role": role, **scope, **end}
        for role in ("admin", "writer", "reader")
        for scope in scopes
        for end in ENDS
    ]


RTM_006: dict[str, Any] = {"user_id": "al ice", "ttl": MINUTE, "format": "006"}


NOBODY: dict[str, Any] = {"channel": "c", "uid": 0, "role": "publisher"}


def show(arguments: dict[str, Any], token: str, **more: object) -> None:
    """Prints a line."""
    print(json.dumps({"arguments": arguments, "token": token, **more}, default=repr))


@contextlib.contextmanager
def refused() -> Generator[None]:
    """Checks that the request in the block is rejected with readable details."""
    try:
        yield
    except InvalidRequest as error:
        violations = error.violations
    else:
        raise SystemExit("uid 0 was not refused")
    if violations[0].field != "uid":
        raise SystemExit(f"uid 0 was refused for {violations}")


async def main(target: str) -> None:
    """Sends one half of the requests with each client, and an invalid one with both."""
    async with AsyncTokenAuthorityClient(target) as client:
        with refused():
            await client.issue_rtc_token(**NOBODY)
        for arguments in rtc_arguments():
            show(arguments, (await client.issue_rtc_token(**arguments)).token)
        show(RTM_006, (await client.issue_rtm_token(**RTM_006)).token)
        for builder in BUILDERS:
            issued = await getattr(client, builder.method)(**builder.arguments)
            show({}, issued.token, builder=builder._asdict())
    with TokenAuthorityClient(target) as blocking:
        with refused():
            blocking.issue_rtc_token(**NOBODY)
        for arguments in whiteboard_arguments():
            show(arguments, blocking.issue_whiteboard_token(**arguments).token)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
