"""Recognises credentials that were pasted where a token or an id belongs; redaction. Pure.

Signing and encryption secrets and API keys of this authority are recognised by their hashes; API
keys and JWTs of anyone also by their form. `ExposedSecret` never contains a credential's text.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final, TypeAlias

from token_authority_server.keyring import EncryptionSecret, SigningKey

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
API_KEY_LENGTHS: Final = range(16, 513)
"""The lengths of configured API keys, also of those not made by `api-key new`."""


class Credential(StrEnum):
    """The type of a credential."""

    APP_CERTIFICATE = "App Certificate"
    SECRET_KEY = "whiteboard secret key"  # noqa: S105  # not a secret
    ENCRYPTION_SECRET = "encryption secret"  # noqa: S105  # not a secret
    API_KEY = "API key"
    JWT = "JWT"


_Key: TypeAlias = SigningKey | EncryptionSecret
_CREDENTIALS: Final = {
    "agora": Credential.APP_CERTIFICATE,
    "whiteboard": Credential.SECRET_KEY,
    "encryption": Credential.ENCRYPTION_SECRET,
}


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


def digest(text: str) -> bytes:
    """Returns the hash by which secrets are compared.

    The duration of a comparison of hashes reveals nothing about the secret.
    """
    return sha256(text.encode(errors="surrogatepass")).digest()


class KnownSecrets:
    """Immutable index of the secrets that the authority can recognise, by their hashes.

    Building it takes time for every key; a policy snapshot does so once.

    Args:
        keys: Project names, and keys and secrets: of every project, also of those that a caller
            may not inspect.
        api_key_hashes: SHA-256 of the callers' API keys, in lower-case hex.
    """

    def __init__(
        self,
        keys: Iterable[tuple[str, _Key]] = (),
        api_key_hashes: Collection[str] = (),
    ) -> None:
        self._keys: dict[bytes, tuple[str, _Key]] = {}
        lengths: set[int] = set()
        for project, key in keys:
            for secret in key.confidential():
                if secret:
                    lengths.add(len(secret))
                    # App Certificates are hex, which some tools rewrite in lower case.
                    for spelling in (secret.lower(), secret):
                        self._keys[digest(spelling)] = project, key
        self._lengths = frozenset(lengths)
        self._api_keys = api_key_hashes

    def owner_of(self, word: str) -> tuple[str, _Key] | None:
        """Returns the project and key that a text is the secret of."""
        if len(word) not in self._lengths:
            return None
        return self._keys.get(digest(word)) or self._keys.get(digest(word.lower()))

    def is_api_key(self, word: str) -> bool:
        """Whether a text is an API key of a caller."""
        if not self._api_keys or len(word) not in API_KEY_LENGTHS:
            return False
        return digest(word).hex() in self._api_keys


class SecretFinder:
    """Finds credentials in texts.

    Args:
        known: The authority's own secrets.
        visible: The projects whose keys the caller may read the ids of, and their keys, which are
            recognised as well.
    """

    def __init__(self, known: KnownSecrets, visible: Sequence[tuple[str, SigningKey]]) -> None:
        self._known = known
        self._own = KnownSecrets(visible)
        self._visible = {project for project, _ in visible}

    def find(self, text: str, place: str) -> Mapping[str, ExposedSecret]:
        """Returns the credentials in a text, by their text there."""
        found: dict[str, ExposedSecret] = {}
        for word in _candidates(text):
            # A secret of several projects is named by one that the caller may inspect.
            if owner := self._own.owner_of(word) or self._known.owner_of(word):
                found[word] = self._own_secret(*owner, place)
            elif self._known.is_api_key(word):
                found[word] = ExposedSecret(Credential.API_KEY, place)
        for match in _API_KEY.finditer(text):
            found[match.group()] = ExposedSecret(Credential.API_KEY, place)
        for match in _JWT.finditer(text):
            found[match.group()] = ExposedSecret(Credential.JWT, place)
        return found

    def _own_secret(self, project: str, key: _Key, place: str) -> ExposedSecret:
        kind = _CREDENTIALS[key.product]
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
    """Redaction for reports: replaces each secret in a text by `REDACTED`."""
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    return text
