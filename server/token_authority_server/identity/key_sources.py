"""Sources of verification keys: the key set of a file, or one that is fetched from a URL.

A URL is fetched in a thread and cached. It is fetched again when it is due, or when a JWT names an
unknown key id, but never within the cooldown, since anyone can invent key ids.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from token_authority_server.identity.jwks import KeySet, VerificationKey, parse
from token_authority_server.identity.jwks_fetch import (
    TIMEOUT_SECONDS,
    JwksError,
    JwksRequest,
    Location,
)

REFRESH_SECONDS: Final = 300.0
"""Age of a key set from which on a call starts a refresh in the background."""
MAX_AGE_SECONDS: Final = 600.0
"""Age of a key set from which on calls wait for its refresh."""
COOLDOWN_SECONDS: Final = 10.0
"""Shortest time between the starts of two fetches, successful or not."""


class KeySource(Protocol):
    """Source of verification keys."""

    @property
    def keys(self) -> Sequence[VerificationKey]:
        """The keys known now; empty before the first fetch."""
        ...

    async def refresh(self, *, missing: bool) -> None:
        """Fetches the keys if they are due, or if a key was `missing`."""


class FixedKeys:
    """Keys of a file; the configuration is reloaded when the file changes."""

    def __init__(self, keys: Sequence[VerificationKey]) -> None:
        self.keys = keys

    async def refresh(self, *, missing: bool) -> None:
        """Does nothing: there is nothing to fetch."""


class RemoteKeys:
    """Keys that a URL serves.

    Args:
        location: The URL and how to request it.
        on_failure: Called with the reason when a fetch fails.
        on_success: Called when a fetch succeeds.
        on_skipped: Called after a successful fetch with a sentence for each key that was skipped,
            or none.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        location: Location,
        on_failure: Callable[[str], None],
        on_success: Callable[[], None] = lambda: None,
        on_skipped: Callable[[Sequence[str]], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.keys: Sequence[VerificationKey] = ()
        self._location = location
        self._on_failure = on_failure
        self._on_success = on_success
        self._on_skipped = on_skipped
        self._clock = clock
        self._tried_at = float("-inf")
        self._fetched_at = float("-inf")
        self._calls_wait = False
        """Whether calls wait for the fetch in flight."""
        self._fetching: asyncio.Task[None] | None = None

    @property
    def age_seconds(self) -> float | None:
        """How long ago the keys were fetched; None before the first time."""
        age = self._clock() - self._fetched_at
        return None if age == float("inf") else age

    async def refresh(self, *, missing: bool) -> None:
        """Fetches the keys if they are due or `missing`; concurrent calls share one fetch.

        Waits for the fetch only if a key is missing, or if the keys are older than
        `MAX_AGE_SECONDS` and the provider is not known to be failing: after an idle period, the
        first call must not be served by a key that was withdrawn long ago, and during an outage no
        call is held up while there are keys.
        """
        now = self._clock()
        age, since_try = now - self._fetched_at, now - self._tried_at
        is_due = missing or age > REFRESH_SECONDS
        if self._fetching is None and is_due and since_try >= COOLDOWN_SECONDS:
            self._calls_wait = age > MAX_AGE_SECONDS and since_try > REFRESH_SECONDS
            self._tried_at = now
            self._fetching = asyncio.create_task(self._fetch(now))
        if self._fetching is not None and (missing or self._calls_wait):
            # Cancelling one call must not cancel the fetch that others wait for.
            await asyncio.shield(self._fetching)

    async def _fetch(self, now: float) -> None:
        request = JwksRequest(self._location)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                found = await asyncio.to_thread(_fetched, request)
            self.keys = found.keys
            self._fetched_at = now
            self._on_success()
            self._on_skipped(found.skipped)
        except JwksError as error:
            self._on_failure(f"{self._location.shown}: {error}")
        except TimeoutError:
            problem = f"cannot be fetched: took longer than {TIMEOUT_SECONDS:g} s"
            self._on_failure(f"{self._location.shown}: {problem}")
        finally:
            # Ends the thread too, whatever the provider does.
            request.abort()
            self._fetching = None


def _fetched(request: JwksRequest) -> KeySet:
    """Fetches and parses in one thread: a large set would hold the event loop for a second."""
    return parse(request.send())
