"""The HTTP proxy that gRPC uses for a target, by the environment variables that it reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import unquote, urlsplit

from token_authority_client._target import Endpoint, Target

# In gRPC's order: https://github.com/grpc/grpc/blob/master/doc/environment_variables.md
_PROXY_VARIABLES: Final = ("grpc_proxy", "https_proxy", "http_proxy")
_EXCEPTION_VARIABLES: Final = ("no_grpc_proxy", "no_proxy")
_DEFAULT_PROXY_PORT: Final = 443


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that an environment variable selects."""

    variable: str
    """The environment variable, e.g. `https_proxy`."""
    host: str
    """The proxy's name or IP address."""
    port: int
    """The proxy's port."""
    user_info: str = field(default="", repr=False, compare=False)
    """The user and password, separated by a colon; "": none."""
    exceptions: str = field(default="no_proxy", compare=False)
    """The environment variable that lists hosts to connect to without a proxy."""

    def __str__(self) -> str:
        return f"the proxy {Endpoint(self.host, self.port)} ({self.variable})"


def proxy_to(target: Target, environment: Mapping[str, str]) -> Proxy | None:
    """Returns the proxy that gRPC uses for a target; None: it connects directly.

    Args:
        target: The server. Targets on this machine have no proxy: the channel disables it.
        environment: The environment variables.
    """
    if target.is_local or not target.endpoints:
        return None
    # The first variable that is set counts, even if gRPC cannot use its value.
    variable = next((name for name in _PROXY_VARIABLES if name in environment), "")
    exceptions = next((name for name in _EXCEPTION_VARIABLES if name in environment), "no_proxy")
    try:
        url = urlsplit(environment.get(variable, ""))
        host, port = url.hostname, url.port or _DEFAULT_PROXY_PORT
    except ValueError:
        return None
    if url.scheme != "http" or not host:
        return None
    if _is_excepted(target.endpoints[0].host, environment.get(exceptions, "")):
        return None
    user_info = unquote(url.netloc.rpartition("@")[0])
    return Proxy(variable, host, port, user_info, exceptions)


def _is_excepted(host: str, exceptions: str) -> bool:
    """Whether a list of name endings, addresses and networks contains a host, as gRPC reads it."""
    for entry in exceptions.split(","):
        if entry and host.lower().endswith(entry.strip().lower()):
            return True
        try:
            if "/" in entry and ip_address(host) in ip_network(entry.strip(), strict=False):
                return True
        except ValueError:
            # A name, or not a network.
            continue
    return False
