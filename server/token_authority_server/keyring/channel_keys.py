"""Keys for Agora's media encryption, derived from a secret of the project. Pure.

HKDF-SHA-256 (RFC 5869) without a salt. Its info is a sequence of texts, each with its length in two
bytes, big-endian, before it: a label, the version, the App ID in lower case, the channel, the
context, and `key` or `salt`. tests/vectors/channel_keys has known answers.
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from token_authority_server.keyring.keys import KeyState
from token_authority_server.keyring.secret import Secret

PRODUCT: Final = "encryption"
"""The product of secrets, in errors."""
_LABEL: Final = "agora-token-authority channel key"
_VERSION: Final = "1"
_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class EncryptionSecret:
    """A secret from which the channel keys of a project are derived."""

    product: ClassVar[str] = PRODUCT

    key_id: str
    state: KeyState
    app_id: str
    secret: Secret
    """Hex digits of at least 32 random bytes."""
    not_before_ms: int = 0
    """When it becomes the current one if it is active, in milliseconds since 1970."""

    def confidential(self) -> tuple[str, ...]:
        """Returns the values to redact."""
        return (self.secret.reveal(),)


@dataclass(frozen=True, slots=True)
class ChannelKey:
    """The key and salt for Agora's media encryption in the modes AES_128_GCM2 and AES_256_GCM2."""

    key_id: str
    encryption_key: str = field(repr=False)
    """43 characters of base64url."""
    salt: bytes = field(repr=False)
    """32 bytes, never all zero: Agora treats that as no salt."""


def current_secret(secrets: Iterable[EncryptionSecret], now_ms: int) -> EncryptionSecret | None:
    """Returns the active secret whose `not_before` was reached last; None if there is none."""
    usable = [
        one for one in secrets if one.state is KeyState.ACTIVE and one.not_before_ms <= now_ms
    ]
    return max(usable, key=lambda one: one.not_before_ms, default=None)


def derive_channel_key(secret: EncryptionSecret, channel: str, context: str) -> ChannelKey:
    """Derives the key and the salt of a meeting.

    Args:
        secret: The secret.
        channel: The channel's name.
        context: The application's id of the meeting.
    """
    key = _derive(secret, channel, context, "key")
    salts = (_derive(secret, channel, context, name) for name in salt_names())
    return ChannelKey(
        secret.key_id, base64.urlsafe_b64encode(key).decode().rstrip("="), first_with_a_bit(salts)
    )


def salt_names() -> Iterable[str]:
    """Yields the last text of the info for a salt, and for another one if that was all zero."""
    yield "salt"
    yield from (f"salt {number}" for number in count(2))


def first_with_a_bit(salts: Iterable[bytes]) -> bytes:
    """Returns the first salt that is not all zero."""
    return next(salt for salt in salts if any(salt))


def _derive(secret: EncryptionSecret, channel: str, context: str, name: str) -> bytes:
    texts = (_LABEL, _VERSION, secret.app_id.lower(), channel, context, name)
    info = b"".join(len(text.encode()).to_bytes(2, "big") + text.encode() for text in texts)
    hkdf = HKDF(algorithm=SHA256(), length=_BYTES, salt=None, info=info)
    return hkdf.derive(bytes.fromhex(secret.secret.reveal()))
