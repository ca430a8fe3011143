"""Tokens that are kept fresh: ask a source for one whenever it is needed, and never for its end."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

from token_authority_client._errors import ClientClosed, TokenAuthorityError
from token_authority_client._renewal import Renewal
from token_authority_client._values import IssuedToken

_LOGGER: Final = logging.getLogger("token_authority_client")
_ANY: Final = timedelta(0)

OnRenewal = Callable[[IssuedToken], object]


class _Source:
    """What both sources are."""

    def __init__(self) -> None:
        self._renewal = Renewal()
        self._callbacks: list[OnRenewal] = []
        self._closed = False

    def on_renewal(self, callback: OnRenewal) -> None:
        """Has a function called with each token that takes the place of another.

        With asyncio it is called on the event loop, else in the source's thread; it must not block
        for long. If it raises, that is logged, and nothing else happens.
        """
        self._callbacks.append(callback)

    def _usable(self, min_seconds: float) -> IssuedToken | None:
        if self._closed:
            raise _closed()
        return self._renewal.usable(time.monotonic(), min_seconds)

    def _after_fetching(self, min_seconds: float) -> IssuedToken:
        """Returns the token that there is now, or raises why there is none."""
        token = self._usable(min_seconds)
        if token is not None:
            return token
        if self._renewal.error is not None:
            # One error may be raised in many places, each with a way of its own.
            raise self._renewal.error.with_traceback(None)
        raise ValueError("min_remaining is longer than new tokens live: ask for a longer ttl")

    def _tell(self, token: IssuedToken) -> None:
        for callback in self._callbacks:
            try:
                callback(token)
            except Exception as error:  # noqa: BLE001  # not ours, and must not stop the renewal
                # Its text may hold the token.
                _LOGGER.error("a callback of on_renewal raised %s", type(error).__name__)  # noqa: TRY400


class AsyncTokenSource(_Source):
    """A token that is kept fresh, for any number of tasks of one event loop.

        async with client.rtc_token_source(channel="lesson-1", uid=7, role="publisher") as source:
            token = await source.get()

    The first `get` fetches a token. From then on the next one is fetched in the background, some
    time before `renew_time`; while no server can be asked, `get` returns the last token until it
    has ended. Closing the source or its client ends that.
    """

    def __init__(self, fetch: Callable[[], Coroutine[Any, Any, IssuedToken]]) -> None:
        super().__init__()
        self._fetch = fetch
        self._flight: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def get(self, *, min_remaining: timedelta = _ANY) -> IssuedToken:
        """Returns a token that lives on, for `min_remaining` at least.

        However many ask at once, one call is made.

        Raises:
            TokenAuthorityError: There is no such token, and none could be had; see its subclasses.
            ValueError: A new token lives shorter than `min_remaining`.
        """
        min_seconds = min_remaining.total_seconds()
        token = self._usable(min_seconds)
        if token is not None:
            return token
        await self._fetched()
        return self._after_fetching(min_seconds)

    async def close(self) -> None:
        """Ends the renewal; who waits for a token gets ClientClosed."""
        self._closed = True
        tasks = {task for task in (self._renewing, self._flight) if task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def __aenter__(self) -> Self:
        """Fetches nothing yet: the first `get` does."""
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
        """Waits for the one fetch under way; whoever stops waiting does not stop it."""
        if self._flight is None or self._flight.done():
            self._flight = asyncio.create_task(self._fetch_once())
        await asyncio.wait({self._flight})

    async def _fetch_once(self) -> None:
        asked_at = time.monotonic()
        try:
            token = await self._fetch()
        except Exception as error:  # noqa: BLE001  # kept, and raised to those who wait
            self._renewal.failed(error, time.monotonic())
            return
        is_renewal = self._renewal.succeeded(token, asked_at)
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew())
        if is_renewal:
            self._tell(token)

    async def _renew(self) -> None:
        while (due_at := self._renewal.due_at) is not None:
            pause = due_at - time.monotonic()
            if pause > 0:
                # Looked at again afterwards: a token may have come in the meantime.
                await asyncio.sleep(pause)
            else:
                await self._fetched()


class TokenSource(_Source):
    """A token that is kept fresh, for any number of threads; it has a thread of its own.

        with client.rtc_token_source(channel="lesson-1", uid=7, role="publisher") as source:
            token = source.get()

    The first `get` fetches a token. From then on the next one is fetched in the background, some
    time before `renew_time`; while no server can be asked, `get` returns the last token until it
    has ended. Closing the source or its client ends that.
    """

    def __init__(self, fetch: Callable[[], IssuedToken]) -> None:
        super().__init__()
        self._fetch = fetch
        self._changed = threading.Condition()
        self._flying = False
        self._flights = 0
        self._renewing: threading.Thread | None = None

    def get(self, *, min_remaining: timedelta = _ANY) -> IssuedToken:
        """Returns a token that lives on, for `min_remaining` at least.

        However many ask at once, one call is made.

        Raises:
            TokenAuthorityError: There is no such token, and none could be had; see its subclasses.
            ValueError: A new token lives shorter than `min_remaining`.
        """
        min_seconds = min_remaining.total_seconds()
        with self._changed:
            token = self._usable(min_seconds)
        if token is not None:
            return token
        self._fetched()
        with self._changed:
            return self._after_fetching(min_seconds)

    def close(self) -> None:
        """Ends the renewal; who waits for a token gets ClientClosed."""
        self.stop()
        thread = self._renewing
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def stop(self) -> None:
        """Does as `close`, without waiting for a call under way."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __enter__(self) -> Self:
        """Fetches nothing yet: the first `get` does."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the source."""
        self.close()

    def _fetched(self) -> None:
        """Waits for the one fetch under way, or makes it."""
        with self._changed:
            if self._flying:
                flights = self._flights
                self._changed.wait_for(lambda: self._flights != flights or self._closed)
                return
            self._flying = True
        token = self._fetch_once()
        if token is not None:
            self._tell(token)

    def _fetch_once(self) -> IssuedToken | None:
        """Fetches a token; returns it if it takes the place of another."""
        asked_at = time.monotonic()
        token: IssuedToken | None = None
        # What stands if this is interrupted (Ctrl-C).
        failure: Exception | None = TokenAuthorityError("the fetch was interrupted: ask again")
        try:
            token, failure = self._fetch(), None
        except Exception as error:  # noqa: BLE001  # kept, and raised to those who wait
            failure = error
        finally:
            with self._changed:
                self._flying = False
                self._flights += 1
                is_renewal = self._note(token, failure, asked_at)
                self._changed.notify_all()
        return token if is_renewal else None

    def _note(self, token: IssuedToken | None, failure: Exception | None, asked_at: float) -> bool:
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
                    return
                pause = due_at - time.monotonic()
                if pause > 0:
                    # Looked at again afterwards: a token may have come in the meantime.
                    self._changed.wait(pause)
                    continue
            self._fetched()


def _closed() -> ClientClosed:
    advice = "make another one"
    return ClientClosed(f"the token source is closed: {advice}", advice=advice)
