"""Spans of OpenTelemetry for calls, where the program traces; else this costs a dictionary lookup.

Names and attributes are those of the semantic conventions for gRPC clients. No span ever has a
token, a credential or a request.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from token_authority_client._errors import TokenAuthorityError
from token_authority_client._target import Target

Metadata = tuple[tuple[str, str], ...]
_TRACE: Final = "opentelemetry.trace"
_SCOPE: Final = "token_authority_client"


@contextmanager
def span(path: str, target: Target) -> Generator[Metadata]:
    """Traces a call; yields the metadata that carry the trace to the server.

    A program that has not imported OpenTelemetry's API has set up no tracing: so it is looked for,
    never imported first.

    Args:
        path: The method as it travels, "/package.Service/Method".
        target: Where the call goes.
    """
    trace: Any = sys.modules.get(_TRACE)
    if trace is None:
        yield ()
        return
    from opentelemetry import propagate  # noqa: PLC0415  # see above

    name = path.removeprefix("/")
    attributes: dict[str, Any] = {"rpc.system.name": "grpc", "rpc.method": name, **_server(target)}
    tracer = trace.get_tracer(_SCOPE)
    with tracer.start_as_current_span(
        name,
        kind=trace.SpanKind.CLIENT,
        attributes=attributes,
        # The message may name channels and users.
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
