"""What the tests of all kinds share: requests, broken rules, and which rules there are to break."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from contract.rules import reasons as contract_reasons
from support.keys import NOW_MS
from support.serving import Running, refused
from token_authority.v1 import issued_token_pb2, token_service_pb2
from token_authority_server.families import TokenFamily

NOW: Final = NOW_MS // 1000
HOUR: Final = 3600
DAY: Final = 86400
LEGAL: Final = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 !#$%&()+-:;<=.>?@[]^_{}|~,"
)

Violations = list[tuple[str, str]]
Broken = tuple[str, dict[str, Any], Violations]
"""A name, what to change in a valid request, and the paths and reasons to be named for it."""


def seconds(count: int) -> Duration:
    return Duration(seconds=count)


def filled(request_type: Any, base: dict[str, Any], changes: dict[str, Any]) -> Any:
    """Returns a request of `base` with changes; a None takes a field away."""
    fields = {"project": "classroom", **base, **changes}
    return request_type(**{name: value for name, value in fields.items() if value is not None})


def method_of(kind: TokenFamily[Any, Any]) -> str:
    """Returns the name of the RPC that takes the kind's request."""
    service = token_service_pb2.DESCRIPTOR.services_by_name["TokenService"]
    request = kind.request_type.DESCRIPTOR
    (name,) = [method.name for method in service.methods if method.input_type is request]
    return str(name)


def reasons(issued: issued_token_pb2.IssuedToken) -> list[str]:
    return [advisory.reason for advisory in issued.advisories]


def of_life(life: int) -> list[str]:
    """Returns the advisories about a lifetime in seconds that the SDK can renew."""
    return ["SHORT_LIFE"] if life <= 60 else []


PROJECT_BROKEN: Final[list[Broken]] = [
    ("project misspelt", {"project": "-x"}, [("project", "STRING_PATTERN")]),
    ("project too long", {"project": "p" * 64}, [("project", "STRING_MAX_LEN")]),
    ("project unset among several", {"project": ""}, [("project", "REQUIRED")]),
]
END_BROKEN: Final[list[Broken]] = [
    ("ttl 0", {"ttl": seconds(0)}, [("ttl", "DURATION_GTE_LTE")]),
    ("ttl negative", {"ttl": seconds(-1)}, [("ttl", "DURATION_GTE_LTE")]),
    ("ttl a day and a second", {"ttl": seconds(DAY + 1)}, [("ttl", "DURATION_GTE_LTE")]),
    ("ttl 0.4 s", {"ttl": Duration(nanos=4 * 10**8)}, [("ttl", "DURATION_GTE_LTE")]),
    ("ttl 1.5 s", {"ttl": Duration(seconds=1, nanos=5 * 10**8)}, [("ttl", "NOT_WHOLE_SECONDS")]),
    ("ttl an epoch", {"ttl": seconds(NOW + HOUR)}, [("ttl", "DURATION_GTE_LTE")]),
    (
        "end in the past",
        {"expire_time": Timestamp(seconds=NOW - 1)},
        [("expire_time", "EXPIRE_TIME_TOO_EARLY")],
    ),
    (
        "end in 0.9 s, in the next second",
        {"expire_time": Timestamp(seconds=NOW + 1, nanos=23_000_000)},
        [("expire_time", "EXPIRE_TIME_TOO_EARLY")],
    ),
    (
        "end in a day and a second",
        {"expire_time": Timestamp(seconds=NOW + DAY + 1)},
        [("expire_time", "EXPIRE_TIME_TOO_LATE")],
    ),
    (
        "end denormal",
        {"expire_time": Timestamp(seconds=NOW + 9, nanos=10**9)},
        [("expire_time", "TIMESTAMP_INVALID")],
    ),
]


def each(broken: Sequence[Broken]) -> pytest.MarkDecorator:
    """Runs a test for each broken rule, with `changes` and `violations`."""
    names = [name for name, _, _ in broken]
    assert len(set(names)) == len(names)
    return pytest.mark.parametrize(
        ("changes", "violations"),
        [pytest.param(changes, violations, id=name) for name, changes, violations in broken],
    )


async def check_named(server: Running, method: str, request: Any, violations: Violations) -> None:
    """Checks that a request is refused for these violations, asked for a token and only asked."""
    for validate_only in (False, True):
        request.validate_only = validate_only
        answer = await refused(getattr(server.stub, method)(request))
        assert (answer.code, answer.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert sorted(answer.violations) == sorted(violations)


def check_all_broken(broken: Iterable[Broken], request_type: type[Message]) -> None:
    """Checks that there is a case for each rule the contract has on a field of the request."""
    named = {
        (re.sub(r"\[\d+\]", "[]", path), reason)
        for _, _, violations in broken
        for path, reason in violations
    }
    rules = contract_reasons(request_type.DESCRIPTOR.full_name)
    assert rules
    assert rules - named == set()
