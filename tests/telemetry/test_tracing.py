"""Traces: spans of calls, in memory and as a collector receives them."""

import gzip
import io
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
from grpc import aio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from support import granting
from support.keys import CERTIFICATE
from support.live import AUDIT, BEARER, BY_KEY, PROJECT, SERVER, live
from support.serving import refused, running
from support.waiting import until
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub
from token_authority_server.telemetry.log import make_logger
from token_authority_server.telemetry.tracing import CallTracer, make_tracer

VALID: Final = IssueRtcTokenRequest(
    project="classroom", channel_name="secret-channel", uid=7, role=RTC_ROLE_PUBLISHER
)
UNGRANTED: Final = IssueRtcTokenRequest(
    project="unknown", channel_name="secret-channel", uid=7, role=RTC_ROLE_PUBLISHER
)
METHOD: Final = "token_authority.v1.TokenService/IssueRtcToken"
TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT: Final = "00f067aa0ba902b7"
TRACEPARENT: Final = ("traceparent", f"00-{TRACE}-{PARENT}-01")
PASTED: Final = "007eJxTYPj48f"
WITH_KEY: Final = granting.callers(
    granting.caller(granting.grant(), identities=[granting.API_KEY_IDENTITY])
)


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(spans: InMemorySpanExporter) -> CallTracer:
    provider = TracerProvider(sampler=ParentBased(ALWAYS_ON), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return CallTracer(provider)


async def test_a_span_continues_the_clients_trace(tracer: Any, spans: Any) -> None:
    async with running(who=WITH_KEY, tracer=tracer) as server:
        metadata = (*BEARER, TRACEPARENT)
        answer = await server.stub.IssueRtcToken(VALID, metadata=metadata)
        await refused(server.stub.IssueRtcToken(UNGRANTED, metadata=metadata))
        issued, refusal = spans.get_finished_spans()
        lines = [line["trace_id"] for line in server.log if line["event"] in {"issued", "refused"}]
    for span in (issued, refusal):
        assert (span.name, span.kind) == (METHOD, SpanKind.SERVER)
        assert f"{span.parent.span_id:016x}" == PARENT
        assert f"{span.context.trace_id:032x}" == TRACE
        # A refusal is the client's fault.
        assert span.status.status_code is StatusCode.UNSET
        assert span.events == ()
        assert 0 < span.end_time - span.start_time < 60e9
    common = {"rpc.system.name": "grpc", "rpc.method": METHOD, "token_authority.caller": "tester"}
    assert dict(issued.attributes) == {**common, "rpc.response.status_code": "OK"}
    assert dict(refusal.attributes) == {
        **common,
        "rpc.response.status_code": "PERMISSION_DENIED",
        "token_authority.reason": "GRANT_MISSING",
    }
    assert lines == [TRACE, TRACE]
    text = issued.to_json() + refusal.to_json()
    for secret in (answer.issued_token.token, granting.API_KEY, CERTIFICATE, "secret-channel"):
        assert secret not in text


async def test_strangers_get_no_span_and_no_trace_id(tracer: Any, spans: Any) -> None:
    async with running(who=WITH_KEY, tracer=tracer) as server:
        await refused(server.stub.IssueRtcToken(VALID, metadata=(TRACEPARENT,)))
        assert spans.get_finished_spans() == ()
        assert "trace_id" not in server.log[-1]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00-zz-zz-01",
        f"00-{'0' * 32}-{PARENT}-01",
        "x" * 2000,
        f"00-{TRACE}-{PARENT}",
    ],
)
async def test_without_a_valid_parent_a_call_has_a_trace_of_its_own(
    tracer: Any, spans: Any, header: str
) -> None:
    async with running(who=WITH_KEY, tracer=tracer) as server:
        await server.stub.IssueRtcToken(VALID, metadata=(*BEARER, ("traceparent", header)))
        (span,) = spans.get_finished_spans()
        assert span.parent is None
        assert server.log[-1]["trace_id"] == f"{span.context.trace_id:032x}"


async def test_a_token_in_a_header_of_the_trace_is_not_passed_on(tracer: Any, spans: Any) -> None:
    async with running(who=WITH_KEY, tracer=tracer) as server:
        pasted = (("tracestate", f"a={PASTED}"), ("baggage", f"token={PASTED}"))
        await server.stub.IssueRtcToken(VALID, metadata=(*BEARER, TRACEPARENT, *pasted))
        (span,) = spans.get_finished_spans()
        assert PASTED not in span.to_json() + str(span.context.trace_state)
        assert f"{span.context.trace_id:032x}" == TRACE


async def test_a_trace_that_is_not_sampled_is_in_the_log_only(tracer: Any, spans: Any) -> None:
    async with running(who=WITH_KEY, tracer=tracer) as server:
        unsampled = ("traceparent", f"00-{TRACE}-{PARENT}-00")
        await server.stub.IssueRtcToken(VALID, metadata=(*BEARER, unsampled))
        assert spans.get_finished_spans() == ()
        assert server.log[-1]["trace_id"] == TRACE


@contextmanager
def collector() -> Generator[tuple[str, list[bytes]]]:
    """Receives OTLP over HTTP; yields its address and the bodies."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # http.server's name
            data = self.rfile.read(int(self.headers["Content-Length"]))
            is_compressed = self.headers.get("Content-Encoding") == "gzip"
            assert self.path == "/v1/traces"
            bodies.append(gzip.decompress(data) if is_compressed else data)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", bodies
    finally:
        server.shutdown()
        server.server_close()


async def test_a_collector_receives_spans_without_secrets(tmp_path: Path) -> None:
    with collector() as (endpoint, bodies):
        variables: dict[str, Any] = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_SERVICE_NAME": "tokens",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            "OTEL_TRACES_SAMPLER": "parentbased_always_off",
        }
        async with (
            live(tmp_path, SERVER + AUDIT + PROJECT + BY_KEY, **variables) as server,
            aio.insecure_channel(server.address) as channel,
        ):
            stub: Any = TokenServiceStub(channel)
            answer = await stub.IssueRtcToken(VALID, metadata=(*BEARER, TRACEPARENT))
            # The sampler drops it: it has no sampled parent.
            await stub.IssueRtcToken(VALID, metadata=BEARER)
            await refused(stub.IssueRtcToken(UNGRANTED, metadata=(*BEARER, TRACEPARENT)))
            await until(lambda: len(server.records) >= 4)
            await until(lambda: len(server.events("issued")) == 2)
        # Stopping exports what is left.
        requests = [ExportTraceServiceRequest.FromString(body) for body in bodies]
    resources = [one for request in requests for one in request.resource_spans]
    spans = [span for one in resources for scope in one.scope_spans for span in scope.spans]
    attributes = {item.key: item.value.string_value for item in resources[0].resource.attributes}
    assert attributes["service.name"] == "tokens"
    assert attributes["deployment.environment.name"] == "test"
    assert attributes["service.version"]
    assert [(span.name, span.trace_id.hex()) for span in spans] == [(METHOD, TRACE)] * 2
    assert {span.parent_span_id.hex() for span in spans} == {PARENT}
    sent = b"".join(bodies)
    for secret in (answer.issued_token.token, granting.API_KEY, CERTIFICATE, "secret-channel"):
        assert secret.encode() not in sent
    _, first, unsampled, refusal = server.records
    assert first["trace_id"] == refusal["trace_id"] == TRACE
    assert len(unsampled["trace_id"]) == 32
    assert server.events("issued")[0]["trace_id"] == TRACE
    assert not server.events("traces are not exported")


async def test_a_collector_that_is_gone_fails_no_call_and_no_stop(tmp_path: Path) -> None:
    variables: dict[str, Any] = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:a-password@127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=a-secret-header,broken header",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    async with (
        live(tmp_path, SERVER + PROJECT + BY_KEY, **variables) as server,
        aio.insecure_channel(server.address) as channel,
    ):
        stub: Any = TokenServiceStub(channel)
        await stub.IssueRtcToken(VALID, metadata=(*BEARER, TRACEPARENT))
        await until(lambda: server.events("traces are not exported"))
        await stub.IssueRtcToken(VALID, metadata=(*BEARER, TRACEPARENT))
    # `live` has checked the exit code, and that each line is JSON.
    (line,) = server.events("traces are not exported")
    assert line["at"].startswith("opentelemetry.")
    for secret in ("a-password", "a-secret-header"):
        assert secret not in server.output


COLLECTOR: Final = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_SERVICE_NAME": "tokens"},
        COLLECTOR | {"OTEL_SDK_DISABLED": "true"},
        COLLECTOR | {"OTEL_SDK_DISABLED": "True"},
        COLLECTOR | {"OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_traces_are_off_unless_a_collector_is_named(variables: dict[str, str]) -> None:
    output = io.StringIO()
    assert make_tracer(variables, "1.0", make_logger("json", "debug", output)) is None
    assert output.getvalue() == ""


def test_a_protocol_that_is_not_supported_is_warned_about() -> None:
    output = io.StringIO()
    variables = COLLECTOR | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    assert make_tracer(variables, "1.0", make_logger("json", "debug", output)) is None
    assert "traces are off" in output.getvalue()


def test_missing_packages_are_warned_about() -> None:
    code = """
import io, sys
from importlib.abc import MetaPathFinder
class Missing(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.startswith("opentelemetry"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
from token_authority_server.telemetry.log import make_logger
from token_authority_server.telemetry.tracing import make_tracer
output = io.StringIO()
collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
assert make_tracer(collector, "1.0", make_logger("json", "debug", output)) is None
print(output.getvalue())
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert "install agora-token-authority[otel]" in ran.stdout


def test_a_server_without_traces_does_not_import_opentelemetry() -> None:
    code = (
        "import sys, token_authority_server.process.serve\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
