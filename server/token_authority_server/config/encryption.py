"""`[projects.NAME.encryption]`: the secrets from which keys for media encryption are derived."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import model_validator

from token_authority_server.config.section import KeyId, Section
from token_authority_server.config.values import NotEmpty, RandomBytesText, UtcTime
from token_authority_server.keyring import EncryptionSecret, KeyState

_SWITCH_PERIOD: Final = timedelta(minutes=10)


class EncryptionSecretSettings(Section):
    """`[[projects.NAME.encryption.secrets]]`: a secret from which channel keys are derived."""

    id: KeyId
    """A name of your choice, unique in the project; logs and responses contain it."""

    secret: RandomBytesText
    """A reference to the secret, which serves nothing else: 64 or more hex digits of random
    bytes."""

    state: KeyState
    """`active`: used from `not_before` on, until another one is; `verify_only`: used only for
    requests that name it; `disabled`: unused."""

    not_before: UtcTime | None = None
    """When it becomes the current one. A new secret needs a time at least ten minutes ahead, so
    that all replicas have loaded it and switch together."""


class EncryptionSettings(Section):
    """`[projects.NAME.encryption]`: keys for media encryption. Absent: none are issued."""

    secrets: Annotated[tuple[EncryptionSecretSettings, ...], NotEmpty]
    """The project's secrets."""

    @model_validator(mode="after")
    def _check(self) -> "EncryptionSettings":
        used = [row for row in self.secrets if row.state is not KeyState.DISABLED]
        if len({row.not_before for row in used}) < len(used):
            raise ValueError(
                "several secrets have the same not_before, or no not_before: set that of the "
                "newest to a time at least ten minutes ahead, so that all replicas switch together"
            )
        return self

    def of_app(self, app_id: str) -> tuple[EncryptionSecret, ...]:
        """Returns the secrets in the form that keys are derived from."""
        return tuple(
            EncryptionSecret(row.id, row.state, app_id, row.secret, _ms(row.not_before))
            for row in self.secrets
        )

    def warnings(self, place: str, now: datetime) -> Iterator[str]:
        """Yields warnings about a change that comes too soon, and about no current secret.

        Args:
            place: The name of this table.
            now: The time.
        """
        for row in self.secrets:
            if row.not_before and now < row.not_before < now + _SWITCH_PERIOD:
                yield (
                    f"{place}.secrets: not_before of {row.id!r} is less than ten minutes ahead: "
                    "replicas that load it later derive other keys meanwhile"
                )
        active = [row for row in self.secrets if row.state is KeyState.ACTIVE]
        if not any(not row.not_before or row.not_before <= now for row in active):
            yield (
                f"{place}: no secret is active now: requests for channel keys will be refused with "
                "NO_ACTIVE_KEY"
            )


def _ms(moment: datetime | None) -> int:
    return 0 if moment is None else round(moment.timestamp() * 1000)
