import asyncio
import inspect
import socket
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import grpc
import pytest
import trustme
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from support.clients import CLIENTS, SERVICES, Either, answering, method_name
from support.decoding import decode
from support.keys import APP_ID, CERTIFICATE, NOW_MS, SECRET_KEY
from support.serving import Running, running
from token_authority.v1.issued_token_pb2 import IssuedToken
from token_authority.v1.rtc_pb2 import IssueRtcTokenResponse
from token_authority_client import (
    AsyncTokenAuthorityClient,
    ClientClosed,
    ConfigurationError,
    DeadlineExceeded,
    Decision,
    FailedPrecondition,
    FieldViolation,
    InternalError,
    InvalidRequest,
    PermissionDenied,
    RateLimited,
    ResourceExhausted,
    RtcPrivileges,
    RtmLogin,
    TokenAuthorityClient,
    TokenAuthorityError,
    TooManyInFlight,
    Unavailable,
    Unimplemented,
)

HOUR = timedelta(hours=1)
NOW = datetime.fromtimestamp(NOW_MS // 1000, UTC)


RTC = {"channel": "lesson-1", "uid": 7, "role": "publisher", "project": "classroom"}
ROOM = {"room": "4a50cb3b6a0c4b5e", "role": "writer", "project": "classroom"}


def test_there_is_a_method_for_each_rpc() -> None:
    other_names = {"BatchIssueTokens": "issue_many"}
    for service in SERVICES:
        for method in service.methods:
            name = other_names.get(method.name, method_name(method.name))
            for client in CLIENTS:
                assert callable(getattr(client, name))


@pytest.mark.parametrize("limit", [5, 2.5, timedelta(seconds=5), timedelta(days=1), 86400])
async def test_a_timeout_is_seconds_or_a_timedelta(
    client_type: Any, server: Running, limit: Any
) -> None:
    either = Either(client_type(server.address, project="classroom", timeout=limit))
    assert (await either.issue_rtc_token(**RTC)).token
    await either.close()


@pytest.mark.parametrize("timeout", ["5s", None, True, 0, -1, 86401, float("nan"), float("inf")])
def test_any_other_timeout_is_refused(client_type: Any, timeout: Any) -> None:
    with pytest.raises(ConfigurationError, match="timeout must be"):
        client_type("127.0.0.1:1", timeout=timeout)
    if timeout is not None:
        with pytest.raises(ConfigurationError, match=r"timedelta\(seconds=5\)"):
            client_type("127.0.0.1:1").with_options(timeout=timeout)


async def test_an_rtc_token_is_a_small_frozen_value(either: Either) -> None:
    issued = await either.issue_rtc_token(**RTC, ttl=HOUR)
    assert decode(issued.token).verifies(CERTIFICATE)
    assert issued.format == "007"
    assert (issued.key_id, issued.app_id) == ("cert-2", APP_ID)
    assert issued.issue_time == NOW
    assert issued.expire_time == NOW + HOUR
    assert issued.renew_time == NOW + HOUR * 0.9
    assert issued.advisories == ()
    assert issued.token not in repr(issued)
    assert issued.token_id in repr(issued)
    with pytest.raises(AttributeError):
        issued.token = "x"


async def test_every_argument_of_an_rtc_token_arrives(either: Either) -> None:
    issued = await either.issue_rtc_token(
        project="classroom",
        any_channel=True,
        user_account="alice",
        privileges=RtcPrivileges(
            join_channel=timedelta(seconds=40),
            publish_audio=timedelta(seconds=30),
            publish_video=timedelta(seconds=20),
            publish_data=timedelta(seconds=10),
        ),
        expire_time=(NOW + timedelta(seconds=50)).astimezone(timezone(timedelta(hours=8))),
        format="007",
        rtm=RtmLogin("al", timedelta(seconds=5)),
    )
    fields = decode(issued.token).fields
    assert fields["expire"] == 50
    assert fields["services"] == [
        {
            "type": 1,
            "privileges": {1: 40, 2: 30, 3: 20, 4: 10},
            "channel_name": "*",
            "uid": "alice",
        },
        {"type": 2, "privileges": {1: 5}, "user_id": "al"},
    ]


async def test_a_006_token_for_any_user(either: Either) -> None:
    issued = await either.issue_rtc_token(
        project="classroom", channel="c", any_user=True, role="subscriber", format="006"
    )
    assert issued.format == "006"
    assert decode(issued.token).verifies(CERTIFICATE, "c", "")
    reasons = [advisory.reason for advisory in issued.advisories]
    assert reasons == ["SUBSCRIBER_NOT_ENFORCED", "LEGACY_FORMAT_006", "ANY_USER"]


@pytest.mark.parametrize(
    ("scope", "prefix"), [({"room": "r"}, "ROOM"), ({"task": "t"}, "TASK"), ({"sdk": True}, "SDK")]
)
async def test_whiteboard_tokens(either: Either, scope: dict[str, Any], prefix: str) -> None:
    issued = await either.issue_whiteboard_token(
        **scope, role="reader", project="classroom", ttl=timedelta(milliseconds=1500)
    )
    decoded = decode(issued.token)
    assert decoded.fields["prefix"] == f"NETLESS{prefix}_"
    assert decoded.fields["role"] == "2"
    assert decoded.fields["expireAt"] == str(NOW_MS + 1500)
    assert decoded.verifies(SECRET_KEY)
    assert (issued.format, issued.app_id) == ("netless", "")


async def test_a_whiteboard_token_that_never_expires(either: Either) -> None:
    issued = await either.issue_whiteboard_token(**ROOM, non_expiring=True)
    assert issued.expire_time is None
    assert issued.renew_time is None


async def test_validate_only_answers_with_a_decision(either: Either) -> None:
    decision = await either.validate_only.issue_rtc_token(**RTC)
    assert decision == Decision("tester", "all-of-classroom", HOUR, timedelta(days=1), "cert-2", ())


async def test_a_client_may_have_a_project_of_its_own(server: Running, client_type: Any) -> None:
    either = Either(client_type(server.address, project="rtc-only"))
    await either.issue_rtc_token(channel="c", uid=1, role="publisher")
    await either.issue_rtc_token(**RTC)
    assert [line["project"] for line in server.log] == ["rtc-only", "classroom"]
    await either.close()


async def test_an_invalid_request_has_fields_and_advice(either: Either) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await either.issue_rtc_token(channel="c", uid=0, role="publisher", project="classroom")
    error = caught.value
    assert error.reason == "INVALID_REQUEST"
    assert error.violations == (
        FieldViolation(
            "uid", "INT64_GTE_LTE", "must be from 1 to 4294967295 (to admit anyone, set any_user)"
        ),
    )
    assert "any_user" in error.advice
    assert "any_user" in str(error)
    assert error.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("project", "error", "reason"),
    [
        ("nowhere", PermissionDenied, "GRANT_MISSING"),
        ("whiteboard-only", FailedPrecondition, "PROJECT_LACKS_PRODUCT"),
        ("retired", FailedPrecondition, "NO_ACTIVE_KEY"),
    ],
)
async def test_a_refusal_has_its_own_exception(
    either: Either, project: str, error: type[TokenAuthorityError], reason: str
) -> None:
    with pytest.raises(error) as caught:
        await either.issue_rtc_token(**{**RTC, "project": project})
    assert caught.value.reason == reason
    assert caught.value.advice
    assert caught.value.metadata["project"] == project


async def test_what_a_message_cannot_say_is_refused_before_it_is_sent(
    either: Either, server: Running
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await either.issue_rtc_token(**{**RTC, "uid": "7"})
    assert [violation.field for violation in caught.value.violations] == ["uid"]
    assert caught.value.reason == "INVALID_REQUEST"
    assert caught.value.advice
    assert server.log == []


async def test_a_closed_client_says_so(either: Either) -> None:
    await either.issue_rtc_token(**RTC)
    await either.close()
    with pytest.raises(ClientClosed, match="create a new one"):
        await either.issue_rtc_token(**RTC)
    await either.close()


async def test_no_server_is_unavailable_and_the_advice_names_the_target(client_type: Any) -> None:
    either = Either(client_type("127.0.0.1:1"))
    with pytest.raises(Unavailable, match=r"nothing listens at 127\.0\.0\.1:1: ") as caught:
        await either.issue_rtc_token(**RTC)
    assert caught.value.reason == "NOTHING_LISTENS"
    assert caught.value.advice
    await either.close()


@contextmanager
def silent() -> Generator[str]:
    """A port that takes connections and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


async def test_a_server_that_does_not_answer_exceeds_the_deadline(client_type: Any) -> None:
    with silent() as target:
        either = Either(client_type(target, timeout=timedelta(milliseconds=300)))
        with pytest.raises(DeadlineExceeded, match="then does not answer: check the port"):
            await either.issue_rtc_token(**RTC)
        await either.close()


async def test_a_server_of_another_kind_is_unimplemented(client_type: Any) -> None:
    other = aio.server()
    port = other.add_insecure_port("127.0.0.1:0")
    await other.start()
    either = Either(client_type(f"127.0.0.1:{port}"))
    with pytest.raises(Unimplemented, match="check that"):
        await either.issue_rtc_token(**RTC)
    await either.close()
    await other.stop(None)


async def test_a_draining_server_answers_and_then_is_unavailable(server: Running) -> None:
    async with AsyncTokenAuthorityClient(server.address, timeout=timedelta(seconds=20)) as client:
        await client.issue_rtc_token(**RTC)  # type: ignore[arg-type]
        stopping = asyncio.create_task(server.server.stop(notice_seconds=1, grace_seconds=0))
        await asyncio.sleep(0.1)
        assert await client.issue_rtc_token(**RTC)  # type: ignore[arg-type]
        await stopping
        with pytest.raises(Unavailable):
            await client.issue_rtc_token(**RTC)  # type: ignore[arg-type]


async def test_cancelled_by_a_stopping_server_is_retried_and_then_unavailable(
    client_type: Any,
) -> None:
    calls = list[str]()

    class Stopping(grpc.GenericRpcHandler):
        """Answers as a server that stops does (grpc/grpc#41785)."""

        def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
            async def cancel(_: bytes, context: Any) -> bytes:
                calls.append(handler_call_details.method)
                await context.abort(grpc.StatusCode.CANCELLED, "Cancelled")
                return b""

            return grpc.unary_unary_rpc_method_handler(cancel)

    other = aio.server()
    other.add_generic_rpc_handlers((Stopping(),))
    port = other.add_insecure_port("127.0.0.1:0")
    await other.start()
    either = Either(client_type(f"127.0.0.1:{port}", timeout=timedelta(seconds=20)))
    with pytest.raises(Unavailable, match="stopped before it answered: retry") as caught:
        await either.issue_rtc_token(**RTC)
    assert caught.value.code == "UNAVAILABLE"
    assert caught.value.advice.startswith("retry: another replica")
    assert len(calls) == 5, "an idempotent call is tried again"
    await either.close()
    await other.stop(None)


async def test_an_oversized_request_is_invalid_and_a_huge_one_exhausts_resources() -> None:
    async with (
        running(max_request_bytes=4096) as server,
        AsyncTokenAuthorityClient(server.address) as client,
    ):
        with pytest.raises(InvalidRequest, match="larger than 4096 bytes"):
            await client.issue_rtc_token(channel="c" * 5000, uid=1, role="publisher")
        with pytest.raises(ResourceExhausted, match="send less"):
            await client.issue_rtc_token(channel="c" * 5_000_000, uid=1, role="publisher")


async def test_a_defect_of_the_server_is_an_internal_error() -> None:
    def broken() -> Any:
        raise RuntimeError

    async with (
        running(moments=broken) as server,
        AsyncTokenAuthorityClient(server.address) as client,
    ):
        with pytest.raises(InternalError) as caught:
            await client.issue_rtc_token(channel="c", uid=1, role="publisher")
    assert caught.value.reason == "INTERNAL_ERROR"
    assert caught.value.metadata["error_id"] in str(caught.value)


def token(**changes: Any) -> bytes:
    fields = {"token": "007…", "token_id": "t", "format": 2, "key_id": "k", **changes}
    return IssueRtcTokenResponse(issued_token=IssuedToken(**fields)).SerializeToString()


STRANGE = {
    "nothing": b"",
    "noise": b"\xff\xff\xff",
    "no token": token(token=""),
    "a time beyond all": token(issue_time={"seconds": 2**62}),
    "a time of two seconds in nanoseconds": token(issue_time={"nanos": 2 * 10**9}),
}


@pytest.mark.parametrize("answer", STRANGE.values(), ids=STRANGE)
async def test_a_strange_answer_is_an_internal_error(client_type: Any, answer: bytes) -> None:
    async def call(_: bytes, __: Any) -> bytes:
        return answer

    async with answering(call) as target:
        either = Either(client_type(target))
        with pytest.raises(InternalError):
            await either.issue_rtc_token(**RTC)
        if answer != STRANGE["a time beyond all"]:
            with pytest.raises(InternalError):
                await either.validate_only.issue_rtc_token(**RTC)
        await either.close()


async def test_a_format_of_a_newer_server_does_not_lose_the_token() -> None:
    async def call(_: bytes, __: Any) -> bytes:
        return token(format=99)

    async with answering(call) as target, AsyncTokenAuthorityClient(target) as client:
        issued = await client.issue_rtc_token(channel="c", uid=1, role="publisher")
    assert (issued.token, issued.format) == ("007…", "unknown")


def details(*messages: Any, domain: str = "token-authority", reason: str = "R") -> bytes:
    status = status_pb2.Status(code=7, message="no")
    info = error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata={"advice": "A"})
    for message in (info, *messages):
        status.details.add().Pack(message)
    return status.SerializeToString()


FOREIGN = {
    "noise": b"\xff\xff",
    "another domain": details(domain="example.com"),
    "a delay beyond all": details(error_details_pb2.RetryInfo(retry_delay={"seconds": 2**62})),
    "a detail that is noise": status_pb2.Status(
        details=[{"type_url": "type.googleapis.com/google.rpc.ErrorInfo", "value": b"\xff"}]
    ).SerializeToString(),
}


@pytest.mark.parametrize("sent", FOREIGN.values(), ids=FOREIGN)
async def test_details_that_are_not_ours_are_not_read(sent: bytes) -> None:
    async def fail(_: bytes, context: Any) -> bytes:
        await context.abort(
            grpc.StatusCode.PERMISSION_DENIED, "no", (("grpc-status-details-bin", sent),)
        )
        return b""

    async with answering(fail) as target, AsyncTokenAuthorityClient(target) as client:
        with pytest.raises(PermissionDenied, match="no") as caught:
            await client.issue_rtc_token(channel="c", uid=1, role="publisher")
    assert caught.value.reason == ""


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("R", ResourceExhausted),
        ("RATE_LIMITED", RateLimited),
        ("TOO_MANY_IN_FLIGHT", TooManyInFlight),
    ],
)
async def test_the_time_to_wait_is_passed_on(reason: str, error: type[TokenAuthorityError]) -> None:
    async def fail(_: bytes, context: Any) -> bytes:
        retry = error_details_pb2.RetryInfo(retry_delay={"seconds": 3})
        metadata = (("grpc-status-details-bin", details(retry, reason=reason)),)
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no", metadata)
        return b""

    async with answering(fail) as target, AsyncTokenAuthorityClient(target) as client:
        with pytest.raises(ResourceExhausted) as caught:
            await client.issue_rtc_token(channel="c", uid=1, role="publisher")
    assert type(caught.value) is error
    assert caught.value.retry_after == timedelta(seconds=3)
    assert (caught.value.reason, caught.value.advice) == (reason, "A")


async def test_credentials_secure_the_connection(client_type: Any) -> None:
    async def call(_: bytes, context: Any) -> bytes:
        assert context.auth_context()["transport_security_type"] == [b"ssl"]
        return token()

    ours, other = trustme.CA(), trustme.CA()
    certificate = ours.issue_cert("localhost")
    pair = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())
    async with answering(call, grpc.ssl_server_credentials([pair])) as target:
        trusting = grpc.ssl_channel_credentials(ours.cert_pem.bytes())
        either = Either(client_type(target, credentials=trusting))
        assert (await either.issue_rtc_token(**RTC)).token == "007…"
        await either.close()
        for credentials in (None, grpc.ssl_channel_credentials(other.cert_pem.bytes())):
            either = Either(
                client_type(target, credentials=credentials, timeout=timedelta(seconds=1))
            )
            with pytest.raises((Unavailable, DeadlineExceeded)):
                await either.issue_rtc_token(**RTC)
            await either.close()


async def test_a_proxy_of_the_environment_is_not_asked_for_the_loopback(
    client_type: Any, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "grpc_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    either = Either(client_type(server.address))
    await either.issue_rtc_token(**RTC)
    await either.close()


@pytest.mark.parametrize("timeout", [timedelta(0), timedelta(seconds=-1), timedelta(days=2)])
def test_a_timeout_that_makes_no_sense_is_refused(client_type: Any, timeout: timedelta) -> None:
    with pytest.raises(ValueError, match="at most a day"):
        client_type("127.0.0.1:1", timeout=timeout)


def test_the_default_deadline_is_five_seconds() -> None:
    for kind in (AsyncTokenAuthorityClient, TokenAuthorityClient):
        default = inspect.signature(kind).parameters["timeout"].default
        assert default == timedelta(seconds=5)


def test_an_asyncio_client_belongs_to_the_loop_of_its_first_call() -> None:
    client = AsyncTokenAuthorityClient("127.0.0.1:1", timeout=timedelta(milliseconds=200))

    async def ask(expected: type[TokenAuthorityError]) -> None:
        with pytest.raises(expected):
            await client.issue_rtc_token(channel="c", uid=1, role="publisher")

    asyncio.run(ask(DeadlineExceeded))
    asyncio.run(ask(ClientClosed))


async def test_closing_ends_calls_under_way(client_type: Any) -> None:
    with silent() as target:
        either = Either(client_type(target))
        call = asyncio.ensure_future(either.issue_rtc_token(**RTC))
        await asyncio.sleep(0.2)
        await either.close()
        with pytest.raises(ClientClosed):
            await call


async def test_a_cancelled_call_is_cancelled(server: Running) -> None:
    async with AsyncTokenAuthorityClient(server.address) as client:
        task = asyncio.create_task(client.issue_rtc_token(channel="c", uid=1, role="publisher"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
