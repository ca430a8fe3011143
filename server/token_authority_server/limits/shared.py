"""Rate limit counters in Redis, shared by all replicas; needs the extra [redis]."""

import asyncio
from importlib.util import find_spec
from typing import Any, Final
from urllib.parse import urlsplit

from limits.aio.storage import RedisStorage

from token_authority_server.limits.windows import Windows

_PREFIX: Final = "token-authority"
_MAX_CONNECTIONS: Final = 32
"""Further calls wait for a connection, within their deadline."""
_ADVICE: Final = (
    "write memory, redis://HOST:PORT or rediss://HOST:PORT, with USER:PASSWORD@ before the host "
    "if needed (percent-encoded), and /NUMBER after it for a database"
)


def check_redis(url: str) -> None:
    """Checks the URL of a Redis server; opens no connection.

    Raises:
        ValueError: The URL is invalid, or the redis package is missing. Never quotes the URL.
    """
    RedisWindows(url, timeout_seconds=1)


class RedisWindows:
    """The counters of `limits` in one Redis or Valkey, 6 or newer."""

    windows: Windows
    """The counters; any call may raise any exception."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        """Opens no connection.

        Raises:
            ValueError: The URL is invalid, or the redis package is missing. Never quotes the URL.
        """
        self._address = _address(url)
        self._timeout_seconds = timeout_seconds
        if not (find_spec("redis") and find_spec("redis.driver_info")):
            raise ValueError(
                "quotas in Redis need the package redis 7.4.1 or newer: install "
                "agora-token-authority[redis]"
            )
        # Imported here because the package is optional.
        from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415
        from redis.exceptions import RedisError  # noqa: PLC0415

        # Half of redis.asyncio's signatures are untyped.
        pools: Any = BlockingConnectionPool
        try:
            self._pool = pools.from_url(
                url,
                max_connections=_MAX_CONNECTIONS,
                timeout=None,
                # Else every new connection reads the package version from disk, in the event loop.
                driver_info=None,
            )
            self._pool.make_connection()  # Opens nothing; refuses options that do not exist.
        except (ValueError, TypeError, RedisError):
            raise ValueError(f"the address of Redis is invalid: {_ADVICE}") from None
        self.windows = RedisStorage(
            "redis://",  # Only chooses the client; the pool knows the address.
            implementation="redispy",
            key_prefix=_PREFIX,
            connection_pool=self._pool,
        )

    def deadline(self) -> asyncio.Timeout:
        """Returns the deadline of the commands of one call."""
        return asyncio.timeout(self._timeout_seconds)

    def explain(self, error: Exception) -> str:
        """Describes a failure without the message of Redis, which quotes commands and passwords."""
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
    """Returns `HOST:PORT`, unless a part of a password could be in it.

    An unencoded `/`, `?` or `#` in a password would put its beginning into the port, and its rest
    after the host.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 6379
    except ValueError:
        host, port, parts = None, 0, urlsplit("")
    after_host = parts.path + parts.query + parts.fragment
    database = parts.path.strip("/")
    if parts.scheme not in {"redis", "rediss"} or not host or "@" in after_host or parts.fragment:
        raise ValueError(f"the address of Redis is invalid: {_ADVICE}")
    if database and not database.isdecimal():
        raise ValueError(f"the address of Redis is invalid: {_ADVICE}")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
