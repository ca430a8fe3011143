"""`[projects.NAME]`: Agora projects and their keys."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import model_validator

from token_authority_server.access.denials import Scopes
from token_authority_server.config.encryption import EncryptionSettings
from token_authority_server.config.section import KeyId, Section
from token_authority_server.config.values import (
    CertificateText,
    Hex32Text,
    NotEmpty,
    SecretText,
    TokenText,
    UtcTime,
    repeated_in,
)
from token_authority_server.keyring import (
    AccessKey,
    AppCertificate,
    EncryptionSecret,
    KeyState,
    SigningKey,
)

# The placeholders of server/deploy/token-authority.toml.
_SAMPLE_APP_ID: Final = "0123456789abcdef0123456789abcdef"
_SAMPLE_ACCESS_KEY: Final = "your-access-key"


class CertificateSettings(Section):
    """`[[projects.NAME.agora.certificates]]`: an App Certificate."""

    id: KeyId
    """A name of your choice, unique in the project; logs and responses contain it, so it must
    not be the secret."""

    secret: CertificateText
    """A reference to the App Certificate: 32 hex digits."""

    state: KeyState
    """`active` signs (at most one does), `verify_only` is retired, `disabled` unused."""

    active_since: UtcTime | None = None
    """When it began to sign, for the metric of its age. Absent: when the server first had it."""

    retired_at: UtcTime | None = None
    """When it stopped signing: ListSigningKeys counts from then how long it is needed."""


class AgoraSettings(Section):
    """`[projects.NAME.agora]`: RTC and the other products that App Certificates sign for."""

    app_id: Hex32Text
    """The App ID: 32 hex digits."""

    certificates: Annotated[tuple[CertificateSettings, ...], NotEmpty]
    """The project's App Certificates; one is active."""


class AccessKeySettings(Section):
    """`[[projects.NAME.whiteboard.access_keys]]`: an access key pair."""

    id: KeyId
    """A name of your choice, unique in the project; logs and responses contain it. Not the
    AK."""

    access_key: TokenText
    """The AK, which is written into every token."""

    secret: SecretText
    """A reference to the SK."""

    state: KeyState
    """`active` signs (at most one does), `verify_only` is retired, `disabled` unused."""

    active_since: UtcTime | None = None
    """When it began to sign, for the metric of its age. Absent: when the server first had it."""

    retired_at: UtcTime | None = None
    """When it stopped signing: ListSigningKeys counts from then how long it is needed."""


class WhiteboardSettings(Section):
    """`[projects.NAME.whiteboard]`: Interactive Whiteboard."""

    access_keys: Annotated[tuple[AccessKeySettings, ...], NotEmpty]
    """The project's access key pairs; one is active."""


class ProjectSettings(Section):
    """`[projects.NAME]`: an Agora project, by the name that requests use."""

    agora: AgoraSettings | None = None
    """App ID and App Certificates; absent if the project needs none."""

    whiteboard: WhiteboardSettings | None = None
    """Whiteboard keys; absent if the project has none."""

    encryption: EncryptionSettings | None = None
    """Secrets for channel keys; absent: none are issued."""

    @model_validator(mode="after")
    def _check_secrets(self) -> "ProjectSettings":
        if not self.encryption:
            return self
        if not self.agora:
            raise ValueError("has an encryption table and no App ID: add an agora table")
        ids = [row.id for row in self.encryption.secrets]
        ids += [key.key_id for key in self.signing_keys()]
        if repeated := repeated_in(ids):
            raise ValueError(f"two keys have the id {repeated[0]!r}: rename one")
        return self

    @model_validator(mode="after")
    def _check_keys(self) -> "ProjectSettings":
        if not (self.agora or self.whiteboard):
            raise ValueError("has no keys: add an agora or a whiteboard table")
        keys = self.signing_keys()
        for key in keys:
            if key.key_id in key.confidential():
                raise ValueError(
                    "the id of a key is the key itself, and the log contains ids: choose another id"
                )
            if key.state is KeyState.ACTIVE and key.retired_ms is not None:
                raise ValueError(f"{key.key_id} is active and has retired_at: remove one of them")
        if repeated := repeated_in(key.key_id for key in keys):
            raise ValueError(f"two keys have the id {repeated[0]!r}: rename one")
        for product in ("agora", "whiteboard"):
            active = [
                key.key_id
                for key in keys
                if key.product == product and key.state is KeyState.ACTIVE
            ]
            if len(active) > 1:
                raise ValueError(
                    f"the {product} keys {' and '.join(active)} are both active, but at "
                    'most one may be: set the state of the other to "verify_only"'
                )
        return self

    def warnings(self, place: str) -> Iterator[str]:
        """Yields warnings about placeholders and about products without an active key.

        Args:
            place: The name of this table.
        """
        if self.agora and self.agora.app_id.lower() == _SAMPLE_APP_ID:
            yield f"{place}.agora.app_id: is the sample's App ID: replace it by your project's"
        for row in self.whiteboard.access_keys if self.whiteboard else ():
            if row.access_key == _SAMPLE_ACCESS_KEY:
                yield (
                    f"{place}.whiteboard.access_keys: access_key of {row.id!r} is the sample's: "
                    "replace it by yours"
                )
        if self.encryption:
            yield from self.encryption.warnings(f"{place}.encryption", datetime.now(UTC))
        for product in self.products_without_key():
            yield (
                f"{place}.{product}: no key is active: every request for its tokens will be "
                "refused with NO_ACTIVE_KEY"
            )

    def products_without_key(self) -> Iterator[str]:
        """Yields the products that have keys of which none is active."""
        keys = self.signing_keys()
        for product in sorted({key.product for key in keys}):
            if KeyState.ACTIVE not in {key.state for key in keys if key.product == product}:
                yield product

    def active_rows(self) -> Iterator[tuple[str, CertificateSettings | AccessKeySettings]]:
        """Yields the row of each active key, with its product."""
        for row in self.agora.certificates if self.agora else ():
            if row.state is KeyState.ACTIVE:
                yield AppCertificate.product, row
        for pair in self.whiteboard.access_keys if self.whiteboard else ():
            if pair.state is KeyState.ACTIVE:
                yield AccessKey.product, pair

    def signing_keys(self) -> tuple[SigningKey, ...]:
        """Returns the project's keys, ready to sign."""
        return (*self._certificates(), *self._access_keys())

    def scopes(self, name: str) -> Scopes:
        """Returns where its tokens work: projects of one App ID or access key share denials.

        Args:
            name: The project's name.
        """
        # Names of projects contain no spaces.
        app = f"app {self.agora.app_id.lower()}" if self.agora else name
        keys = self.whiteboard.access_keys if self.whiteboard else ()
        return Scopes(app, tuple(dict.fromkeys(f"board {row.access_key}" for row in keys)))

    def encryption_secrets(self) -> tuple[EncryptionSecret, ...]:
        """Returns the project's secrets for channel keys."""
        if not (self.encryption and self.agora):
            return ()
        return self.encryption.of_app(self.agora.app_id)

    def _certificates(self) -> Iterator[AppCertificate]:
        if self.agora:
            for row in self.agora.certificates:
                yield AppCertificate(
                    row.id, row.state, self.agora.app_id, row.secret, _ms(row.retired_at)
                )

    def _access_keys(self) -> Iterator[AccessKey]:
        if self.whiteboard:
            for row in self.whiteboard.access_keys:
                yield AccessKey(row.id, row.state, row.access_key, row.secret, _ms(row.retired_at))


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
