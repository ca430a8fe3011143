"""Counters in Redis, shared by all replicas; needs the extra [redis]."""

import asyncio
from importlib.util import find_spec
from typing import Any, Final
from urllib.parse import urlsplit

from limits.aio.storage import RedisStorage

from token_authority_server.limits.windows import Windows

_PREFIX: Final = "token-authority"
_MAX_CONNECTIONS: Final = 32
"""More calls than this wait for a connection, within their deadline."""
_ADVICE: Final = (
    "write memory, redis://HOST:PORT or rediss://HOST:PORT, with USER:PASSWORD@ before the host "
    "if need be (percent-encoded) and /NUMBER after it for a database"
)


def check_redis(url: str) -> None:
    """Holds that quotas could be counted at an address; connects to nothing.

    Raises:
        ValueError: The URL is none, or the redis package is missing. Never has the URL in it.
    """
    RedisWindows(url, timeout_seconds=1)


class RedisWindows:
    """The counters of `limits` in one Redis or Valkey, 6 or newer."""

    windows: Windows
    """The counters themselves; any call may raise anything."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        """Connects to nothing yet.

        Raises:
            ValueError: The URL is none, or the redis package is missing. Never has the URL in it.
        """
        self._address = _address(url)
        self._timeout_seconds = timeout_seconds
        if not (find_spec("redis") and find_spec("redis.driver_info")):
            raise ValueError(
                "quotas in Redis need the package redis 7.4 or newer: install "
                "agora-token-authority[redis]"
            )
        # Optional, so only here.
        from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415
        from redis.exceptions import RedisError  # noqa: PLC0415

        # Half of redis.asyncio's signatures are untyped.
        pools: Any = BlockingConnectionPool
        try:
            self._pool = pools.from_url(
                url,
                max_connections=_MAX_CONNECTIONS,
                timeout=None,
                # Or every new connection looks up its own version on disk, in the event loop.
                driver_info=None,
            )
            self._pool.make_connection()  # Opens nothing; refuses options that do not exist.
        except (ValueError, TypeError, RedisError):
            raise ValueError(f"the address of Redis is not valid: {_ADVICE}") from None
        self.windows = RedisStorage(
            "redis://",  # Only chooses the client; the pool knows the address.
            implementation="redispy",
            key_prefix=_PREFIX,
            connection_pool=self._pool,
        )

    def deadline(self) -> asyncio.Timeout:
        """Bounds what stands in its block."""
        return asyncio.timeout(self._timeout_seconds)

    def explain(self, error: Exception) -> str:
        """Says what failed, without the words of Redis: it quotes commands, passwords included."""
        from redis import exceptions  # noqa: PLC0415

        if isinstance(error, (TimeoutError, exceptions.TimeoutError)):
            problem = f"did not answer within {self._timeout_seconds * 1000:.0f} ms"
        elif isinstance(error, (exceptions.AuthenticationError, exceptions.NoPermissionError)):
            problem = "refuses the credentials"
        elif isinstance(error, (exceptions.ConnectionError, OSError)):
            problem = "cannot be reached"
        else:
            problem = f"answers with an error ({type(error).__name__})"
        return f"Redis at {self._address} {problem}"

    async def close(self) -> None:
        """Closes the connections."""
        await self._pool.disconnect()


def _address(url: str) -> str:
    """Returns `HOST:PORT`, once it is sure that no part of a password is in it.

    An unencoded `/`, `?` or `#` in a password makes its beginning the port and hides the rest
    behind the host.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 6379
    except ValueError:
        host, port, parts = None, 0, urlsplit("")
    behind = parts.path + parts.query + parts.fragment
    database = parts.path.strip("/")
    if parts.scheme not in {"redis", "rediss"} or not host or "@" in behind or parts.fragment:
        raise ValueError(f"the address of Redis is not valid: {_ADVICE}")
    if database and not database.isdecimal():
        raise ValueError(f"the address of Redis is not valid: {_ADVICE}")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
