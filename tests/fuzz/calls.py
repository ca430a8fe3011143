"""Targets behind authentication: the requests of every method, and their compression."""

import asyncio
import gzip
import zlib
from functools import partial
from typing import Any, Final

from contract.rules import methods as contract_methods
from contract.test_once_valid import LINES, PATHS, request_of
from fuzz.messages import change
from fuzz.mutating import Chance, mutated
from fuzz.outcomes import Target, check_shown, refused
from support.decoding import decode
from support.granting import caller, callers, everything
from support.keys import CERTIFICATE, SECRET_KEY, Moments, keyring
from support.serving import PARSER, no_limits, no_trail
from token_authority.v1 import (
    authority_service_pb2,
    encryption_service_pb2,
    inspection_service_pb2,
    token_service_pb2,
)
from token_authority_server.authority import Authority
from token_authority_server.authorization import PolicySnapshot
from token_authority_server.errors import Refusal
from token_authority_server.identity.call_context import CallContext
from token_authority_server.rpc.authority_service import ServerFacts
from token_authority_server.rpc.methods import methods
from token_authority_server.rpc.request_body import decompressed
from token_authority_server.telemetry.metrics import Metrics

_MAX_BYTES: Final = 1_048_576
_KEYS: Final = keyring()
# Not granted for all channels at once.
_CHANNEL_KEYS: Final = {
    "name": "channel-keys",
    "project": "classroom",
    "tokens": ("channel_key",),
    "channels": ("c*", "l*"),
}
_CALLERS: Final = callers(
    caller(
        *map(everything, _KEYS.project_names),
        _CHANNEL_KEYS,
    )
)
_AUTHORITY: Final = Authority(PolicySnapshot(_KEYS, _CALLERS), Moments(), no_limits(), no_trail())
METHODS: Final = methods(_AUTHORITY, PARSER, Metrics(), ServerFacts(_MAX_BYTES, "1.2.3"))
CONTEXT: Final = CallContext(_CALLERS.local().caller, "local", "ipv4:127.0.0.1:1", "Fuzz")
_LOOP: Final = asyncio.new_event_loop()
RESPONSES: Final[dict[str, Any]] = {
    method.name: method.output_type._concrete_class
    for module in (
        token_service_pb2,
        inspection_service_pb2,
        authority_service_pb2,
        encryption_service_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
_SHARES: Final = {"BatchIssueTokens": 20, "InspectToken": 30}


def targets() -> list[Target]:
    """Returns a target for each method, and one for compressed bodies."""
    calls = [_call_target(path.rpartition("/")[2], path) for path in sorted(contract_methods())]
    return [*calls, Target("body", partial(mutated, _bodies()), _inflate, 100)]


def _call_target(name: str, path: str) -> Target:
    requests = [request_of(line) for line in LINES if PATHS[line["method"]] == path]
    for request in requests:
        name_project(request)
    seeds = [request.SerializeToString() for request in requests]
    message_type = type(requests[0])

    def draw(chance: Chance) -> bytes:
        if chance.random() < 0.4:
            return mutated(seeds, chance)
        message = message_type.FromString(chance.choice(seeds))
        change(message, chance)
        return message.SerializeToString()

    def attempt(data: bytes) -> str:
        try:
            answer = _LOOP.run_until_complete(METHODS[path](data, CONTEXT))
        except Refusal as refusal:
            return refused(refusal)
        response = RESPONSES[name].FromString(answer.response)
        check_shown(f"{answer.event} {answer.fields}")
        issued = _issued(response)
        if issued:
            for token, request in zip(issued, _entries(message_type.FromString(data)), strict=True):
                assert _verifies(token.token, request)
        return answer.event

    return Target(name, draw, attempt, _SHARES.get(name, 25))


def name_project(request: Any) -> None:
    """Names a project that has every key, where the sample names another or none."""
    for entry in getattr(request, "requests", ()):
        name_project(getattr(entry, entry.WhichOneof("request")))
    if "project" in request.DESCRIPTOR.fields_by_name:
        request.project = "classroom"


def _issued(response: Any) -> list[Any]:
    if "issued_tokens" in response.DESCRIPTOR.fields_by_name:
        return list(response.issued_tokens)
    has_one = "issued_token" in response.DESCRIPTOR.fields_by_name
    return [response.issued_token] if has_one and response.HasField("issued_token") else []


def _entries(request: Any) -> list[Any]:
    """Returns the requests of a batch, or the one request."""
    entries = getattr(request, "requests", None)
    if entries is None:
        return [request]
    return [getattr(entry, entry.WhichOneof("request")) for entry in entries]


def _verifies(token: str, request: Any) -> bool:
    """Whether our key has signed a token; 006 signs names that it does not carry."""
    if token.startswith("NETLESS"):
        return decode(token).verifies(SECRET_KEY)
    if token.startswith("007"):
        return decode(token).verifies(CERTIFICATE)
    if hasattr(request, "user_id"):
        return decode(token).verifies(CERTIFICATE, request.user_id, "")
    user = request.user_account or (str(request.uid) if request.uid else "")
    return decode(token).verifies(CERTIFICATE, request.channel_name, user)


def _bodies() -> list[bytes]:
    plain = [request_of(line).SerializeToString() for line in LINES]
    return [
        *[gzip.compress(data, mtime=0) for data in plain],
        *[zlib.compress(data) for data in plain],
        gzip.compress(bytes(4 * _MAX_BYTES), mtime=0),
        zlib.compress(bytes(4 * _MAX_BYTES)),
    ]


def _inflate(data: bytes) -> str:
    try:
        assert len(decompressed(data, _MAX_BYTES)) <= _MAX_BYTES
    except Refusal as refusal:
        return refused(refusal)
    return "read"
