"""Listen addresses: their types in the configuration, and which of them exclude each other."""

import os
import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Final

from pydantic import AfterValidator

from token_authority_server.config.values import repeated_in

# A host without colons, or an IPv6 address in brackets.
_HOST_PORT: Final = re.compile(r"(?P<host>[^:\[\]]+|\[[^\[\]]+\]):(?P<port>[0-9]{1,5})")
# The size of sun_path in struct sockaddr_un, without the terminating NUL.
_MAX_SOCKET_PATH: Final = 107


def _address(value: str) -> str:
    if not value.isprintable() or "%" in value:
        raise ValueError("must not contain '%', line breaks or other unprintable characters")
    if value.startswith("unix:"):
        if not value.startswith("unix:/") or value.endswith("/"):
            raise ValueError('a unix socket needs an absolute path, like "unix:/run/ta/ta.sock"')
        if len(value.encode()) > _MAX_SOCKET_PATH + len("unix:"):
            raise ValueError(
                f"a unix socket's path must not be longer than {_MAX_SOCKET_PATH} bytes"
            )
        return value
    match = _HOST_PORT.fullmatch(value)
    try:
        # No host names, not even "localhost": one may resolve to several addresses, some in use.
        is_address = match and int(match["port"]) <= 65535 and ip_address(_host(value))
    except ValueError:
        is_address = False
    if not is_address:
        raise ValueError(
            'must be "ADDRESS:PORT", like "127.0.0.1:50051", "0.0.0.0:50051" or "[::1]:50051", or '
            '"unix:/path"'
        )
    return value


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def is_local(address: str) -> bool:
    """Whether only this machine can reach a listen address."""
    return address.startswith("unix:") or ip_address(_host(address)).is_loopback


def sharing_a_port(addresses: Sequence[str]) -> tuple[str, str] | None:
    """Returns the first two listen addresses of which only one could be listened on, or None.

    `0.0.0.0` includes every IPv4 address, and `[::]` every address.
    """
    for index, address in enumerate(addresses):
        for other in addresses[:index]:
            if _overlap(other, address):
                return other, address
    return None


def _overlap(one: str, other: str) -> bool:
    if one.startswith("unix:") or other.startswith("unix:"):
        return os.path.normpath(one) == os.path.normpath(other)
    port = one.rpartition(":")[2]
    if int(port) == 0 or int(port) != int(other.rpartition(":")[2]):
        return False
    hosts = {_plain_host(one), _plain_host(other)}
    versions = {host.version for host in hosts}
    return len(hosts) == 1 or any(
        host.is_unspecified and (host.version == 6 or versions == {4}) for host in hosts
    )


def _plain_host(address: str) -> IPv4Address | IPv6Address:
    host = ip_address(_host(address))
    return getattr(host, "ipv4_mapped", None) or host


def _each_once(values: tuple[str, ...]) -> tuple[str, ...]:
    if repeated := repeated_in(value for value in values if not value.endswith(":0")):
        raise ValueError(f"{repeated[0]} is listed twice: remove one")
    return values


Address = Annotated[str, AfterValidator(_address)]
Addresses = Annotated[tuple[Address, ...], AfterValidator(_each_once)]
