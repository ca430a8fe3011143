"""Signing keys and their states. Pure values; `config` builds them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, TypeVar

from token_authority_server.keyring.secret import Secret


class KeyState(StrEnum):
    """What a key is used for."""

    ACTIVE = "active"
    """Signs. At most one key of a project and product is active."""
    VERIFY_ONLY = "verify_only"
    """Retired: signs no more, and its tokens may still be alive."""
    DISABLED = "disabled"
    """Not used for anything."""


@dataclass(frozen=True, slots=True)
class AppCertificate:
    """An App Certificate: signs AccessToken 006 and 007."""

    product: ClassVar[str] = "agora"

    key_id: str
    state: KeyState
    app_id: str
    certificate: Secret
    retired_ms: int | None = None
    """Since when it does not sign, in milliseconds since 1970; None: not said."""

    def confidential(self) -> tuple[str, ...]:
        """Returns what must not be seen."""
        return (self.certificate.reveal(),)


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
    """Since when it does not sign, in milliseconds since 1970; None: not said."""

    def confidential(self) -> tuple[str, ...]:
        """Returns what must not be seen. The access key stands in every token."""
        return (self.secret_key.reveal(),)


SigningKey = AppCertificate | AccessKey
KeyT = TypeVar("KeyT", AppCertificate, AccessKey)
