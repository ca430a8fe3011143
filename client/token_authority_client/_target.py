"""Targets: as the user wrote them, as gRPC reads them, and as sockets connect to them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import Final
from urllib.parse import unquote

from token_authority_client._errors import unusable

_HOST_AND_PORT: Final = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[^\s:/,\[\]]+):(?P<port>[0-9]{1,5})"
)
_UNSENDABLE: Final = re.compile("[\\x00-\\x1f\\x7f\\ud800-\\udfff]")
_HOST: Final = re.compile(r"[\w.-]+")
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+-]*):(.*)", re.DOTALL)
_DNS: Final = re.compile(r"(?://([^/]*)/)?(.*)", re.DOTALL)
_WEB: Final = frozenset({"http", "https", "grpc", "grpcs", "tcp"})
_SHAPE: Final = (
    "write HOST:PORT, several IP addresses and ports separated by commas, dns:///NAME:PORT for all "
    "addresses of a name, or unix:/PATH"
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address: a host and a port, or the path of a unix socket."""

    host: str
    """The host's name or IP address; "" for a unix socket."""
    port: int
    """1 to 65535; 0 for a unix socket."""
    path: str = ""
    """The unix socket's path, starting with NUL if it is abstract; "" for a host."""

    @property
    def is_local(self) -> bool:
        """Whether traffic stays on this machine."""
        if self.path or self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """One server, or several replicas."""

    text: str
    """The target as the user wrote it."""
    for_grpc: str
    """The target in gRPC's syntax."""
    endpoints: tuple[Endpoint, ...]
    """The addresses; empty for schemes that only gRPC resolves, e.g. `xds:`."""

    @property
    def is_local(self) -> bool:
        """Whether traffic stays on this machine."""
        return bool(self.endpoints) and all(endpoint.is_local for endpoint in self.endpoints)


def parse(text: str) -> Target:
    """Reads a target.

    Raises:
        ConfigurationError: It is not a target.
    """
    scheme, rest = _split(text)
    if scheme in _WEB:
        raise unusable(
            f"the target {text!r} is a URL",
            f"write HOST:PORT without {scheme}://, and pass tls=Tls(…) (--tls or --ca) for TLS",
        )
    read = _READERS.get(scheme)
    return Target(text, text, ()) if read is None else read(text, rest)


def _split(text: str) -> tuple[str, str]:
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # users' code
        raise unusable(f"the target must be a str; got {type(text).__name__}", _SHAPE)
    if _UNSENDABLE.search(text):
        raise unusable(
            f"the target {text!r} contains control characters or bytes that are not UTF-8", _SHAPE
        )
    found = _SCHEME.fullmatch(text)
    if found is None or _HOST_AND_PORT.fullmatch(text):
        return "", text
    scheme, rest = found.groups()
    # gRPC may know other schemes, e.g. xds.
    is_scheme = scheme in _READERS or rest.startswith("//")
    return (scheme, rest) if is_scheme else ("", text)


def _unix(text: str, rest: str) -> Target:
    return _socket(text, re.sub(r"^//(?=/)", "", rest))


def _abstract(text: str, rest: str) -> Target:
    return _socket(text, f"\0{rest}")


def _socket(text: str, path: str) -> Target:
    if not path.strip("\0"):
        raise unusable(f"the target {text!r} has no path", "write unix:/PATH")
    return Target(text, text, (Endpoint("", 0, unquote(path)),))


def _dns(text: str, rest: str) -> Target:
    found = _DNS.fullmatch(rest)
    assert found is not None, "it matches anything"
    server, name = found.groups("")
    endpoint = _endpoint(text, name)
    # Another name server may resolve even "localhost" to another machine.
    return Target(text, text, () if server else (endpoint,))


def _addresses(text: str, rest: str) -> Target:
    return Target(text, text, _endpoints(text, rest))


def _bare(text: str, rest: str) -> Target:
    endpoints = _endpoints(text, rest)
    if len(endpoints) == 1:
        return Target(text, text, endpoints)
    return Target(text, f"{_family(text, endpoints)}:{rest}", endpoints)


def _endpoints(text: str, rest: str) -> tuple[Endpoint, ...]:
    return tuple([_endpoint(text, part) for part in rest.split(",")])


def _endpoint(text: str, part: str) -> Endpoint:
    found = _HOST_AND_PORT.fullmatch(part)
    if found is None or not 0 < int(found["port"]) < 65536:
        if _HOST.fullmatch(part):
            raise unusable(f"the target {text!r} has no port", f"for example, write {text}:50051")
        raise unusable(f"the target {text!r} is not an address", _SHAPE)
    return Endpoint(found["host"].strip("[]"), int(found["port"]))


def _family(text: str, endpoints: tuple[Endpoint, ...]) -> str:
    """Returns gRPC's scheme for a list of addresses."""
    try:
        addresses = [ip_address(endpoint.host) for endpoint in endpoints]
    except ValueError:
        addresses = []
    families = {isinstance(address, IPv4Address) for address in addresses}
    if len(families) != 1:
        raise unusable(
            f"the target {text!r} must list either IPv4 addresses or IPv6 addresses",
            "list addresses of one family, or write dns:///NAME:PORT for all addresses of a name",
        )
    return "ipv4" if families.pop() else "ipv6"


_READERS: Final[Mapping[str, Callable[[str, str], Target]]] = {
    "": _bare,
    "unix": _unix,
    "unix-abstract": _abstract,
    "dns": _dns,
    "ipv4": _addresses,
    "ipv6": _addresses,
}
