"""Callers and the grants they have. Pure.

Grants are never combined: the first in file order that covers the whole request decides. What is
not granted is refused, and the error names the closest grant and what it lacks.
"""

from dataclasses import dataclass, field

from token_authority_server.access.grants import AccessRequest, Allowance, Grant, find_grant
from token_authority_server.errors import FieldViolation, invalid_request, project_not_granted
from token_authority_server.limits import Quota


@dataclass(frozen=True, slots=True)
class Caller:
    """A service that the configuration names, and what it may have."""

    name: str
    grants: tuple[Grant, ...]
    quota: Quota
    default_project: str = ""
    """What a request means that names no project; "": the only one of the grants."""
    _by_project: dict[str, list[Grant]] = field(
        init=False, repr=False, default_factory=dict[str, list[Grant]]
    )

    def __post_init__(self) -> None:
        for grant in self.grants:
            self._by_project.setdefault(grant.project, []).append(grant)

    def project(self, name: str) -> str:
        """Returns the project that a request means.

        Raises:
            Refusal: GRANT_MISSING for a project without a grant, whether it exists or not;
                INVALID_REQUEST where none is named and several could be meant.
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
        """The project that a request means that names none; "" where it has to."""
        if self.default_project or len(self._by_project) != 1:
            return self.default_project
        return next(iter(self._by_project))

    def grant(self, project: str, wanted: AccessRequest) -> Grant:
        """Returns the first grant for a project that covers a request.

        Raises:
            Refusal: With the grant that comes nearest, and what it lacks.
        """
        return find_grant(self._by_project[project], wanted)

    def projects_with(self, allowance: Allowance) -> frozenset[str]:
        """Returns the projects for which some grant has an allowance."""
        return frozenset(grant.project for grant in self.grants if allowance in grant.allow)
