"""Projects and the keys that sign for them. Pure values; `config` builds them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from token_authority_server.errors import (
    no_active_key,
    project_lacks_product,
    project_not_granted,
)
from token_authority_server.keyring.channel_keys import (
    PRODUCT as ENCRYPTION,
)
from token_authority_server.keyring.channel_keys import (
    EncryptionSecret,
    current_secret,
)
from token_authority_server.keyring.keys import KeyState, KeyT, SigningKey


@dataclass(frozen=True, slots=True)
class Project:
    """An Agora project, under its name in the configuration."""

    name: str
    keys: tuple[SigningKey, ...]
    encryption_secrets: tuple[EncryptionSecret, ...] = ()

    def active_key(self, key_type: type[KeyT]) -> KeyT:
        """Returns the active key of a product.

        Raises:
            Refusal: PROJECT_LACKS_PRODUCT or NO_ACTIVE_KEY.
        """
        for key in self.keys:
            if key.state is KeyState.ACTIVE and isinstance(key, key_type):
                return key
        if any(isinstance(key, key_type) for key in self.keys):
            raise no_active_key(self.name, key_type.product)
        raise project_lacks_product(self.name, key_type.product)

    def encryption_secret(self, key_id: str, now_ms: int) -> EncryptionSecret:
        """Returns a secret for channel keys.

        Args:
            key_id: The secret, which may be retired; "": the current one.
            now_ms: Milliseconds since 1970.

        Raises:
            Refusal: PROJECT_LACKS_PRODUCT or NO_ACTIVE_KEY.
        """
        if not self.encryption_secrets:
            raise project_lacks_product(self.name, ENCRYPTION)
        if not key_id:
            found = current_secret(self.encryption_secrets, now_ms)
        else:
            usable = [one for one in self.encryption_secrets if one.state is not KeyState.DISABLED]
            found = next((one for one in usable if one.key_id == key_id), None)
        if found is None:
            raise no_active_key(self.name, ENCRYPTION, key_id)
        return found


class Keyring:
    """All projects of the server."""

    def __init__(self, projects: Iterable[Project]) -> None:
        self._projects = {project.name: project for project in projects}
        self._order = {name: number for number, name in enumerate(self._projects)}

    def project(self, name: str) -> Project:
        """Returns a project by its name in a grant.

        Raises:
            Refusal: GRANT_MISSING: a reload removed the project and the grant.
        """
        if name not in self._projects:
            raise project_not_granted(name)
        return self._projects[name]

    def keys(self, projects: Collection[str]) -> list[tuple[str, SigningKey]]:
        """Returns all keys of some projects, in any state, with the project's name.

        The time it takes grows with these projects only, not with all.
        """
        known = [self._projects[name] for name in projects if name in self._projects]
        known.sort(key=lambda project: self._order[project.name])
        return [(project.name, key) for project in known for key in project.keys]

    def encryption_secrets(self) -> list[tuple[str, EncryptionSecret]]:
        """Returns the secrets for channel keys of all projects, with the project's name."""
        return [
            (project.name, secret)
            for project in self._projects.values()
            for secret in project.encryption_secrets
        ]

    @property
    def project_names(self) -> Collection[str]:
        """The names of all projects."""
        return self._projects.keys()
