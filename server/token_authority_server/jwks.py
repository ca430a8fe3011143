"""JSON Web Key Sets: the keys that an identity provider signs its JWTs with, from a file or a URL.

A URL is fetched in a thread, cached, and asked again when a token names a key that is not there,
but not more often than every few seconds: anybody can make up key ids.
"""

import asyncio
import json
import ssl
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, cast

import jwt
from jwt.exceptions import PyJWTError

# A key set of a large provider has some ten keys of 2 KB.
_MAX_BYTES: Final = 1_048_576
_TIMEOUT_SECONDS: Final = 3.0
MAX_AGE_SECONDS: Final = 300.0
"""How old a key set may get before it is fetched anew."""
COOLDOWN_SECONDS: Final = 10.0
"""How long after a fetch, good or bad, there is no other."""


class JwksError(Exception):
    """A key set that cannot be had or used; the message says why."""


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
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise JwksError('is not a JSON Web Key Set: { "keys": [ … ] }') from None
    found: list[VerificationKey] = []
    for key in usable:
        try:
            public = jwt.PyJWK.from_dict(key).key
        except PyJWTError:
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


@dataclass(frozen=True, slots=True)
class Location:
    """Where a key set is served, and how to ask for it."""

    url: str
    """`https://…`, or `http://` on a loopback address."""
    ca: bytes | None = None
    """PEM certificates to trust instead of the system's."""
    token_file: Path | None = None
    """A file with a bearer token, read at each fetch: Kubernetes wants a service account's."""


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
        # Keys that are merely old still serve; nobody waits for their successors.
        if self._fetching is not None and missing:
            # A caller that gives up must not end the fetch that others wait for.
            await asyncio.shield(self._fetching)

    async def _fetch(self) -> None:
        try:
            self.keys = parse(await asyncio.to_thread(_get, self._location))
            self._fetched_at = self._clock()
            self._on_success()
        except JwksError as error:
            self._on_failure(f"{self._location.url}: {error}")
        finally:
            self._fetching = None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    max_redirections = 0
    """The keys come from where the configuration says."""


def _get(location: Location) -> bytes:
    """Fetches a key set.

    Raises:
        JwksError: There is no answer, or not one of ours.
    """
    try:
        headers = {"Accept": "application/json"}
        if location.token_file is not None:
            headers["Authorization"] = f"Bearer {location.token_file.read_text('ascii').strip()}"
        context = ssl.create_default_context(cadata=location.ca.decode() if location.ca else None)
        opener = urllib.request.build_opener(
            _NoRedirect,
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=context),
        )
        # The configuration admits https, and http on loopback, only.
        request = urllib.request.Request(location.url, headers=headers)  # noqa: S310
        with opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
            data: bytes = response.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        # urllib's errors name the URL's host and a reason, never a header.
        raise JwksError(f"cannot be fetched: {error}") from None
    if len(data) > _MAX_BYTES:
        raise JwksError(f"is larger than {_MAX_BYTES} bytes")
    return data
