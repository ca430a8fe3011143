"""What sources do: tokens expire; a source renews them in the background."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

from token_authority_client._errors import ClientClosed, TokenAuthorityError
from token_authority_client._renewal import RenewableT
from token_authority_client._source_base import SourceBase

_ANY: Final = timedelta(0)


class AsyncSource(SourceBase[RenewableT]):
    """Renews a token for any number of tasks of one event loop."""

    def __init__(
        self,
        fetch: Callable[[], Coroutine[Any, Any, RenewableT]],
        check_process: Callable[[], None],
    ) -> None:
        super().__init__(check_process)
        self._fetch = fetch
        self._fetching: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def get(self, *, min_remaining: timedelta = _ANY) -> RenewableT:
        """Returns a token that stays valid for at least `min_remaining`.

        Concurrent calls share one request to the server.

        Raises:
            TokenAuthorityError: There is no such token, and none was issued; see its subclasses.
            ConfigurationError: `min_remaining` is longer than the lifetime of new tokens.
        """
        # Before any lock, which another thread may have held at a fork.
        self._check_process()
        min_seconds = min_remaining.total_seconds()
        token = self._usable(min_seconds)
        if token is not None:
            return token
        await self._fetched()
        return self._after_fetching(min_seconds)

    async def close(self) -> None:
        """Stops the renewal; pending `get` calls raise ClientClosed."""
        self._closed = True
        tasks = {task for task in (self._renewing, self._fetching) if task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def __aenter__(self) -> Self:
        """Returns the source, which fetches a token at the first `get`."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the source."""
        await self.close()

    async def _fetched(self) -> None:
        """Waits for the fetch in flight; cancelling one waiter does not cancel it."""
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetch_once())
        await asyncio.wait({self._fetching})

    async def _fetch_once(self) -> None:
        asked_at = time.monotonic()
        try:
            token = await self._fetch()
        except Exception as error:  # noqa: BLE001  # stored, and raised by `get`
            self._renewal.failed(error, time.monotonic())
            self._log_renewal()
            return
        is_renewal = self._renewal.succeeded(token, asked_at)
        self._log_renewal()
        # The task ends when the token is denied.
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew())
        if is_renewal:
            self._notify(token)

    async def _renew(self) -> None:
        while (due_at := self._renewal.due_at) is not None:
            pause = due_at - time.monotonic()
            if pause > 0:
                # `due_at` may have changed in the meantime.
                await asyncio.sleep(pause)
            else:
                await self._fetched()


class BlockingSource(SourceBase[RenewableT]):
    """Renews a token for any number of threads, in a background thread."""

    def __init__(self, fetch: Callable[[], RenewableT], check_process: Callable[[], None]) -> None:
        super().__init__(check_process)
        self._fetch = fetch
        self._changed = threading.Condition()
        self._is_fetching = False
        self._fetches = 0
        self._renewing: threading.Thread | None = None

    def get(self, *, min_remaining: timedelta = _ANY) -> RenewableT:
        """Returns a token that stays valid for at least `min_remaining`.

        Concurrent calls share one request to the server.

        Raises:
            TokenAuthorityError: There is no such token, and none was issued; see its subclasses.
            ConfigurationError: `min_remaining` is longer than the lifetime of new tokens.
        """
        # Before any lock, which another thread may have held at a fork.
        self._check_process()
        min_seconds = min_remaining.total_seconds()
        fetches = self._fetches
        # Without the lock: `Renewal.usable` never pairs an old token with a later end.
        token = self._usable(min_seconds)
        if token is not None:
            return token
        self._fetched(fetches)
        with self._changed:
            return self._after_fetching(min_seconds)

    def close(self) -> None:
        """Stops the renewal; pending `get` calls raise ClientClosed."""
        self.stop()
        thread = self._renewing
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def stop(self) -> None:
        """Stops the renewal like `close`, without waiting for a call in flight."""
        try:
            self._check_process()
        except ClientClosed:
            return
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __enter__(self) -> Self:
        """Returns the source, which fetches a token at the first `get`."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the source."""
        self.close()

    def _fetched(self, fetches: int) -> None:
        """Waits for the fetch in flight, or starts one.

        Args:
            fetches: The count of fetches before the caller found that it needs one; if another
                thread's fetch has ended since, that one serves.
        """
        with self._changed:
            if self._is_fetching:
                fetches = self._fetches
                self._changed.wait_for(lambda: self._fetches != fetches or self._closed)
                return
            if self._fetches != fetches:
                return
            self._is_fetching = True
        token = self._fetch_once()
        if token is not None:
            self._notify(token)

    def _fetch_once(self) -> RenewableT | None:
        """Fetches a token; returns it if it replaces another."""
        asked_at = time.monotonic()
        token: RenewableT | None = None
        # The failure if this thread is interrupted (Ctrl-C).
        failure: Exception | None = TokenAuthorityError("the fetch was interrupted: try again")
        try:
            token, failure = self._fetch(), None
        except Exception as error:  # noqa: BLE001  # stored, and raised by `get`
            failure = error
        finally:
            with self._changed:
                self._is_fetching = False
                self._fetches += 1
                is_renewal = self._note(token, failure, asked_at)
                self._changed.notify_all()
        # Without the lock, because handlers of the log may block.
        self._log_renewal()
        return token if is_renewal else None

    def _note(self, token: RenewableT | None, failure: Exception | None, asked_at: float) -> bool:
        if failure is not None:
            self._renewal.failed(failure, time.monotonic())
        if token is None:
            return False
        is_renewal = self._renewal.succeeded(token, asked_at)
        if self._renewing is None and not self._closed:
            self._renewing = threading.Thread(
                target=self._renew, daemon=True, name="token-authority-renewal"
            )
            self._renewing.start()
        return is_renewal

    def _renew(self) -> None:
        while True:
            with self._changed:
                due_at = self._renewal.due_at
                if self._closed or due_at is None:
                    # Denied: the next token needs a new thread.
                    self._renewing = None
                    return
                pause = due_at - time.monotonic()
                if pause > 0:
                    # `due_at` may have changed in the meantime.
                    self._changed.wait(pause)
                    continue
                fetches = self._fetches
            self._fetched(fetches)
