"""Finds tokens and this authority's secrets in any bytes, e.g. logs or source code. Pure.

A secret is recognised as a whole word: in clear, as base64 and URL-encoded. Only keyed hashes of
these spellings are compared. API keys are known by their hashes alone, so only in clear.
"""

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Final
from urllib.parse import quote, quote_plus

from token_authority_server.inspection.decode import decode
from token_authority_server.inspection.exposure import API_KEY_LENGTHS
from token_authority_server.inspection.inspect import inspect_decoded
from token_authority_server.keyring import EncryptionSecret, SigningKey

LONGEST: Final = 4096
"""The longest token or secret that is found, in bytes."""
# Of escapes, only those of a token's characters: others separate it from what follows, which may be
# another token. `normalize` has the same ones.
_TOKEN: Final = re.compile(
    rb"(?:007e|006[0-9A-Fa-f]{32}|NETLESS(?:SDK|ROOM|TASK)_)"
    rb"(?:[0-9A-Za-z+/_-]|%(?:25)?(?:2[BbFfDd]|3[Dd]|5[Ff])|\\/|\\u00(?:2[BbFf]|3[Dd])){40,4000}={0,2}"
)
# A letter before a token makes it a part of something else, unless it is a part of an escape.
_ESCAPE_BEFORE: Final = re.compile(rb"(?:%(?:25)?[0-9A-Fa-f]{2}|\\[nrt]|\\u00[0-9A-Fa-f]{2})\Z")
_LONGEST_ESCAPE: Final = 6
# The characters of words in clear, base64 and URLs, and of anything between quotes.
_WORDS: Final = (
    (rb"[0-9A-Za-z_-]", rb""),
    (rb"[0-9A-Za-z_+/-]", rb"={0,2}"),
    (rb"[0-9A-Za-z_.~%+*!-]", rb""),
    (rb"[^\s\"'`,;<>]", rb""),
)


@dataclass(frozen=True, slots=True)
class Leak:
    """A token or secret that was found, without its text."""

    offset: int
    """Where it begins in the data."""
    what: str
    """"token", or the product of a secret: "agora", "whiteboard", "encryption" or "api-key"."""
    is_live: bool
    """Whether it is a secret, or a token that has not expired."""
    kind: str = ""
    """The type of a token, e.g. `rtc`, or how a secret is spelled: clear, base64 or url."""
    format: str = ""
    app_id: str = ""
    """The App ID or access key of a token."""
    token_id: str = ""
    """The fingerprint of a token."""
    expire_ms: int | None = None
    """When a token expires; None: never, or not a token."""
    signature: str = ""
    """Whether a known key signed a token, as in an inspection; "unverifiable" without keys."""
    project: str = ""
    key_id: str = ""
    """The project and id of the key that signed a token, or that a secret belongs to."""


class LeakFinder:
    """Finds leaks.

    Args:
        signing_keys: Project names and keys.
        encryption_secrets: Project names and secrets.
        api_key_hashes: SHA-256 of API keys, in lower-case hex.
        now_ms: Milliseconds since 1970.
        hash_key: The random key of the hashes, 16 to 64 bytes.
    """

    def __init__(
        self,
        signing_keys: Sequence[tuple[str, SigningKey]],
        encryption_secrets: Sequence[tuple[str, EncryptionSecret]],
        api_key_hashes: Collection[str],
        now_ms: int,
        hash_key: bytes,
    ) -> None:
        self._keys = signing_keys
        self._api_keys = api_key_hashes
        self._now_ms = now_ms
        self._hash_key = hash_key
        self._secrets: dict[bytes, tuple[str, str, str, str]] = {}
        lengths: set[int] = set()
        for project, key in [*signing_keys, *encryption_secrets]:
            for secret in filter(None, key.confidential()):
                for spelling, word in _spellings(secret):
                    lengths.add(len(word))
                    found = (key.product, spelling, project, key.key_id)
                    self._secrets.setdefault(self._digest(word), found)
        self._lengths = frozenset(lengths)
        # Shorter words, which are most, never get to be compared.
        if api_key_hashes:
            lengths.add(API_KEY_LENGTHS.start)
        shortest = min(lengths, default=1)
        self._words = [
            re.compile(rb"(?<!%b)%b{%d,}%b" % (characters, characters, max(1, shortest - 2), end))
            for characters, end in _WORDS
        ]

    def find(self, data: bytes, first: int, end: int) -> Iterator[Leak]:
        """Yields the leaks that begin in a range of the data.

        Args:
            data: Some bytes around the range, which show what continues past it.
            first: The range's first offset.
            end: The offset after the range.
        """
        for match in _TOKEN.finditer(data):
            offset = match.start()
            if not (first <= offset < end and _begins_at(data, offset)):
                continue
            if leak := self._token(offset, match.group()):
                yield leak
        if self._secrets or self._api_keys:
            yield from self._exposed(data, first, end)

    def _token(self, offset: int, text: bytes) -> Leak | None:
        decoded = decode(text.decode("latin-1"))
        if decoded.sealed is None:
            return None
        inspection = inspect_decoded(decoded, self._keys, self._now_ms)
        names = {field.path: field.value for field in inspection.fields}
        app_id = names.get("app_id") or names.get("ak")
        if not app_id:
            return None
        signature = inspection.signature
        return Leak(
            offset,
            "token",
            is_live=not inspection.expired,
            kind=inspection.kind,
            format=inspection.format,
            app_id=app_id,
            token_id=inspection.token_id,
            expire_ms=inspection.expire_ms,
            signature=signature.verdict.value,
            project=signature.project,
            key_id=signature.key_id,
        )

    def _exposed(self, data: bytes, first: int, end: int) -> Iterator[Leak]:
        seen: set[int] = set()
        for pattern in self._words:
            for match in pattern.finditer(data):
                word, offset = match.group(), match.start()
                if offset in seen or not first <= offset < end:
                    continue
                if leak := self._secret(offset, word):
                    seen.add(offset)
                    yield leak

    def _secret(self, offset: int, word: bytes) -> Leak | None:
        if len(word) in self._lengths and (found := self._secrets.get(self._digest(word))):
            what, spelling, project, key_id = found
            return Leak(offset, what, True, kind=spelling, project=project, key_id=key_id)
        is_candidate = self._api_keys and len(word) in API_KEY_LENGTHS
        if is_candidate and sha256(word).hexdigest() in self._api_keys:
            return Leak(offset, "api-key", True, kind="clear")
        return None

    def _digest(self, word: bytes) -> bytes:
        return blake2b(word, key=self._hash_key, digest_size=32).digest()


def _begins_at(data: bytes, offset: int) -> bool:
    before = data[max(0, offset - _LONGEST_ESCAPE) : offset]
    return not before[-1:].isalnum() or _ESCAPE_BEFORE.search(before) is not None


def _spellings(secret: str) -> Iterator[tuple[str, bytes]]:
    # App Certificates are hex, which some tools rewrite in the other case.
    cases = {secret, secret.lower(), secret.upper()} if _is_hex(secret) else {secret}
    for text in sorted(cases):
        yield "clear", text.encode()
        for encode in (b64encode, urlsafe_b64encode):
            # Also of a file's content, which ends with a line break.
            for content in (text, f"{text}\n"):
                word = encode(content.encode())
                yield "base64", word
                yield "base64", word.rstrip(b"=")
        for quoted in (quote(text, safe=""), quote(text), quote_plus(text)):
            yield "url", quoted.encode()


def _is_hex(text: str) -> bool:
    return re.fullmatch(r"[0-9A-Fa-f]+", text) is not None
