import dataclasses
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import grpc
import pytest

from support.clients import Either, answering
from support.keys import APP_ID
from token_authority.v1.inspection_pb2 import InspectTokenRequest, InspectTokenResponse
from token_authority_client import (
    DecodedField,
    Finding,
    Inspection,
    InternalError,
    InvalidRequest,
    Signature,
    _responses,
)

AT = datetime(2026, 1, 31, 18, tzinfo=UTC)
RTC: dict[str, Any] = {"channel": "lesson-1", "uid": 7, "role": "publisher"}

ANSWER: dict[str, Any] = {
    "format": 2,
    "kind": "rtc",
    "token_id": "f" * 32,
    "fields": [
        {"path": "app_id", "value": "a"},
        {"path": "expire", "value": "60", "meaning": "until then"},
    ],
    "omitted_field_count": 3,
    "issue_time": {"seconds": 1_700_000_000},
    "expire_time": {"seconds": 1_700_000_060, "nanos": 500_000_000},
    "expired": True,
    "time_summary": "issued 1 m ago",
    "signature": {"verdict": 1, "project": "p", "key_id": "k", "key_state": 2},
    "findings": [
        {"reason": "EXPIRED", "severity": 1, "problem": "is over", "advice": "fetch another"},
        {"reason": "ODD", "severity": 2, "problem": "is odd", "advice": "look"},
    ],
}
READ = Inspection(
    format="007",
    kind="rtc",
    token_id="f" * 32,
    fields=(DecodedField("app_id", "a", ""), DecodedField("expire", "60", "until then")),
    omitted_field_count=3,
    issue_time=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
    expire_time=datetime(2023, 11, 14, 22, 14, 20, 500_000, tzinfo=UTC),
    expired=True,
    time_summary="issued 1 m ago",
    signature=Signature("valid", "p", "k", "verify_only"),
    findings=(
        Finding("EXPIRED", "error", "is over", "fetch another"),
        Finding("ODD", "warning", "is odd", "look"),
    ),
)


@pytest.fixture
async def explaining() -> AsyncGenerator[tuple[str, list[InspectTokenRequest]]]:
    """A server that keeps what it is sent and always says the same."""
    requests: list[InspectTokenRequest] = []

    async def call(data: bytes, _: Any) -> bytes:
        requests.append(InspectTokenRequest.FromString(data))
        return InspectTokenResponse(**ANSWER).SerializeToString()

    async with answering(call) as target:
        yield target, requests


async def test_every_argument_goes_out_and_every_word_comes_in(
    explaining: tuple[str, list[InspectTokenRequest]], client_type: Any
) -> None:
    target, sent = explaining
    either = Either(client_type(target))
    inspection = await either.inspect_token(
        " 007… ",
        app_id=APP_ID,
        channel="lesson-1",
        uid=0,
        room_uuid="r",
        at_time=AT.astimezone(timezone(timedelta(hours=8))),
        error_code=110,
        error="ERR_INVALID_TOKEN",
        product="rtc",
    )
    assert inspection == READ
    await either.inspect_token("x", user_account="")
    await either.inspect_token("x", uid=7)
    await either.inspect_token("x")
    await either.close()
    expected = sent[0].expected
    assert sent[0].token == " 007… "
    assert (expected.app_id, expected.channel_name, expected.room_uuid) == (APP_ID, "lesson-1", "r")
    assert expected.at_time.ToDatetime(tzinfo=UTC) == AT
    assert expected.error_code == 110
    assert expected.error == "ERR_INVALID_TOKEN"
    assert expected.product == 1
    assert [request.expected.WhichOneof("user") for request in sent] == [
        "uid",
        "user_account",
        "uid",
        None,
    ]


async def test_a_call_is_tried_again(client_type: Any) -> None:
    calls = 0

    async def call(_: bytes, context: Any) -> bytes:
        nonlocal calls
        calls += 1
        if calls < 3:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        return InspectTokenResponse(**ANSWER).SerializeToString()

    async with answering(call) as target:
        either = Either(client_type(target))
        assert await either.inspect_token("x") == READ
        await either.close()
    assert calls == 3


def test_a_message_alone_is_read() -> None:
    assert _responses.inspection(InspectTokenResponse(**ANSWER)) == READ


def test_what_is_not_a_token_has_no_format() -> None:
    inspection = _responses.inspection(InspectTokenResponse(signature={"verdict": 4}))  # type: ignore[arg-type]
    assert inspection.format is None
    assert inspection.kind == ""
    assert (inspection.issue_time, inspection.expire_time) == (None, None)
    assert inspection.signature == Signature("unverifiable", "", "", None)
    assert inspection.findings == ()


@pytest.mark.parametrize(
    ("verdict", "name"),
    [(1, "valid"), (2, "invalid"), (3, "unknown_key"), (4, "unverifiable"), (99, "unknown")],
)
def test_verdicts(verdict: int, name: str) -> None:
    message = InspectTokenResponse(signature={"verdict": verdict})  # type: ignore[arg-type]
    assert _responses.inspection(message).signature.verdict == name


@pytest.mark.parametrize(
    ("state", "name"),
    [(0, None), (1, "active"), (2, "verify_only"), (3, "disabled"), (99, "unknown")],
)
def test_key_states(state: int, name: str | None) -> None:
    message = InspectTokenResponse(signature={"key_state": state})  # type: ignore[arg-type]
    assert _responses.inspection(message).signature.key_state == name


def test_what_a_newer_server_says_is_unknown_and_loses_nothing_else() -> None:
    newer = {**ANSWER, "format": 99, "findings": [{"reason": "NEW", "severity": 99}]}
    inspection = _responses.inspection(InspectTokenResponse(**newer))
    assert inspection.format == "unknown"
    assert inspection.findings == (Finding("NEW", "unknown", "", ""),)
    assert dataclasses.replace(inspection, format="007", findings=READ.findings) == READ


@pytest.mark.parametrize(
    "strange",
    [None, InspectTokenResponse(expire_time={"seconds": 2**62})],  # type: ignore[arg-type]
    ids=["nothing", "a time beyond all"],
)
def test_a_strange_message_is_an_internal_error(strange: Any) -> None:
    with pytest.raises(InternalError, match="cannot be read"):
        _responses.inspection(strange)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"token": 7}, "token"),
        ({"token": "\ud800"}, "token"),
        ({"app_id": 7}, "expected.app_id"),
        ({"channel": 7}, "expected.channel_name"),
        ({"uid": "7"}, "expected.uid"),
        ({"user_account": 7}, "expected.user_account"),
        ({"uid": 7, "user_account": "al"}, "expected.user"),
        ({"room_uuid": 7}, "expected.room_uuid"),
        ({"at_time": 1_700_000_000}, "expected.at_time"),
        ({"at_time": AT.replace(tzinfo=None)}, "expected.at_time"),
        ({"error_code": "110"}, "expected.error_code"),
        ({"error": 7.5}, "expected.error"),
        ({"error": True}, "expected.error"),
        ({"product": "video"}, "expected.product"),
        ({"error_code": 2**40}, "expected.error_code"),
    ],
)
async def test_what_a_message_cannot_say_names_its_field(
    client_type: Any, arguments: dict[str, Any], field: str
) -> None:
    either = Either(client_type("127.0.0.1:1"))
    with pytest.raises(InvalidRequest) as caught:
        await either.inspect_token(**{"token": "007…", **arguments})
    assert [violation.field for violation in caught.value.violations] == [field]
    assert "007…" not in str(caught.value)
    await either.close()


async def test_a_token_of_ours_is_explained(either: Either) -> None:
    issued = await either.issue_rtc_token(**RTC, project="classroom")
    inspection = await either.inspect_token(issued.token, channel="lesson-1", uid=7)
    assert (inspection.format, inspection.kind) == ("007", "rtc")
    assert inspection.token_id == issued.token_id
    assert inspection.signature == Signature("valid", "classroom", "cert-2", "active")
    assert inspection.issue_time == issued.issue_time
    assert inspection.expire_time == issued.expire_time
    assert "lesson-1" in {field.value for field in inspection.fields}
    assert issued.token not in repr(inspection)


async def test_what_was_expected_is_compared_with_it(either: Either) -> None:
    issued = await either.issue_rtc_token(**RTC, project="classroom")
    as_used = {"channel": "lesson-1", "uid": 7, "at_time": issued.issue_time}
    right = await either.inspect_token(issued.token, **as_used)
    wrong = await either.inspect_token(issued.token, **{**as_used, "channel": "Lesson-1"})
    assert not any(finding.severity == "error" for finding in right.findings)
    assert any(finding.severity == "error" for finding in wrong.findings)


async def test_what_is_not_a_token_is_explained_too(either: Either) -> None:
    inspection = await either.inspect_token("not a token")
    assert (inspection.format, inspection.kind) == (None, "")
    assert inspection.signature.verdict == "unverifiable"
    assert inspection.findings[0].severity == "error"


async def test_an_empty_text_is_an_invalid_request(either: Either) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await either.inspect_token("")
    assert [violation.field for violation in caught.value.violations] == ["token"]


async def test_an_issued_token_is_told_where_its_text_is(either: Either) -> None:
    issued = await either.issue_rtc_token(**RTC, project="classroom")
    with pytest.raises(
        InvalidRequest, match=r"token must be a str; got IssuedToken: pass issued\.token"
    ) as caught:
        await either.inspect_token(issued)
    assert issued.token not in str(caught.value)
