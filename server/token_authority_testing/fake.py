"""The real server, in a thread of this process, with keys that are made up for it."""

import asyncio
import importlib
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from token_authority_client import AsyncTokenAuthorityClient, TokenAuthorityClient

_START_SECONDS = 30


class FakeTokenAuthority:
    """A token authority of one's own: real answers, and tokens that nothing outside accepts.

        with FakeTokenAuthority() as authority, authority.client() as client:
            issued = client.issue_rtc_token(channel="lesson-1", uid=7, role="publisher")
            assert client.inspect_token(issued.token).signature.verdict == "valid"

    It listens on a free port of the loopback until it is stopped, has one project, "dev", and takes
    anyone for its one caller, who may ask for everything. It can be stopped and started again, to
    see what a program does meanwhile: port and keys stay.

    Raises:
        RuntimeError: The server is not installed.
    """

    def __init__(self) -> None:
        try:
            importlib.import_module("token_authority_server.process.serve")
        except ModuleNotFoundError as error:
            raise RuntimeError(
                f"FakeTokenAuthority needs the server, whose package {error.name} is not "
                "installed: pip install 'agora-token-authority[server]'"
            ) from None
        self._settings = _settings()
        self._address = "127.0.0.1:0"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: Any = None

    @property
    def target(self) -> str:
        """Where it listens, for clients.

        Raises:
            RuntimeError: It was never started.
        """
        if self._address.endswith(":0"):
            raise RuntimeError("start the FakeTokenAuthority first: with FakeTokenAuthority() as …")
        return self._address

    def client(self, **options: Any) -> TokenAuthorityClient:
        """Returns a client of it that blocks; `options` are those of the client's class."""
        return TokenAuthorityClient(self.target, **options)

    def async_client(self, **options: Any) -> AsyncTokenAuthorityClient:
        """Returns a client of it for asyncio; `options` are those of the client's class."""
        return AsyncTokenAuthorityClient(self.target, **options)

    def start(self) -> None:
        """Starts it, unless it runs."""
        if self._loop is not None:
            return
        # Reads files, which an event loop must not wait for.
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
        """Stops it at once, if it runs; calls under way fail."""
        if self._loop is not None:
            self._run(self._server.stop(notice_seconds=0, grace_seconds=0))
            self._end()

    def __enter__(self) -> Self:
        """Starts it."""
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops it."""
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


def _settings() -> Any:
    """Returns what `serve --dev` serves: whoever is on this machine may have everything."""
    from token_authority_server.config import dev_settings  # noqa: PLC0415  # an extra

    return dev_settings(["127.0.0.1:0"], {})


def _assembly(settings: Any) -> Any:
    from token_authority_server.process.assembly import quiet_assembly  # noqa: PLC0415  # an extra

    return quiet_assembly(settings)
