"""The projects and the keys that sign for them. Pure values; `config` builds them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, TypeVar

from token_authority_server.errors import (
    no_active_key,
    project_lacks_product,
    project_not_granted,
)


class Secret:
    """Text that must not be seen: neither repr, str, format nor pickle shows it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Returns the text, for signing and nothing else."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not to be pickled")


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


@dataclass(frozen=True, slots=True)
class Project:
    """An Agora project, by the name the configuration gives it."""

    name: str
    keys: tuple[SigningKey, ...]

    def active_key(self, key_type: type[KeyT]) -> KeyT:
        """Returns the key that signs for a product.

        Raises:
            Refusal: PROJECT_LACKS_PRODUCT or NO_ACTIVE_KEY.
        """
        for key in self.keys:
            if key.state is KeyState.ACTIVE and isinstance(key, key_type):
                return key
        if any(isinstance(key, key_type) for key in self.keys):
            raise no_active_key(self.name, key_type.product)
        raise project_lacks_product(self.name, key_type.product)


class Keyring:
    """All projects of the server."""

    def __init__(self, projects: Iterable[Project]) -> None:
        self._projects = {project.name: project for project in projects}

    def project(self, name: str) -> Project:
        """Returns a project by a name that a grant has.

        Raises:
            Refusal: GRANT_MISSING: it has been removed since, with the grant.
        """
        if name not in self._projects:
            raise project_not_granted(name)
        return self._projects[name]

    def keys(self, projects: Collection[str]) -> list[tuple[str, SigningKey]]:
        """Returns every key of some projects, whatever its state, with the project's name."""
        return [
            (project.name, key)
            for project in self._projects.values()
            if project.name in projects
            for key in project.keys
        ]

    @property
    def project_names(self) -> Collection[str]:
        """The names of all projects."""
        return self._projects.keys()
