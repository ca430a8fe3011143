"""Checks the steps of a connection one by one, for `token-authority doctor`."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Final, cast

import grpc

from token_authority_client import _grpc_errors, _probe
from token_authority_client._call_options import Timeout, seconds_of
from token_authority_client._channel import HEALTH_PATH, Channel
from token_authority_client._diagnosis import Diagnosed
from token_authority_client._dial import routes_to
from token_authority_client._errors import Unavailable
from token_authority_client._security import Security
from token_authority_client._settings import Credential, Tls
from token_authority_client._target import parse

_SERVING: Final = b"\x08\x01"
"""A HealthCheckResponse of grpc.health.v1 with the status SERVING."""
_NOT_READY: Final = "token-authority-not-ready"
"""Trailing metadata of a health check: the components that keep the server from serving."""
_CAUSES: Final = {
    "audit": "its required audit trail cannot be written",
    "certificate": "its TLS certificate has expired",
    "draining": "it is shutting down",
}


class ConnectionCheck:
    """Checks the steps of a connection to a server, without calling the token authority.

    Each step returns what it found, or None if it does not apply. It raises Unavailable, or
    Unauthenticated for client certificates, with `reason` and `advice`.

    Args:
        target: The server; see the clients' `target`.
        tls: TLS settings; None: plaintext.
        credential: The caller's credential.
        timeout: How long to wait for the health service: seconds or a timedelta.

    Raises:
        ConfigurationError: An argument is unusable.
    """

    def __init__(
        self,
        target: str,
        *,
        tls: Tls | None = None,
        credential: Credential | None = None,
        timeout: Timeout = 5.0,
    ) -> None:
        self._target = parse(target)
        self._routes = routes_to(self._target)
        self._seconds = seconds_of(timeout)
        self._security = Security(self._target, tls=tls, credential=credential, credentials=None)
        if self._security.is_due():
            self._security.read()

    @property
    def is_resolved_by_grpc(self) -> bool:
        """Whether only gRPC resolves the target, so that most steps do not apply."""
        return not self._target.endpoints

    def resolve(self) -> str | None:
        """Resolves the host names, or that of a proxy; returns the addresses.

        None for unix sockets.

        Raises:
            TokenAuthorityError: A name has no address.
        """
        routes = [route for route in self._routes if not route.endpoint.path]
        with _explained():
            addresses = [address for route in routes for address in route.resolve()]
        return ", ".join(addresses) or None

    def connect(self) -> str | None:
        """Opens a connection to each address; returns the addresses.

        Raises:
            TokenAuthorityError: A connection failed.
        """
        with _explained():
            for route in self._routes:
                route.connect().close()
        return ", ".join([str(route) for route in self._routes]) or None

    def handshake(self) -> str | None:
        """Performs the TLS handshakes; returns versions and certificates. None for plaintext.

        Raises:
            TokenAuthorityError: A handshake failed.
        """
        found = list[str]()
        with _explained():
            for route in self._routes:
                session = _probe.greet(route, self._security)
                if session is not None:
                    names = ", ".join(session.names)
                    found.append(f"{session.version}, {names} until {session.expires}")
        return "; ".join(found) or None

    def health(self) -> str | None:
        """Calls the gRPC health service; returns its status. None if the server has none.

        Raises:
            TokenAuthorityError: The server is not serving.
        """
        channel = Channel(grpc, self._target, self._security).channel
        try:
            check = channel.unary_unary(HEALTH_PATH)
            response, call = check.with_call(
                b"", timeout=self._seconds, metadata=self._security.metadata()
            )
        except grpc.RpcError as error:
            failed = cast("_grpc_errors.FailedCall", error)
            if failed.code() is grpc.StatusCode.UNIMPLEMENTED:
                return None
            if failed.code() is grpc.StatusCode.UNAVAILABLE:
                self._expect_http2()
            advice = "check the server's log"
            raise Unavailable(f"{failed.code().name}: {advice}", advice=advice) from None
        finally:
            channel.close()
        if response != _SERVING:
            raise _not_ready(call.trailing_metadata() or ())
        return "serving"

    def _expect_http2(self) -> None:
        """Raises if another protocol answers, which gRPC reports like a server in trouble.

        Only for UNAVAILABLE: a slow server would seem to be silent.
        """
        if not self._security.is_plaintext:
            return
        with _explained():
            for route in self._routes:
                if not _probe.speaks_http2(route):
                    raise Diagnosed(
                        "NO_GRPC",
                        f"{route.endpoint} answers, but not with gRPC",
                        "correct the port: it may be that of admin_listen",
                    )


def _not_ready(metadata: Iterable[tuple[str, str | bytes]]) -> Unavailable:
    """Names the causes that the server gives for not serving."""
    named = next((value for key, value in metadata if key == _NOT_READY), "")
    causes = [_CAUSES.get(name, name) for name in str(named).split(",") if name]
    problem = f"the server is not serving: {' and '.join(causes) or 'it gives no cause'}"
    advice = "see /readyz on its admin listener, or its log; another replica may answer"
    return Unavailable(f"{problem}: {advice}", advice=advice)


@contextmanager
def _explained() -> Generator[None]:
    """Converts exceptions of the probe to the client's exceptions."""
    try:
        yield
    except Diagnosed as found:
        raise _grpc_errors.caused(found.diagnosis, Unavailable) from None
    except (OSError, ValueError) as error:
        raise Unavailable(str(error)) from None
