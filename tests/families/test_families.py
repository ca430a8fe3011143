"""What holds for every kind; a new one fails here until it has a sample and tests of its own."""

import hashlib
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from families.cases import check_all_broken, filled, method_of
from support.decoding import decode
from support.keys import APP_ID, CERTIFICATE, NOW_MS, SECRET_KEY
from support.serving import Running, refused
from token_authority.v1 import issued_token_pb2
from token_authority.v1.issued_token_pb2 import TOKEN_FORMAT_NETLESS, TOKEN_FORMAT_V007
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER
from token_authority.v1.whiteboard_pb2 import WHITEBOARD_ROLE_READER
from token_authority_server.families import FAMILIES, TokenFamily

pytestmark = pytest.mark.parametrize("kind", FAMILIES, ids=lambda kind: kind.name)

AnyKind = TokenFamily[Any, Any]
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Product:
    """What is the same for all tokens that one kind of key signs."""

    format: int
    unit_ms: int
    key_id: str
    app_id: str
    secret: str
    project_without: str


AGORA = Product(TOKEN_FORMAT_V007, 1000, "cert-2", APP_ID, CERTIFICATE, "whiteboard-only")
WHITEBOARD = Product(TOKEN_FORMAT_NETLESS, 1, "ak-1", "", SECRET_KEY, "rtc-only")
PRODUCTS = {"agora": AGORA, "whiteboard": WHITEBOARD}
SAMPLES: dict[str, dict[str, Any]] = {
    "whiteboard": {"room": {"room_uuid": "r"}, "role": WHITEBOARD_ROLE_READER},
    "rtc": {"channel_name": "c", "uid": 7, "role": RTC_ROLE_PUBLISHER},
    "rtm": {"user_id": "u"},
    "chat": {"user": {"user_id": "u"}},
    "education": {"user": {"user_uuid": "u"}},
    "access_token": {"services": [{"rtm": {"user_id": "u"}}]},
}
"""A valid request of each kind, which lives as long as an unset expiration means."""


def product(kind: AnyKind) -> Product:
    return PRODUCTS[kind.key_type.product]


async def ask(server: Running, kind: AnyKind, **changes: Any) -> Any:
    """Asks with the kind's sample, changed; returns the response."""
    request = filled(kind.request_type, SAMPLES[kind.name], changes)
    return await getattr(server.stub, method_of(kind))(request)


async def issue(server: Running, kind: AnyKind, **changes: Any) -> issued_token_pb2.IssuedToken:
    issued: issued_token_pb2.IssuedToken = (await ask(server, kind, **changes)).issued_token
    return issued


def duration(ms: int) -> Duration:
    return Duration(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)


def timestamp(ms: int) -> Timestamp:
    return Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)


def issue_ms(kind: AnyKind) -> int:
    """When a token is issued that the test's clock is asked for, on the grid of its format."""
    return NOW_MS // product(kind).unit_ms * product(kind).unit_ms


def test_every_rule_of_its_contract_is_broken_once(kind: AnyKind) -> None:
    check_all_broken(import_module(f"families.test_{kind.name}").BROKEN, kind.request_type)


async def test_the_answer_describes_the_token(server: Running, kind: AnyKind) -> None:
    expected = product(kind)
    response = await ask(server, kind)
    assert not response.HasField("decision")
    issued = response.issued_token
    assert issued.token_id == hashlib.sha256(issued.token.encode()).hexdigest()[:32]
    assert (issued.format, issued.key_id, issued.app_id) == (
        expected.format,
        expected.key_id,
        expected.app_id,
    )
    assert not issued.advisories
    assert decode(issued.token).verifies(expected.secret)
    # Unset: one hour.
    issued_at = issue_ms(kind)
    assert issued.issue_time.ToMilliseconds() == issued_at
    assert issued.expire_time.ToMilliseconds() == issued_at + HOUR_MS
    assert issued.renew_time.ToMilliseconds() == issued_at + HOUR_MS * 9 // 10


async def test_two_tokens_are_never_the_same(server: Running, kind: AnyKind) -> None:
    server.moments.now_ms += 1000
    first = await issue(server, kind)
    server.moments.now_ms += 1000
    second = await issue(server, kind)
    assert first.token != second.token
    assert second.issue_time.seconds == first.issue_time.seconds + 1


async def test_the_shortest_and_the_longest_life(server: Running, kind: AnyKind) -> None:
    issued_at, unit_ms = issue_ms(kind), product(kind).unit_ms
    for life_ms in (unit_ms, kind.max_ttl_ms):
        by_ttl = await issue(server, kind, ttl=duration(life_ms))
        assert by_ttl.expire_time.ToMilliseconds() == issued_at + life_ms
        # The last moment that is floored to this life.
        end = timestamp(issued_at + life_ms + unit_ms - 1)
        by_moment = await issue(server, kind, expire_time=end)
        assert by_moment.expire_time.ToMilliseconds() == issued_at + life_ms
    for ttl_ms in (0, -unit_ms, kind.max_ttl_ms + unit_ms):
        answer = await refused(ask(server, kind, ttl=duration(ttl_ms)))
        assert answer.violations == [("ttl", "DURATION_GTE_LTE")]


async def test_the_end_keeps_its_distance(server: Running, kind: AnyKind) -> None:
    issued_at, unit_ms = issue_ms(kind), product(kind).unit_ms
    for end_ms, reason in [
        (0, "EXPIRE_TIME_TOO_EARLY"),
        (NOW_MS - 1, "EXPIRE_TIME_TOO_EARLY"),
        (NOW_MS + unit_ms - 1, "EXPIRE_TIME_TOO_EARLY"),
        (issued_at + kind.max_ttl_ms + unit_ms, "EXPIRE_TIME_TOO_LATE"),
        (253_402_300_799_000, "EXPIRE_TIME_TOO_LATE"),
    ]:
        answer = await refused(ask(server, kind, expire_time=timestamp(end_ms)))
        assert answer.code is StatusCode.INVALID_ARGUMENT
        assert answer.violations == [("expire_time", reason)]


async def test_the_next_token_is_due_30_seconds_or_a_tenth_before_the_end(
    server: Running, kind: AnyKind
) -> None:
    for life, ahead in [(1, 1), (30, 30), (31, 30), (300, 30), (3600, 360), (86400, 8640)]:
        issued = await issue(server, kind, ttl=Duration(seconds=life))
        assert issued.renew_time.ToMilliseconds() == issue_ms(kind) + (life - ahead) * 1000


async def test_validate_only_explains_and_signs_nothing(server: Running, kind: AnyKind) -> None:
    response = await ask(server, kind, ttl=Duration(seconds=5), validate_only=True)
    assert not response.HasField("issued_token")
    decision = response.decision
    assert (decision.caller, decision.grant) == ("tester", "all-of-classroom")
    assert decision.key_id == product(kind).key_id
    assert decision.ttl == Duration(seconds=5)
    assert decision.max_ttl == duration(kind.max_ttl_ms)
    # Whiteboards do not renew tokens.
    advisories = [advisory.reason for advisory in decision.advisories]
    assert advisories == ([] if kind.name == "whiteboard" else ["SHORT_LIFE"])


async def test_a_project_without_the_key_is_explained(server: Running, kind: AnyKind) -> None:
    for project, code, reason in [
        ("nowhere", StatusCode.PERMISSION_DENIED, "GRANT_MISSING"),
        (
            product(kind).project_without,
            StatusCode.FAILED_PRECONDITION,
            "PROJECT_LACKS_PRODUCT",
        ),
        ("retired", StatusCode.FAILED_PRECONDITION, "NO_ACTIVE_KEY"),
    ]:
        for validate_only in (False, True):
            answer = await refused(ask(server, kind, project=project, validate_only=validate_only))
            assert (answer.code, answer.reason) == (code, reason)
            assert answer.metadata["project"] == project
            if code is StatusCode.FAILED_PRECONDITION:
                (violation,) = answer.details["PreconditionFailure"].violations
                assert (violation.type, violation.subject) == (reason, f"projects/{project}")


async def test_a_wrong_request_is_answered_before_what_the_project_has(
    server: Running, kind: AnyKind
) -> None:
    # The rules reveal nothing, so they come first.
    for project in ("nowhere", "retired"):
        answer = await refused(ask(server, kind, project=project, expire_time=Timestamp()))
        assert answer.violations == [("expire_time", "EXPIRE_TIME_TOO_EARLY")]
