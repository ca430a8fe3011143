import subprocess
import sys
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from support.clients import Either, answering
from support.serving import Running
from token_authority.v1.issued_token_pb2 import IssuedToken
from token_authority.v1.rtc_pb2 import IssueRtcTokenResponse
from token_authority_client import InvalidRequest, TokenAuthorityError

RTC = {"channel": "secret-channel", "uid": 7, "role": "publisher", "project": "classroom"}
NAME = "token_authority.v1.TokenService/IssueRtcToken"
KEY = "ta_key_0123456789"


@pytest.fixture(scope="module")
def exporter() -> Generator[InMemorySpanExporter]:
    """Takes the spans; a process has one tracer provider, and other tests may have set theirs."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trace, "get_tracer", provider.get_tracer)
        yield exporter


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Generator[Any]:
    exporter.clear()
    yield exporter.get_finished_spans
    exporter.clear()


def attributes(span: Any) -> dict[str, Any]:
    return dict(span.attributes)


async def test_a_call_is_a_client_span_with_standard_attributes(
    client_type: Any, server: Running, spans: Any
) -> None:
    either = Either(client_type(server.address))
    issued = await either.issue_rtc_token(**RTC)
    await either.close()
    (span,) = spans()
    assert (span.name, span.kind) == (NAME, trace.SpanKind.CLIENT)
    assert attributes(span) == {
        "rpc.system.name": "grpc",
        "rpc.method": NAME,
        "rpc.response.status_code": "OK",
        "server.address": "127.0.0.1",
        "server.port": int(server.address.rpartition(":")[2]),
    }
    assert span.status.status_code is trace.StatusCode.UNSET
    assert issued.token not in span.to_json()


async def test_the_first_traced_call_reads_no_files_on_the_event_loop(
    client_type: Any, server: Running, spans: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A program may have imported only opentelemetry.trace; importing the rest reads files.
    import opentelemetry  # noqa: PLC0415  # its attribute is what an import statement finds first

    monkeypatch.delattr(opentelemetry, "propagate", raising=False)
    monkeypatch.delitem(sys.modules, "opentelemetry.propagate", raising=False)
    either = Either(client_type(server.address))
    assert (await either.issue_rtc_token(**RTC)).token
    await either.close()
    assert len(spans()) == 1


async def test_a_refusal_is_in_the_span_without_what_was_asked(
    client_type: Any, server: Running, spans: Any
) -> None:
    either = Either(client_type(server.address))
    with pytest.raises(InvalidRequest):
        await either.issue_rtc_token(**{**RTC, "uid": 0})
    await either.close()
    (span,) = spans()
    assert attributes(span)["rpc.response.status_code"] == "INVALID_ARGUMENT"
    assert attributes(span)["error.type"] == "INVALID_ARGUMENT"
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.events == ()
    assert "secret-channel" not in span.to_json()


async def test_the_trace_goes_on_in_the_server(client_type: Any, spans: Any) -> None:
    seen: list[dict[str, Any]] = []

    async def answer(_: bytes, context: Any) -> bytes:
        seen.append(dict(context.invocation_metadata()))
        token = IssuedToken(token="007…")
        return IssueRtcTokenResponse(issued_token=token).SerializeToString()

    async with answering(answer) as target:
        either = Either(client_type(target, credential=KEY))
        with trace.get_tracer("test").start_as_current_span("outer") as outer:
            await either.issue_rtc_token(**RTC)
        await either.close()
    inner = spans()[0]
    assert inner.parent.span_id == outer.get_span_context().span_id
    trace_id, span_id = inner.context.trace_id, inner.context.span_id
    assert seen[0]["traceparent"].startswith(f"00-{trace_id:032x}-{span_id:016x}-")
    assert KEY not in inner.to_json()


async def test_a_socket_and_a_list_are_addresses_too(client_type: Any, spans: Any) -> None:
    for target in ("unix:/nowhere", "127.0.0.1:1,127.0.0.1:2"):
        either = Either(client_type(target, timeout=timedelta(milliseconds=100)))
        with pytest.raises(TokenAuthorityError):
            await either.issue_rtc_token(**RTC)
        await either.close()
    addresses = [attributes(span)["server.address"] for span in spans()]
    assert addresses == ["/nowhere", "127.0.0.1:1,127.0.0.1:2"]


def test_opentelemetry_is_not_imported_for_the_client() -> None:
    code = (
        "import sys, token_authority_client\n"
        "client = token_authority_client.TokenAuthorityClient('127.0.0.1:1')\n"
        "try: client.issue_chat_token(app=True)\n"
        "except token_authority_client.Unavailable: pass\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
