"""Recognises credentials that were pasted where a token or an id belongs. Pure.

Signing secrets and API keys of this authority are recognised by their hashes; API keys and JWTs of
anyone also by their form. `ExposedSecret` never holds a credential's text.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

from token_authority_server.keyring import AccessKey, SigningKey

REDACTED: Final = "(a secret, not shown)"
_WORD: Final = re.compile(r"[0-9A-Za-z_-]+")
# As `token-authority api-key new` makes them.
_API_KEY: Final = re.compile(r"(?<![0-9A-Za-z_-])tak_[0-9A-Za-z_-]{43}(?![0-9A-Za-z_-])")
# Three parts of base64url, the first of which is a JSON object.
_JWT: Final = re.compile(
    # Only at the start of a word: searching stays linear.
    r"(?<![0-9A-Za-z_-])eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]*"
)
_MAX_WORDS: Final = 2000
# The allowed length of a configured API key, also of one not made by `api-key new`.
_MIN_API_KEY: Final = 16
_MAX_API_KEY: Final = 512


class Credential(StrEnum):
    """The type of a credential."""

    APP_CERTIFICATE = "App Certificate"
    SECRET_KEY = "whiteboard secret key"  # noqa: S105  # not a secret
    API_KEY = "API key"
    JWT = "JWT"


@dataclass(frozen=True, slots=True)
class ExposedSecret:
    """A credential that was found, without its text."""

    credential: Credential
    place: str
    """Where it was found, e.g. "the token" or "the App ID"."""
    project: str = ""
    """The project and id of a signing key; "" for an API key or JWT."""
    key_id: str = ""
    is_named: bool = False
    """Whether the caller may inspect that project, and so may read the key's id."""


@dataclass(frozen=True, slots=True)
class KnownSecrets:
    """What the authority can recognise."""

    keys: Sequence[tuple[str, SigningKey]] = ()
    """Project names and signing keys: of every project, also of those the caller may not inspect.
    """
    api_key_hashes: Collection[str] = ()
    """SHA-256 of the callers' API keys, in lower-case hex."""


def digest(text: str) -> bytes:
    """Returns the hash by which secrets are compared.

    How long a comparison of hashes takes tells nothing about the secret.
    """
    return sha256(text.encode(errors="surrogatepass")).digest()


class SecretFinder:
    """Finds credentials in texts.

    Args:
        known: The authority's own secrets.
        visible: The projects whose keys the caller may read the ids of.
    """

    def __init__(self, known: KnownSecrets, visible: Collection[str]) -> None:
        self._visible = visible
        self._keys: dict[bytes, tuple[str, SigningKey]] = {}
        self._lengths: set[int] = set()
        for project, key in known.keys:
            for secret in key.confidential():
                if secret:
                    self._lengths.add(len(secret))
                    # App Certificates are hex, which some tools rewrite in lower case.
                    for spelling in (secret.lower(), secret):
                        self._keys[digest(spelling)] = project, key
        self._api_keys = frozenset(known.api_key_hashes)

    def find(self, text: str, place: str) -> Mapping[str, ExposedSecret]:
        """Returns the credentials in a text, by their text there."""
        found: dict[str, ExposedSecret] = {}
        for word in _candidates(text):
            if len(word) in self._lengths and (owner := self._owner(word)):
                found[word] = self._signing_secret(*owner, place)
            elif self._is_api_key(word):
                found[word] = ExposedSecret(Credential.API_KEY, place)
        for match in _API_KEY.finditer(text):
            found[match.group()] = ExposedSecret(Credential.API_KEY, place)
        for match in _JWT.finditer(text):
            found[match.group()] = ExposedSecret(Credential.JWT, place)
        return found

    def _owner(self, word: str) -> tuple[str, SigningKey] | None:
        return self._keys.get(digest(word)) or self._keys.get(digest(word.lower()))

    def _is_api_key(self, word: str) -> bool:
        if not self._api_keys or not _MIN_API_KEY <= len(word) <= _MAX_API_KEY:
            return False
        return digest(word).hex() in self._api_keys

    def _signing_secret(self, project: str, key: SigningKey, place: str) -> ExposedSecret:
        kind = Credential.SECRET_KEY if isinstance(key, AccessKey) else Credential.APP_CERTIFICATE
        return ExposedSecret(kind, place, project, key.key_id, project in self._visible)


def _candidates(text: str) -> Iterable[str]:
    """Yields the text itself, its parts between white space, and its words."""
    seen: set[str] = set()
    for word in (text, text.strip(), *text.split(None, _MAX_WORDS), *_WORD.findall(text)):
        bare = word.strip("\"'`,;")
        if bare not in seen:
            seen.add(bare)
            yield bare


def redact(text: str, secrets: Collection[str]) -> str:
    """Replaces secrets in a text that will be shown."""
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    return text
