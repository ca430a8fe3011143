"""Channel keys from both clients and the command line."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final

import pytest

from support import granting
from support.clients import CLIENTS, Either
from support.commands import run
from support.serving import Running, running, serving
from token_authority_client import FailedPrecondition, InvalidRequest, PermissionDenied

GRANT: Final[dict[str, Any]] = {
    "name": "meetings",
    "project": "classroom",
    "tokens": ("channel_key",),
    "channels": ("lesson-*",),
}
MEETING: Final = {"channel": "lesson-1", "key_context": "2026-11-27T09"}


@pytest.fixture
async def meetings() -> AsyncGenerator[Running]:
    async with running(who=granting.callers(granting.caller(GRANT))) as server:
        yield server


@pytest.mark.parametrize("client_type", CLIENTS)
async def test_a_client_gets_a_key_that_its_repr_hides(client_type: Any, meetings: Running) -> None:
    client = Either(client_type(meetings.address, project="classroom"))
    key = await client.issue_channel_key(**MEETING)
    assert (len(key.encryption_key), len(key.salt), key.key_id) == (43, 32, "enc-2")
    assert repr(key) == f"ChannelKey(key_id='enc-2', fingerprint='{key.fingerprint}')"
    assert await client.issue_channel_key(**MEETING, key_id=key.key_id) == key
    with pytest.raises(FailedPrecondition):
        await client.issue_channel_key(**MEETING, key_id="enc-0")
    with pytest.raises(PermissionDenied):
        await client.issue_channel_key(**{**MEETING, "channel": "office"})
    with pytest.raises(InvalidRequest, match="channel must") as caught:
        await client.issue_channel_key(**{**MEETING, "channel": ""})
    assert caught.value.violations[0].field == "channel_name"
    with pytest.raises(InvalidRequest):
        await client.issue_channel_key(**{**MEETING, "key_context": 7})
    await client.close()


async def test_the_command_line_prints_the_key_alone(meetings: Running) -> None:
    arguments = ["--channel", "lesson-1", "--context", "m", "--target", meetings.address]
    ran = await run("issue", "channel-key", *arguments)
    assert ran.code == 0
    assert len(ran.out.strip()) == 43
    assert [line.split(":")[0] for line in ran.err.splitlines()] == ["salt", "key", "print"]
    again, other = await asyncio.gather(
        run("issue", "channel-key", *arguments, "--key-id", "enc-2"),
        run("issue", "channel-key", *arguments, "--key-id", "enc-0"),
    )
    assert again.out == ran.out
    assert (other.code, other.out) == (5, "")


async def test_the_development_server_derives_keys_of_lessons() -> None:
    async with serving("--dev", "--listen", "127.0.0.1:0") as server:
        options = ["--context", "m", "--target", server.address]
        ran, refused = await asyncio.gather(
            run("issue", "channel-key", "--channel", "lesson-1", *options),
            run("issue", "channel-key", "--channel", "office", *options),
        )
    assert (ran.code, len(ran.out.strip())) == (0, 43)
    assert (refused.code, refused.out) == (4, "")
