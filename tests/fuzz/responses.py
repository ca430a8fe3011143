"""Targets of the client: what a server answers, and sessions as JSON."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError

from contract.test_once_valid import LINES, PATHS, request_of
from fuzz import calls
from fuzz.messages import change
from fuzz.mutating import Chance, mutated
from fuzz.outcomes import Target, check_shown
from token_authority_client import InternalError, IssuedToken
from token_authority_client._authority import fetch_info, fetch_keys
from token_authority_client._encryption import channel_key
from token_authority_client._responses import decision, inspection, issued_token, issued_tokens
from token_authority_client._session import SessionRequest
from token_authority_server.errors import Refusal

_LOOP: Final = asyncio.new_event_loop()
_NO_MORE: Final = calls.RESPONSES["ListSigningKeys"]()
_TEXTS: Final = ("lesson-1", "", "\x1b[2J", "\u2028", "\U0001f600", '"\\', "</script>", "\0")


class _Given(NamedTuple):
    method: str
    data: bytes


def targets() -> list[Target]:
    """Returns the targets."""
    responses = _responses()
    tokens = [
        issued_token(calls.RESPONSES[method].FromString(data))
        for method, data in responses
        if method.endswith("Token") and method != "InspectToken" and _has_token(method, data)
    ]
    return [
        Target("response of a server", partial(_changed, responses), _read, 90),
        Target("session", partial(_session_of, tokens), _to_json, 20),
    ]


def _responses() -> list[_Given]:
    """Returns what the server answers to a request of every kind."""
    found: list[_Given] = []
    for line in LINES:
        request, path = request_of(line), PATHS[line["method"]]
        calls.name_project(request)
        try:
            answer = _LOOP.run_until_complete(
                calls.METHODS[path](request.SerializeToString(), calls.CONTEXT)
            )
        except Refusal:
            continue
        found.append(_Given(path.rpartition("/")[2], answer.response))
    return found


def _has_token(method: str, data: bytes) -> bool:
    response: Any = calls.RESPONSES[method].FromString(data)
    return bool(response.HasField("issued_token") and response.issued_token.HasField("expire_time"))


def _changed(responses: list[_Given], chance: Chance) -> _Given:
    method, data = chance.choice(responses)
    if chance.random() < 0.5:
        return _Given(method, mutated([data], chance))
    message = calls.RESPONSES[method].FromString(data)
    change(message, chance)
    return _Given(method, message.SerializeToString())


def _read(given: _Given) -> str:
    try:
        message: Any = calls.RESPONSES[given.method].FromString(given.data)
    except DecodeError:
        # So does gRPC.
        message = None
    read: Callable[[Any], Any] = _READERS.get(given.method, _read_issued)
    try:
        shown = repr(read(message))
    except InternalError as error:
        check_shown(str(error), 300)
        return "refused"
    check_shown(shown, 1_000_000)
    return "read"


def _read_issued(message: Any) -> list[Any]:
    found: list[Any] = []
    for read in (issued_token, decision):
        try:
            found.append(read(message))
        except InternalError:
            # The other may be in it.
            continue
    if not found:
        raise InternalError("neither token nor decision")
    for one in found:
        if isinstance(one, IssuedToken) and len(one.token) > 20:
            # The other texts may have been changed to the same.
            bare = replace(one, app_id="", key_id="", token_id="", advisories=())
            assert one.token not in repr(bare)
    return found


def _fetched(fetch: Callable[[Any], Any], message: Any) -> Any:
    # One page of many.
    answers = iter([message])

    async def call(_: str, __: Any) -> Any:
        return next(answers, _NO_MORE)

    return _LOOP.run_until_complete(fetch(call))


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "InspectToken": inspection,
    "IssueChannelKey": channel_key,
    "BatchIssueTokens": lambda message: issued_tokens(message, 2),
    "GetAuthorityInfo": partial(_fetched, fetch_info),
    "ListSigningKeys": partial(_fetched, lambda call: fetch_keys(call, "")),
}


def _session_of(tokens: list[IssuedToken], chance: Chance) -> tuple[SessionRequest, list[Any]]:
    def text() -> str | None:
        return chance.choice((*_TEXTS, None))

    channel, rtm, chat, room = text() or "", text(), text(), text()
    request = SessionRequest(channel, 7, "publisher", rtm, chat, room, None, "")
    issued = [chance.choice(tokens) for _ in request.products]
    if chance.random() < 0.1:
        issued[0] = replace(issued[0], expire_time=None)
    return request, issued


def _to_json(given: tuple[SessionRequest, list[IssuedToken]]) -> str:
    request, tokens = given
    try:
        session = request.session(tokens)
    except ValueError:
        assert any(token.expire_time is None for token in tokens)
        return "refused"
    # It can stand in a script, and in a line of an event stream.
    text = session.to_json()
    assert text.isascii()
    assert text.isprintable()
    found = json.loads(text)
    assert [found[f"{product}_token"] for product in request.products] == [
        token.token for token in tokens
    ]
    assert (found["channel"], found.get("rtm_user_id")) == (request.channel, request.rtm)
    assert not any(token.token in repr(session) for token in tokens)
    return "written"
