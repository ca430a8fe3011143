"""The real server, in a thread of this process, with throwaway keys."""

import asyncio
import importlib
import threading
from collections.abc import Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from token_authority_client import AsyncTokenAuthorityClient, TokenAuthorityClient

_START_SECONDS = 30


class FakeTokenAuthority:
    """A token authority for tests: a real server, whose tokens nothing outside accepts.

        with FakeTokenAuthority() as authority, authority.client() as client:
            issued = client.issue_rtc_token(channel="lesson-1", uid=7, role="publisher")
            assert client.inspect_token(issued.token).signature.verdict == "valid"

    It listens on a free port of the loopback interface and has one project, "dev". Every client is
    its one caller, "developer", who may issue everything unless `grants` are given. Stop and
    start it to test how a program handles an outage: port and keys stay the same.

        denying = FakeTokenAuthority(grants=[{"tokens": ["chat"], "users": ["*"]}])
        limited = FakeTokenAuthority(rate_limit="3/hour")

    Args:
        grants: The caller's grants, each with the keys of `[[callers.grants]]` in the server's
            configuration; `name` and `project` have defaults. Other requests raise
            PermissionDenied. None: everything is granted.
        rate_limit: The caller's rate limits, e.g. "3/hour", beyond which requests raise
            RateLimited. None: no limit.

    Raises:
        RuntimeError: The server is not installed.
        ValueError: A grant or the rate limit is invalid.
    """

    def __init__(
        self,
        *,
        grants: Sequence[Mapping[str, Any]] | None = None,
        rate_limit: str | None = None,
    ) -> None:
        try:
            importlib.import_module("token_authority_server.process.serve")
        except ModuleNotFoundError as error:
            raise RuntimeError(
                f"FakeTokenAuthority requires the server, but its package {error.name} is not "
                "installed: pip install 'agora-token-authority[server]'"
            ) from None
        self._settings = _settings(grants, rate_limit)
        self._address = "127.0.0.1:0"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: Any = None

    @property
    def target(self) -> str:
        """The address, for clients.

        Raises:
            RuntimeError: It was never started.
        """
        if self._address.endswith(":0"):
            raise RuntimeError("start the FakeTokenAuthority first: with FakeTokenAuthority() as …")
        return self._address

    def client(self, **options: Any) -> TokenAuthorityClient:
        """Returns a TokenAuthorityClient; `options` are those of its class."""
        return TokenAuthorityClient(self.target, **options)

    def async_client(self, **options: Any) -> AsyncTokenAuthorityClient:
        """Returns an AsyncTokenAuthorityClient; `options` are those of its class."""
        return AsyncTokenAuthorityClient(self.target, **options)

    def start(self) -> None:
        """Starts the server, unless it runs."""
        if self._loop is not None:
            return
        # Not on the event loop: this reads files.
        assembly = _assembly(self._settings)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, daemon=True, name="fake-token-authority"
        )
        self._thread.start()
        try:
            self._run(self._serve(assembly))
        except BaseException:
            self._end()
            raise

    def stop(self) -> None:
        """Stops the server at once, if it runs; calls in flight fail."""
        if self._loop is not None:
            self._run(self._server.stop(notice_seconds=0, grace_seconds=0))
            self._end()

    def __enter__(self) -> Self:
        """Starts the server."""
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops the server."""
        self.stop()

    def _end(self) -> None:
        loop, thread = self._loop, self._thread
        assert loop is not None
        assert thread is not None
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        self._loop = self._thread = self._server = None

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_START_SECONDS)

    async def _serve(self, assembly: Any) -> None:
        self._server = assembly.server()
        (self._address,) = await self._server.start([self._address])


def _settings(grants: Sequence[Mapping[str, Any]] | None, rate_limit: str | None) -> Any:
    """Returns the settings of `serve --dev`, with these grants and limits."""
    from token_authority_server.config import dev_settings  # noqa: PLC0415  # an extra
    from token_authority_server.config.callers import CallerSettings  # noqa: PLC0415

    settings = dev_settings(["127.0.0.1:0"], {})
    (developer,) = settings.callers
    caller: dict[str, Any] = {
        "name": developer.name,
        "identities": developer.identities,
        "grants": developer.grants,
    }
    if grants is not None:
        caller["grants"] = [
            {"name": f"grant-{number}", "project": "dev", **grant}
            for number, grant in enumerate(grants, 1)
        ]
    if rate_limit is not None:
        caller["rate_limit"] = rate_limit
    row = CallerSettings.model_validate(caller, strict=False)
    return settings.model_copy(update={"callers": (row,)})


def _assembly(settings: Any) -> Any:
    from token_authority_server.process.assembly import quiet_assembly  # noqa: PLC0415  # an extra

    return quiet_assembly(settings)
