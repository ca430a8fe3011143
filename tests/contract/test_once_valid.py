"""Requests that the contract once allowed stay valid: `buf breaking` does not see the rules.

once_valid_requests.jsonl holds a request at every edge of every rule, as proto3 JSON; it is sent at
the moment `support.keys.NOW_MS`. Lines are added with each new rule and never taken away.
`{"$repeat": [part, count]}` stands for a long text or list. A line with `refused` is an exception:
a rule was tightened, for the reason that it gives.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import ParseDict  # noqa: TID251  # reads; nothing is shown
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from contract.rules import is_ours, limits, methods, rules
from support import granting
from support.keys import APP_ID, access_key, certificate
from support.serving import refused, running
from token_authority_server.identity.directory import Callers
from token_authority_server.keyring import EncryptionSecret, Keyring, KeyState, Project, Secret

CORPUS = Path(__file__).with_name("once_valid_requests.jsonl")
ONCE_VALID = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
LINES = [line for line in ONCE_VALID if "refused" not in line]
REFUSED = [line for line in ONCE_VALID if "refused" in line]
METHODS = methods()
# By name, as in the lines.
PATHS = {path.rpartition("/")[2]: path for path in METHODS}


def expanded(value: Any) -> Any:
    """Expands repetitions."""
    if isinstance(value, list):
        return [expanded(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$repeat" in value:
        part, count = value["$repeat"]
        return part * count
    return {name: expanded(item) for name, item in value.items()}


def request_of(line: dict[str, Any]) -> Message:
    method = METHODS[PATHS[line["method"]]]
    return ParseDict(expanded(line["request"]), GetMessageClass(method.input_type)())


def projects(message: Any) -> set[str]:
    """Returns the projects that a request and its entries name."""
    entries = getattr(message, "requests", [])
    named = [message, *[getattr(entry, entry.WhichOneof("request")) for entry in entries]]
    return {request.project for request in named if getattr(request, "project", "")} or {"p"}


def keyring(request: Message) -> Keyring:
    """Returns complete projects, as many as a request names."""
    secret = EncryptionSecret("k" * 64, KeyState.ACTIVE, APP_ID, Secret("5a" * 32))
    keys = (certificate(), access_key())
    return Keyring([Project(name, keys, (secret,)) for name in projects(request)])


def callers(request: Message) -> Callers:
    """Returns a caller that may request every token, and the keys of channels."""
    names = sorted(projects(request))
    key = {"name": "keys", "tokens": ("channel_key",), "channels": ("c*",)}
    grants = [granting.everything(name) for name in names]
    return granting.callers(
        granting.caller(*grants, *[{**key, "project": name} for name in names[:1]])
    )


@pytest.mark.parametrize("line", LINES, ids=lambda line: json.dumps(line["request"])[:60])
async def test_a_once_valid_request_is_still_answered(line: dict[str, Any]) -> None:
    request = request_of(line)
    async with running(keyring(request), who=callers(request)) as server:
        call = server.channel.unary_unary(PATHS[line["method"]])
        answer = await call(request.SerializeToString())
    assert len(answer) > 20


@pytest.mark.parametrize("line", REFUSED, ids=lambda line: json.dumps(line["request"])[:60])
async def test_the_only_tightened_rule_is_that_an_identity_has_no_star(
    line: dict[str, Any],
) -> None:
    request = request_of(line)
    async with running(keyring(request), who=callers(request)) as server:
        call = server.channel.unary_unary(PATHS[line["method"]])
        answer = await refused(call(request.SerializeToString()))
    (violation,) = answer.violations
    assert violation[1] == "STRING_PATTERN"
    assert "*" in json.dumps(line["request"])


def values(message: Message) -> Iterator[tuple[str, Any]]:
    """Yields the set fields of a message and its sub-messages, by message and field.

    Yields each item of a list separately, with `[]` after the field's name.
    """
    for field, value in message.ListFields():
        name = f"{message.DESCRIPTOR.full_name}.{field.name}"
        yield name, value
        items: Any = value if field.is_repeated else [value]
        for item in items:
            if field.is_repeated:
                yield f"{name}[]", item
            if is_ours(field.message_type):
                yield from values(item)


def requestable(message: Descriptor, seen: set[str]) -> Iterator[Descriptor]:
    """Yields a message and all messages that it can contain, once each."""
    if message.full_name in seen:
        return
    seen.add(message.full_name)
    yield message
    for field in message.fields:
        if field.message_type and is_ours(field.message_type):
            yield from requestable(field.message_type, seen)


SEEN: set[str] = set()
FIELDS = {
    f"{message.full_name}.{field.name}": field
    for method in METHODS.values()
    for message in requestable(method.input_type, SEEN)
    for field in message.fields
}
USED: dict[str, list[Any]] = {}
for used_line in LINES:
    for used_name, used_value in values(request_of(used_line)):
        USED.setdefault(used_name, []).append(used_value)


def test_every_method_and_every_field_of_every_request_occurs() -> None:
    assert {line["method"] for line in LINES} == PATHS.keys()
    assert len(PATHS) == len(METHODS)
    assert FIELDS.keys() - USED.keys() == set()


def test_every_enum_value_occurs_that_a_request_may_have() -> None:
    for name, field in FIELDS.items():
        if field.enum_type:
            refused = {value.number for value in field.enum_type.values if value.number == 0}
            refused |= {3} if field.enum_type.name == "TokenFormat" else set()
            assert set(USED[name]) == {*field.enum_type.values_by_number} - refused


def edges(name: str, field_rules: Any) -> Iterator[tuple[str, str, Any]]:
    """Yields the limits that a value can reach: the field, the rule, the limit."""
    for rule, limit in limits(field_rules).items():
        if rule.startswith(("min_", "max_", "gte", "lte")):
            yield name, rule, limit
    if field_rules.WhichOneof("type") == "repeated":
        yield from edges(f"{name}[]", field_rules.repeated.items)


EDGES = [edge for name, field in FIELDS.items() for edge in edges(name, rules(field))]


def measure(value: Any, rule: str) -> Any:
    """Returns the value that a rule compares with its limit."""
    if rule.endswith("_bytes"):
        return len(value.encode())
    if rule.startswith(("min_", "max_")):
        return len(value)
    return value.ToNanoseconds() if hasattr(value, "ToNanoseconds") else value


@pytest.mark.parametrize(("name", "rule", "limit"), EDGES)
def test_every_edge_of_every_rule_is_met(name: str, rule: str, limit: Any) -> None:
    edge = measure(limit, rule) if rule in ("gte", "lte") else limit
    # A number that is not sent is 0.
    field = FIELDS[name.removesuffix("[]")]
    unset = set() if field.has_presence or field.is_repeated else {field.default_value}
    assert edge in unset | {measure(value, rule) for value in USED[name]}
