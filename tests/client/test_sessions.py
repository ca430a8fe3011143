import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from support import granting
from support.clients import CLIENTS, Either, answering
from support.decoding import decode
from support.documents import section
from support.keys import ACCESS_KEY, APP_ID, CERTIFICATE, SECRET_KEY
from support.serving import Running, running
from token_authority.v1.batch_pb2 import BatchIssueTokensRequest, BatchIssueTokensResponse
from token_authority.v1.issued_token_pb2 import IssuedToken as IssuedTokenMessage
from token_authority_client import (
    ClientClosed,
    InternalError,
    InvalidRequest,
    PermissionDenied,
    RateLimited,
    Session,
)

README = Path(__file__).parents[2] / "client/README.md"
ROOM = "4a50cb3b6a0c4b5e"
USER: dict[str, Any] = {"channel": "lesson-1", "uid": 7, "role": "publisher"}
ALL = {**USER, "rtm": "ada", "chat": "ada.l", "whiteboard_room": ROOM}
BOARD: dict[str, Any] = {
    "name": "board",
    "project": "classroom",
    "tokens": ("whiteboard.room",),
    "roles": ("*",),
    "rooms": ("*",),
}
TOKENS = ("rtc", "rtm", "chat", "whiteboard")


@pytest.fixture
async def either(client_type: Any, server: Running) -> AsyncGenerator[Either]:
    client = Either(client_type(server.address, project="classroom"))
    yield client
    await client.close()


def issued(server: Running) -> list[int]:
    """The sizes of the batches that were issued."""
    return [line["count"] for line in server.log if line.get("method") == "BatchIssueTokens"]


def lifetimes(session: Session) -> set[timedelta]:
    tokens = [getattr(session, name) for name in TOKENS]
    return {token.expire_time - token.issue_time for token in tokens if token}


async def test_one_call_issues_all_tokens_of_the_user(either: Either, server: Running) -> None:
    session = await either.issue_session(**ALL, ttl=timedelta(minutes=20))
    assert issued(server) == [4]
    assert lifetimes(session) == {timedelta(minutes=20)}
    assert (session.app_id, session.channel, session.uid) == (APP_ID, "lesson-1", 7)
    rtc, rtm, chat = (decode(getattr(session, name).token) for name in TOKENS[:3])
    assert all(token.verifies(CERTIFICATE) for token in (rtc, rtm, chat))
    assert rtc.fields["services"][0]["channel_name"] == "lesson-1"
    assert rtc.fields["services"][0]["uid"] == "7"
    assert set(rtc.fields["services"][0]["privileges"]) == {1, 2, 3, 4}
    assert rtm.fields["services"][0]["user_id"] == "ada"
    assert chat.fields["services"][0]["user_id"] == "ada.l"
    board = decode(session.whiteboard.token)
    assert board.verifies(SECRET_KEY)
    assert (board.fields["ak"], board.fields["uuid"], board.fields["role"]) == (
        ACCESS_KEY,
        ROOM,
        "1",
    )
    assert session.expire_time == min(getattr(session, name).expire_time for name in TOKENS)
    assert session.renew_time == min(getattr(session, name).renew_time for name in TOKENS)
    assert session.issue_time < session.renew_time < session.expire_time


async def test_a_subscriber_only_reads(either: Either) -> None:
    session = await either.issue_session(**{**ALL, "role": "subscriber"})
    assert set(decode(session.rtc.token).fields["services"][0]["privileges"]) == {1}
    assert decode(session.whiteboard.token).fields["role"] == "2"


async def test_products_that_were_not_requested_are_absent(either: Either, server: Running) -> None:
    session = await either.issue_session(**USER)
    assert issued(server) == [1]
    assert (session.rtm, session.chat, session.whiteboard) == (None, None, None)
    assert set(session.to_dict()) == {
        *("app_id", "channel", "uid", "role"),
        *("issue_time", "expire_time", "renew_time", "rtc_token"),
    }


async def test_the_json_form_has_the_tokens_and_the_repr_has_none(either: Either) -> None:
    session = await either.issue_session(**ALL)
    shown = json.loads(session.to_json())
    assert shown == session.to_dict()
    tokens = {name: getattr(session, name).token for name in TOKENS}
    assert shown == {
        "app_id": APP_ID,
        "channel": "lesson-1",
        "uid": 7,
        "role": "publisher",
        "issue_time": "2023-11-14T22:13:20.000Z",
        "expire_time": "2023-11-14T23:13:20.000Z",
        "renew_time": "2023-11-14T23:07:20.000Z",
        "rtm_user_id": "ada",
        "chat_user_id": "ada.l",
        "whiteboard_room": ROOM,
        **{f"{name}_token": token for name, token in tokens.items()},
    }
    assert not any(token in repr(session) for token in tokens.values())


async def test_the_document_lists_the_keys_of_the_json_form_in_order(either: Either) -> None:
    session = await either.issue_session(**ALL)
    table = section(README.read_text(), "One call for a session")
    cells = re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(cells)) == list(session.to_dict())


async def test_a_grant_that_shortens_one_token_shortens_all(client_type: Any) -> None:
    short = {**BOARD, "max_ttl": "5m", "above_max_ttl": "clamp"}
    others = granting.grant(tokens=("rtc", "rtm", "chat.user"), rooms=())
    async with running(who=granting.callers(granting.caller(short, others))) as server:
        either = Either(client_type(server.address))
        for ttl in (None, timedelta(hours=1)):
            session = await either.issue_session(**ALL, ttl=ttl)
            assert lifetimes(session) == {timedelta(minutes=5)}
        assert issued(server) == [4] * 4
        await either.close()


@pytest.mark.parametrize(
    ("changes", "message", "fields"),
    [
        ({"channel": "x" * 65}, "channel must be at most 64 bytes", ["requests[0].rtc"]),
        ({"uid": 0}, "uid must be from 1 to 4294967295", ["requests[0].rtc"]),
        ({"rtm": "é"}, "rtm must be", ["requests[1].rtm"]),
        ({"chat": "a b"}, "chat must be", ["requests[2].chat"]),
        ({"whiteboard_room": ""}, "whiteboard_room must not be empty", ["requests[3].whiteboard"]),
        (
            {"ttl": timedelta(days=2)},
            "ttl must be",
            ["requests[0].rtc", "requests[1].rtm", "requests[2].chat"],
        ),
    ],
)
async def test_violations_are_said_of_the_arguments(
    either: Either, changes: dict[str, Any], message: str, fields: list[str]
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await either.issue_session(**{**ALL, **changes})
    error = caught.value
    assert str(error).startswith(f"invalid request: {message}")
    assert error.advice == error.metadata["advice"] == str(error).partition(": ")[2]
    assert str(error).count(message) == 1
    assert "requests[" not in str(error)
    paths = [violation.field for violation in error.violations]
    assert [".".join(path.split(".")[:2]) for path in paths] == fields


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channel": b"c"}, "channel must be a str; got bytes"),
        ({"uid": "7"}, "uid must be an integer; got str '7'"),
        ({"role": "host"}, "role must be one of publisher, subscriber"),
        ({"rtm": 7}, "rtm must be a str; got int"),
        ({"chat": 7}, "chat must be a str; got int"),
        ({"whiteboard_room": 7}, "whiteboard_room must be a str; got int"),
        ({"ttl": 60}, "ttl must be a timedelta"),
    ],
)
@pytest.mark.parametrize("client_class", CLIENTS)
async def test_values_that_no_message_holds_are_refused_at_once(
    client_class: Any, changes: dict[str, Any], message: str
) -> None:
    either = Either(client_class("127.0.0.1:1"))
    for method in (either.client.issue_session, either.client.session_source):
        with pytest.raises(InvalidRequest) as caught:
            method(**{**ALL, **changes})
        assert str(caught.value).startswith(f"invalid request: {message}")
    await either.close()


async def test_a_refusal_of_one_token_refuses_all_and_names_the_product(client_type: Any) -> None:
    no_chat = granting.grant(tokens=("rtc", "rtm", "whiteboard.room"))
    async with running(who=granting.callers(granting.caller(no_chat))) as server:
        either = Either(client_type(server.address))
        with pytest.raises(PermissionDenied, match=r"^chat: ") as caught:
            await either.issue_session(**ALL)
        assert caught.value.reason == "GRANT_MISSING"
        assert not any(line.get("event") == "issued" for line in server.log)
        await either.close()


async def test_a_session_counts_as_its_tokens(client_type: Any) -> None:
    few = granting.caller(granting.grant(), rate_limit="3 per minute")
    async with running(who=granting.callers(few)) as server:
        either = Either(client_type(server.address))
        await either.issue_session(**USER)
        with pytest.raises(InvalidRequest, match="at most 3 tokens") as caught:
            await either.issue_session(**ALL)
        assert caught.value.reason == "BATCH_EXCEEDS_LIMIT"
        with pytest.raises(RateLimited):
            await either.issue_session(**USER, rtm="ada", chat="ada.l")
        await either.close()


@pytest.mark.parametrize("count", [3, 4])
async def test_strange_answers_are_an_internal_error(client_type: Any, count: int) -> None:
    async def call(data: bytes, _: Any) -> bytes:
        assert len(BatchIssueTokensRequest.FromString(data).requests) == 4
        # Tokens without an end, or too few.
        tokens = [IssuedTokenMessage(token="007…")] * count
        return BatchIssueTokensResponse(issued_tokens=tokens).SerializeToString()

    async with answering(call) as target:
        either = Either(client_type(target))
        with pytest.raises(InternalError):
            await either.issue_session(**ALL)
        await either.close()


async def test_a_source_renews_all_tokens_at_once(either: Either, server: Running) -> None:
    source = Either(either.client.session_source(**ALL, ttl=timedelta(seconds=4)))
    source.is_async = either.is_async
    renewed: list[Session] = []
    source.client.on_renewal(renewed.append)
    first = await source.get()
    assert await source.get() is first
    server.moments.now_ms += 2000
    end = time.monotonic() + 10
    while not renewed:
        assert time.monotonic() < end
        await asyncio.sleep(0.02)
    for name in TOKENS:
        assert getattr(renewed[0], name).token != getattr(first, name).token
    assert set(issued(server)) == {4}
    await either.close()
    with pytest.raises(ClientClosed):
        await source.get()
