"""Opens connections as gRPC does: to addresses, unix sockets, and through HTTP proxies."""

import base64
import errno
import os
import socket
from dataclasses import dataclass
from typing import Final

from token_authority_client._diagnosis import Diagnosed
from token_authority_client._proxy import Proxy, proxy_to
from token_authority_client._target import Endpoint, Target

LIMIT_SECONDS: Final = 1.0
"""How long a diagnosis waits for peers in all."""
_CONNECT_SECONDS: Final = LIMIT_SECONDS * 0.8
_MAX_ANSWER_BYTES: Final = 8192
_MAX_STATUS: Final = 100


@dataclass(frozen=True, slots=True)
class Route:
    """The way to one endpoint: direct, or through a proxy."""

    endpoint: Endpoint
    """The server's address."""
    proxy: Proxy | None = None
    """The proxy that connects to it; None: direct."""

    def __str__(self) -> str:
        return f"{self.endpoint} through {self.proxy}" if self.proxy else str(self.endpoint)

    def resolve(self) -> list[str]:
        """Returns the addresses to connect to, without ports: the proxy's if there is one.

        Raises:
            Diagnosed: The name has no address.
        """
        if self.proxy is not None:
            addresses = _resolve(self.proxy.host, self.proxy.port)
            if not addresses:
                raise _unreachable(self, self.proxy, "its name has no address")
            return addresses
        addresses = _resolve(self.endpoint.host, self.endpoint.port)
        if not addresses:
            raise Diagnosed(
                "NAME_NOT_FOUND",
                f"the name {self.endpoint.host} has no address",
                "check its spelling and this machine's DNS",
            )
        return addresses

    def connect(self) -> socket.socket:
        """Opens a connection.

        Raises:
            Diagnosed: The connection failed.
        """
        if self.endpoint.path:
            return _connect_unix(self.endpoint)
        addresses = self.resolve()
        if self.proxy is not None:
            return self._tunnel(self.proxy, len(addresses))
        try:
            return _connect(self.endpoint, len(addresses))
        except ConnectionRefusedError:
            raise Diagnosed(
                "NOTHING_LISTENS",
                f"nothing listens at {self.endpoint}",
                "start the token authority there, or correct host and port",
            ) from None
        except OSError as error:
            raise Diagnosed(
                "NO_ROUTE",
                f"{self.endpoint} does not answer ({_problem(error)})",
                "check host and port, firewalls and network policies",
            ) from None

    def _tunnel(self, proxy: Proxy, addresses: int) -> socket.socket:
        """Asks the proxy for a connection to the endpoint."""
        try:
            connection = _connect(Endpoint(proxy.host, proxy.port), addresses)
        except OSError as error:
            raise _unreachable(self, proxy, _problem(error)) from None
        try:
            connection.sendall(_connect_request(self.endpoint, proxy))
            answer = _read_head(connection)
        except OSError as error:
            connection.close()
            raise _unreachable(self, proxy, _problem(error)) from None
        version, _, status = answer.partition(b"\r\n")[0].partition(b" ")
        if version.startswith(b"HTTP/1.") and status.startswith(b"2"):
            return connection
        connection.close()
        is_http = version.startswith(b"HTTP/1.") and status[:3].isdigit()
        raise _refused(self, proxy, _shown(status) if is_http else "")


def routes_to(target: Target) -> list[Route]:
    """Returns the routes to all endpoints of a target."""
    proxy = proxy_to(target, os.environ)
    return [Route(endpoint, proxy) for endpoint in target.endpoints]


def _resolve(host: str, port: int) -> list[str]:
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys([str(row[4][0]) for row in rows]))


def _connect(endpoint: Endpoint, addresses: int) -> socket.socket:
    # The time limit is per address.
    return socket.create_connection((endpoint.host, endpoint.port), _CONNECT_SECONDS / addresses)


def _connect_unix(endpoint: Endpoint) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(endpoint.path)
    except OSError as error:
        connection.close()
        problem = f"{endpoint} cannot be opened ({_problem(error)})"
        if error.errno in {errno.EACCES, errno.EPERM}:
            advice = "run as a user or group with permission to open it and its folders"
            raise Diagnosed("SOCKET_FORBIDDEN", problem, advice) from None
        advice = "start the token authority with this socket, or correct the path"
        raise Diagnosed("NOTHING_LISTENS", problem, advice) from None
    connection.settimeout(LIMIT_SECONDS / 2)
    return connection


def _connect_request(endpoint: Endpoint, proxy: Proxy) -> bytes:
    lines = [f"CONNECT {endpoint} HTTP/1.1", f"Host: {endpoint}"]
    if proxy.user_info:
        credential = base64.b64encode(proxy.user_info.encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {credential}")
    return "\r\n".join([*lines, "", ""]).encode()


def _read_head(connection: socket.socket) -> bytes:
    """Reads the head of an HTTP response and nothing after it."""
    answer = b""
    while not answer.endswith(b"\r\n\r\n") and len(answer) < _MAX_ANSWER_BYTES:
        byte = connection.recv(1)
        if not byte:
            break
        answer += byte
    return answer


def _shown(status: bytes) -> str:
    """Returns a status code and reason as a short line without control characters."""
    text = status[:_MAX_STATUS].decode("ascii", "replace")
    return "".join([char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text])


def _unreachable(route: Route, proxy: Proxy, problem: str) -> Diagnosed:
    return Diagnosed(
        "PROXY_UNREACHABLE",
        f"{proxy} cannot be reached ({problem})",
        f"correct {proxy.variable}, {_without(route, proxy)}",
    )


def _refused(route: Route, proxy: Proxy, status: str) -> Diagnosed:
    """Returns why the proxy opened no connection.

    Args:
        route: The way to the server.
        proxy: The proxy.
        status: Its HTTP status code and reason; "": it answered with something else.
    """
    if not status:
        problem, advice = "does not answer like an HTTP proxy", f"correct {proxy.variable}"
    elif status.startswith("407"):
        problem = f"does not accept the user and password in {proxy.variable} ({status})"
        advice = "write them as http://USER:PASSWORD@HOST:PORT"
    else:
        problem = f"does not connect to {route.endpoint} ({status})"
        advice = f"allow {route.endpoint} on the proxy"
    return Diagnosed("PROXY_REFUSED", f"{proxy} {problem}", f"{advice}, {_without(route, proxy)}")


def _without(route: Route, proxy: Proxy) -> str:
    return f"or add {route.endpoint.host} to {proxy.exceptions} to connect without a proxy"


def _problem(error: OSError) -> str:
    if isinstance(error, TimeoutError) or not error.strerror:
        return "no answer in time"
    return error.strerror
