"""Signing keys and their states. Pure values; `config` builds them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, TypeVar

from token_authority_server.formats.access_token_007 import second_key
from token_authority_server.keyring.secret import Secret


class KeyState(StrEnum):
    """How a key is used."""

    ACTIVE = "active"
    """Signs. At most one key of a project and product is active."""
    VERIFY_ONLY = "verify_only"
    """Retired: no longer signs, but its tokens may still be valid."""
    DISABLED = "disabled"
    """Not used."""


@dataclass(frozen=True, slots=True)
class AppCertificate:
    """An App Certificate: signs AccessToken 006 and 007."""

    product: ClassVar[str] = "agora"

    key_id: str
    state: KeyState
    app_id: str
    certificate: Secret
    retired_ms: int | None = None
    """When it stopped signing, in milliseconds since 1970; None: unknown."""
    _last: tuple[int, bytes] = field(init=False, repr=False, compare=False, default=(-1, b""))
    """The second of the last 007 token, and its key."""

    def confidential(self) -> tuple[str, ...]:
        """Returns the values to redact."""
        return (self.certificate.reveal(),)

    def second_key(self, issued_at: int) -> bytes:
        """Returns the key that all 007 tokens of one second share.

        Remembers the last one: a batch needs it for each token. It is dropped with this object,
        so a replaced certificate leaves nothing behind.

        Args:
            issued_at: Unix seconds, u32.

        Raises:
            FormatError: See formats.access_token_007.second_key.
        """
        second, key = self._last
        if second != issued_at:
            key = second_key(self.certificate.reveal(), issued_at)
            object.__setattr__(self, "_last", (issued_at, key))
        return key


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key pair of Interactive Whiteboard: signs netless tokens."""

    product: ClassVar[str] = "whiteboard"
    app_id: ClassVar[str] = ""

    key_id: str
    state: KeyState
    access_key: str
    secret_key: Secret
    retired_ms: int | None = None
    """When it stopped signing, in milliseconds since 1970; None: unknown."""

    def confidential(self) -> tuple[str, ...]:
        """Returns the values to redact. Every token contains the access key, so it is not one."""
        return (self.secret_key.reveal(),)


SigningKey = AppCertificate | AccessKey
KeyT = TypeVar("KeyT", AppCertificate, AccessKey)
