"""Asks a server for a token of every shape, with whatever client is installed.

    python issue_all.py TARGET

prints a JSON line for each: the arguments, the token, and for Agora's builders what the token must
hold. Runs in environments that have the wheel and nothing of the project's tests.
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
    """Every user with every right, in both formats, and what only 007 can do."""
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
    """Every scope with every role and every end."""
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
    """Holds that what is asked for inside is refused, with details that can be read."""
    try:
        yield
    except InvalidRequest as error:
        violations = error.violations
    else:
        raise SystemExit("uid 0 was not refused")
    if violations[0].field != "uid":
        raise SystemExit(f"uid 0 was refused for {violations}")


async def main(target: str) -> None:
    """Asks, half with the one client, half with the other, and is refused by both once."""
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
