"""Callers and their grants. Pure.

Grants are never combined: the first in file order that covers the whole request decides. If none
does, the request is refused, and the error names the closest grant and what it lacks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from token_authority_server.access.grants import Allowance, Grant, find_grant
from token_authority_server.errors import FieldViolation, invalid_request, project_not_granted
from token_authority_server.families import AccessRequest
from token_authority_server.limits import Quota


@dataclass(frozen=True, slots=True)
class Caller:
    """A configured caller, with its grants and limits."""

    name: str
    grants: tuple[Grant, ...]
    quota: Quota
    default_project: str = ""
    """The project of a request that names none; "": the only project of the grants."""
    _by_project: dict[str, list[Grant]] = field(
        init=False, repr=False, default_factory=dict[str, list[Grant]]
    )

    _by_allowance: dict[str, tuple[str, ...]] = field(
        init=False, repr=False, default_factory=dict[str, tuple[str, ...]]
    )

    def __post_init__(self) -> None:
        allowed: dict[str, set[str]] = {}
        for grant in self.grants:
            self._by_project.setdefault(grant.project, []).append(grant)
            for allowance in grant.allow:
                allowed.setdefault(allowance, set()).add(grant.project)
        self._by_allowance.update((name, tuple(sorted(found))) for name, found in allowed.items())

    def project(self, name: str) -> str:
        """Returns the project of a request.

        Raises:
            Refusal: GRANT_MISSING: the caller has no grant for the project, whether it exists or
                not. INVALID_REQUEST: none is named, and the grants are for several.
        """
        name = name or self.only_project
        if not name:
            problem = "must be set: you have grants for several projects and no default_project"
            raise invalid_request([FieldViolation("project", "REQUIRED", problem)])
        if name not in self._by_project:
            raise project_not_granted(name)
        return name

    @property
    def only_project(self) -> str:
        """The project of a request that names none; "" if requests must name one."""
        if self.default_project or len(self._by_project) != 1:
            return self.default_project
        return next(iter(self._by_project))

    def find_grant(self, project: str, access_request: AccessRequest) -> Grant:
        """Returns the first grant for a project that covers a request; see grants.find_grant."""
        return find_grant(self._by_project[project], access_request)

    def has_grant_for(self, project: str) -> bool:
        """Whether a grant is for a project."""
        return project in self._by_project

    def projects_with(self, allowance: Allowance) -> Sequence[str]:
        """Returns the names of the projects for which a grant has an allowance, sorted."""
        return self._by_allowance.get(allowance, ())
