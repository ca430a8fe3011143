"""`identities` of `[[callers]]`: the identities by which a caller is authenticated."""

import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Final

from pydantic import AfterValidator, Discriminator, Field, Tag

from token_authority_server.config.section import NAME, Section
from token_authority_server.config.values import UtcTime
from token_authority_server.identity.directory import API_KEY, CLAIM, DNS, LOCAL, SPIFFE

_EMPTY_KEY: Final = f"{API_KEY}{sha256().hexdigest()}"
_PREFIX: Final = "api-key:"
_IDENTITIES: Final = (
    (LOCAL, "local"),
    (SPIFFE, r"spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+"),
    (DNS, r"dns:[A-Za-z0-9._-]+"),
    (API_KEY, r"api-key:sha256:[0-9a-f]{64}"),
    (CLAIM, r"jwt:[A-Za-z0-9_.:/-]+=[!-~]+"),
)


def _identity(value: str) -> str:
    if not any(re.fullmatch(pattern, value) for _, pattern in _IDENTITIES):
        raise ValueError(
            'must be "spiffe://TRUST-DOMAIN/PATH", "dns:NAME", "jwt:CLAIM=VALUE", '
            '"api-key:sha256:…" as `token-authority api-key new` prints it, or "local"'
        )
    if value == _EMPTY_KEY:
        raise ValueError("is the hash of the empty string: hash the API key")
    return value


def _api_key(value: str) -> str:
    if not re.fullmatch("sha256:[0-9a-f]{64}", value):
        raise ValueError('must be "sha256:…" as `token-authority api-key new` prints it')
    _identity(f"{_PREFIX}{value}")
    return value


class ApiKeySettings(Section):
    """An API key with a name, an end date, or both."""

    api_key: Annotated[str, AfterValidator(_api_key)]
    """The hash of the key: `sha256:…`."""

    name: Annotated[str, Field(pattern=NAME)] | None = None
    """A name of your choice, for warnings and the log."""

    expires: UtcTime | None = None
    """When the key stops being accepted; absent: never."""

    @property
    def text(self) -> str:
        """The identity as a string: `api-key:sha256:…`."""
        return f"{_PREFIX}{self.api_key}"

    @property
    def description(self) -> str:
        """The identity, with its name and end date."""
        expires = f"expires {_utc(self.expires)}" if self.expires else ""
        more = ", ".join(filter(None, (self.name, expires)))
        return f"{self.text} ({more})" if more else self.text

    @property
    def label(self) -> str:
        """The key's name, else the start of its hash."""
        return self.name or self.api_key[:15]

    def __str__(self) -> str:
        """Returns the label in a phrase."""
        return f"API key {self.label}"

    def describe_expiry(self, now: datetime) -> str:
        """Returns when the key expires or has expired, as a phrase."""
        if self.expires is None:
            return "does not expire"
        verb = "expired" if self.expires <= now else "expires"
        return f"{verb} at {_utc(self.expires)}"


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _form(value: object) -> str:
    return "[text]" if isinstance(value, str) else "[table]"


Identity = Annotated[
    Annotated[str, AfterValidator(_identity), Tag("[text]")]
    | Annotated[ApiKeySettings, Tag("[table]")],
    Discriminator(_form),
]
