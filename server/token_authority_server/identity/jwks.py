"""JSON Web Key Sets: the keys that an identity provider signs its JWTs with, from a file or a URL.

A URL is fetched in a thread, cached, and asked again when a token names a key that is not there,
but not more often than every few seconds: anybody can make up key ids.
"""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

import jwt
from jwt.exceptions import PyJWTError

from token_authority_server.identity.jwks_fetch import (
    TIMEOUT_SECONDS,
    JwksError,
    JwksRequest,
    Location,
)

MAX_AGE_SECONDS: Final = 300.0
"""How old a key set may get before it is fetched anew."""
COOLDOWN_SECONDS: Final = 10.0
"""How long after a fetch, good or bad, there is no other."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key of an identity provider."""

    key_id: str | None
    algorithm: str | None
    """The one algorithm it is for; None where the set does not say."""
    key: Any


def parse(data: bytes) -> list[VerificationKey]:
    """Reads a key set; keys of kinds that we do not know are left out, as RFC 7517 asks.

    Raises:
        JwksError: It is none, or no key in it can verify.
    """
    try:
        document: Any = json.loads(data)
        keys = cast("dict[str, list[dict[str, Any]]]", document)["keys"]
        # A symmetric key in a public set would make the public able to sign.
        usable = [key for key in keys if key.get("use", "sig") == "sig" and key["kty"] != "oct"]
        holds_private = any("d" in key for key in usable)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise JwksError('is not a JSON Web Key Set: { "keys": [ … ] }') from None
    if holds_private:
        raise JwksError("holds private keys: they are the issuer's alone; take the public set")
    found: list[VerificationKey] = []
    for key in usable:
        try:
            public = jwt.PyJWK.from_dict(key).key
        except (PyJWTError, KeyError, TypeError, ValueError):
            # PyJWT does not foresee every way in which a key can be broken.
            continue
        found.append(VerificationKey(key.get("kid"), key.get("alg"), public))
    if not found:
        raise JwksError("has no key that can verify a signature (RSA, EC or OKP)")
    return found


class KeySource(Protocol):
    """Where keys come from."""

    @property
    def keys(self) -> Sequence[VerificationKey]:
        """The keys that are known now; none before the first fetch."""
        ...

    async def refresh(self, *, missing: bool) -> None:
        """Fetches what is due: always when too old, and when a key was `missing`."""


class FixedKeys:
    """The keys of a file; the configuration is read anew when the file changes."""

    def __init__(self, keys: Sequence[VerificationKey]) -> None:
        self.keys = keys

    async def refresh(self, *, missing: bool) -> None:
        """There is nothing to fetch."""


class RemoteKeys:
    """The keys that a URL serves.

    Args:
        location: Where.
        on_failure: Told why a fetch failed.
        on_success: Told of one that did not.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        location: Location,
        on_failure: Callable[[str], None],
        on_success: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.keys: Sequence[VerificationKey] = ()
        self._location = location
        self._on_failure = on_failure
        self._on_success = on_success
        self._clock = clock
        self._tried_at = float("-inf")
        self._fetched_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def refresh(self, *, missing: bool) -> None:
        """Fetches the keys if they are due; whoever comes meanwhile waits for the same fetch."""
        now = self._clock()
        is_due = missing or now - self._fetched_at > MAX_AGE_SECONDS
        if self._fetching is None and is_due and now - self._tried_at >= COOLDOWN_SECONDS:
            self._tried_at = now
            self._fetching = asyncio.create_task(self._fetch())
        # Keys that are merely old still serve, and nobody waits for their successors. After a quiet
        # time the first call does: else a key that was withdrawn long ago would serve once more.
        is_stale = now - self._fetched_at > 2 * MAX_AGE_SECONDS
        if self._fetching is not None and (missing or is_stale):
            # A caller that gives up must not end the fetch that others wait for.
            await asyncio.shield(self._fetching)

    async def _fetch(self) -> None:
        request = JwksRequest(self._location)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                data = await asyncio.to_thread(request.send)
            self.keys = parse(data)
            self._fetched_at = self._clock()
            self._on_success()
        except JwksError as error:
            self._on_failure(f"{self._location.shown}: {error}")
        except TimeoutError:
            problem = f"cannot be fetched: took longer than {TIMEOUT_SECONDS:g} s"
            self._on_failure(f"{self._location.shown}: {problem}")
        finally:
            # The thread ends too, whatever the other side does.
            request.cut()
            self._fetching = None
