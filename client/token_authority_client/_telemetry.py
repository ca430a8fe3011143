"""OpenTelemetry spans for calls, in programs that trace.

Names and attributes follow the semantic conventions for gRPC clients. No span contains a token, a
credential or a request.
"""

import importlib
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from token_authority_client._errors import TokenAuthorityError
from token_authority_client._target import Target

Metadata = tuple[tuple[str, str], ...]
TRACE_MODULE: Final = "opentelemetry.trace"
"""Imported by every program that traces, so the client never imports it first."""
PROPAGATE_MODULE: Final = "opentelemetry.propagate"
_SCOPE: Final = "token_authority_client"


def load() -> None:
    """Imports what `span` needs; the import reads files."""
    importlib.import_module(PROPAGATE_MODULE)


@contextmanager
def span(path: str, target: Target) -> Generator[Metadata]:
    """Traces a call; yields the metadata that propagates the trace to the server.

    Args:
        path: The full path of the method, "/package.Service/Method".
        target: The server.
    """
    trace: Any = sys.modules[TRACE_MODULE]
    from opentelemetry import propagate  # noqa: PLC0415  # only programs that trace have it

    name = path.removeprefix("/")
    attributes: dict[str, Any] = {"rpc.system.name": "grpc", "rpc.method": name, **_server(target)}
    tracer = trace.get_tracer(_SCOPE)
    with tracer.start_as_current_span(
        name,
        kind=trace.SpanKind.CLIENT,
        attributes=attributes,
        # An exception's message may contain channel and user names.
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        try:
            yield tuple(carrier.items())
        except BaseException as error:
            code = error.code if isinstance(error, TokenAuthorityError) else "CANCELLED"
            current.set_attribute("rpc.response.status_code", code)
            current.set_attribute("error.type", code)
            current.set_status(trace.StatusCode.ERROR)
            raise
        current.set_attribute("rpc.response.status_code", "OK")


def _server(target: Target) -> dict[str, Any]:
    if len(target.endpoints) != 1:
        return {"server.address": target.text}
    (endpoint,) = target.endpoints
    if endpoint.path:
        return {"server.address": endpoint.path}
    return {"server.address": endpoint.host, "server.port": endpoint.port}
