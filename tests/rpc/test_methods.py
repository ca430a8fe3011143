import asyncio
import io
from typing import Any

import pytest
from grpc import StatusCode

from support.granting import all_powerful
from support.keys import SECRETS, keyring
from support.serving import PATH, Running, no_trail, refused, running
from token_authority.v1.chat_pb2 import IssueChatTokenResponse
from token_authority.v1.rtc_pb2 import (
    RTC_ROLE_PUBLISHER,
    AnyChannel,
    AnyUser,
    IssueRtcTokenRequest,
)
from token_authority_server.families import FAMILIES
from token_authority_server.families.rtc import Rtc
from token_authority_server.limits import InFlight
from token_authority_server.rpc.authentication import Authenticator
from token_authority_server.rpc.contract import TOKEN_SERVICE, families_by_entry, families_by_method
from token_authority_server.rpc.handlers import Handlers
from token_authority_server.rpc.observability import Observer
from token_authority_server.telemetry.log import make_logger
from token_authority_server.telemetry.metrics import Metrics

METHODS = [method.name for method in TOKEN_SERVICE.methods]
VALID = IssueRtcTokenRequest(project="classroom", channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER)


def test_every_method_has_its_kind_and_every_kind_its_method() -> None:
    assert {method: kind.name for method, kind in families_by_method().items()} == {
        "IssueWhiteboardToken": "whiteboard",
        "IssueRtcToken": "rtc",
        "IssueRtmToken": "rtm",
        "IssueChatToken": "chat",
        "IssueEducationToken": "education",
        "IssueAccessToken": "access_token",
    }


def test_a_batch_knows_every_kind() -> None:
    assert set(families_by_entry().values()) == set(FAMILIES)


def test_a_method_without_a_kind_stops_the_start() -> None:
    with pytest.raises(RuntimeError, match="no token family has the messages of IssueRtcToken"):
        families_by_method(FAMILIES[:1])


def test_a_kind_without_a_method_stops_the_start() -> None:
    class Stray(Rtc):
        name = "stray"
        response_type = IssueChatTokenResponse  # type: ignore[assignment]  # the point of it

    with pytest.raises(RuntimeError, match="no place for the family stray"):
        families_by_method([*FAMILIES, Stray()])


def test_two_kinds_for_a_method_stop_the_start() -> None:
    with pytest.raises(RuntimeError, match="IssueRtcToken has two families, rtc and rtc"):
        families_by_method([*FAMILIES, Rtc()])


def test_a_method_that_is_not_served_stops_the_start() -> None:
    with pytest.raises(RuntimeError, match="BatchIssueTokens"):
        Handlers(
            {},
            Authenticator(all_powerful(["classroom"]), None),
            InFlight(1),
            Observer(make_logger("json", "debug", io.StringIO()), Metrics(), no_trail()),
            1_048_576,
        )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "data",
    [b"\x08", b"\xff" * 9, b"\x0a\x7f", b"\x0a\x02\xff\xfe", b"\x00\x00"],
    ids=["cut off", "noise", "too long", "bad UTF-8", "field 0"],
)
async def test_undecodable_bytes_are_an_invalid_argument(
    server: Running, method: str, data: bytes
) -> None:
    answer = await refused(server.channel.unary_unary(PATH + method)(data))
    assert (answer.code, answer.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert "generate the stubs" in answer.metadata["advice"]


async def test_an_unknown_method_is_unimplemented(server: Running) -> None:
    answer = await refused(server.channel.unary_unary(PATH + "MintAnything")(b""))
    assert answer.code is StatusCode.UNIMPLEMENTED


class Broken:
    """A source of time and chance that fails, with a secret in its message."""

    def __call__(self) -> Any:
        raise ValueError(f"bad key {SECRETS[0]}")


async def test_a_defect_shows_an_id_and_nothing_else() -> None:
    async with running(moments=Broken()) as server:
        answer = await refused(server.stub.IssueRtcToken(VALID))
        assert (answer.code, answer.reason) == (StatusCode.INTERNAL, "INTERNAL_ERROR")
        error_id = answer.metadata["error_id"]
        assert answer.message == (
            f"internal error {error_id}: report this id to the server's operator: the "
            "server's log has the details"
        )
        (line,) = server.log
        assert line["error_id"] == error_id
        assert (line["event"], line["exception"]) == ("failed", "ValueError")
        assert "test_methods.py:" in line["at"]
        # Nor does the log have the message: `running` looks for the secrets.


async def test_the_rules_come_before_the_project_is_looked_up(server: Running) -> None:
    # An unknown project must not be told apart from a known one by a request that is wrong anyway.
    rule = IssueRtcTokenRequest(project="nowhere", channel_name="c", uid=0, role=RTC_ROLE_PUBLISHER)
    rules = IssueRtcTokenRequest(
        project="nowhere", any_channel=AnyChannel(), any_user=AnyUser(), role=RTC_ROLE_PUBLISHER
    )
    for request in (rule, rules):
        assert (await refused(server.stub.IssueRtcToken(request))).reason == "INVALID_REQUEST"


async def test_an_issued_token_is_logged_by_its_fingerprint(server: Running) -> None:
    response = await server.stub.IssueRtcToken(VALID, metadata=[("x-request-id", "req-1")])
    (line,) = server.log
    expected = {
        "event": "issued",
        "method": "IssueRtcToken",
        "project": "classroom",
        "key_id": "cert-2",
        "token_id": response.issued_token.token_id,
        "request_id": "req-1",
    }
    assert expected.items() <= line.items()
    assert line["peer"].startswith("ipv4:127.0.0.1:")


async def test_a_refusal_is_logged_with_its_rules_and_without_its_values(server: Running) -> None:
    await refused(server.stub.IssueRtcToken(IssueRtcTokenRequest(channel_name="secret\n", uid=0)))
    (line,) = server.log
    assert (line["event"], line["reason"]) == ("refused", "INVALID_REQUEST")
    assert "uid=INT64_GTE_LTE" in line["violations"]
    assert "secret" not in server.output.getvalue()


async def test_no_other_header_is_taken_for_the_request_id(server: Running) -> None:
    around = [("a-header", "before"), ("x-request-id", "req-1"), ("z-header", "behind")]
    await server.stub.IssueRtcToken(VALID, metadata=around)
    await server.stub.IssueRtcToken(VALID, metadata=[around[0], around[2]])
    assert [line.get("request_id") for line in server.log] == ["req-1", None]


async def test_an_oversized_request_id_is_not_logged(server: Running) -> None:
    await server.stub.IssueRtcToken(VALID, metadata=[("x-request-id", "r" * 129)])
    assert "request_id" not in server.log[0]


async def test_many_calls_at_once_are_all_answered_with_tokens_of_their_own() -> None:
    async with running(keyring()) as server:
        responses = await asyncio.gather(*[server.stub.IssueRtcToken(VALID) for _ in range(200)])
    assert len({response.issued_token.token for response in responses}) == 200
