"""`[[callers]]`: the services that may call, and their grants."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from token_authority_server.access.callers import Caller
from token_authority_server.config.grants import TOKEN_TYPES, GrantSettings
from token_authority_server.config.identities import ApiKeySettings, Identity
from token_authority_server.config.section import NAME, Section
from token_authority_server.config.toml_lines import Keys
from token_authority_server.config.values import NotEmpty, repeated_in
from token_authority_server.limits import Quota

__all__ = ["TOKEN_TYPES", "CallerSettings", "GrantSettings", "check_callers"]


def _rates(value: object) -> Quota:
    if not isinstance(value, str):
        raise ValueError('must be text like "200/second; 10000/hour"')  # noqa: TRY004  # pydantic
    return Quota.parse(value)


Rates = Annotated[Quota, BeforeValidator(_rates), WithJsonSchema({"type": "string"})]


class CallerSettings(Section):
    """`[[callers]]`: a service that may request tokens."""

    name: Annotated[str, Field(pattern=NAME)]
    """A name of your choice; the log, the audit trail and responses contain it."""

    identities: Annotated[tuple[Identity, ...], NotEmpty]
    """What authenticates this caller: a name in its client certificate (`spiffe://…`, `dns:…`), a
    claim of its JWT (`jwt:sub=…`), the hash of its API key (`api-key:sha256:…`, or a table with a
    name and an end date); or `local`: any client without a credential, if all listeners are
    local."""

    default_project: str = ""
    """The project of requests that name none; absent: the only project it has grants for."""

    rate_limit: Rates = Quota()
    """Tokens per time window, like `200/second; 10000/hour`; a batch counts its tokens. Absent: no
    limit."""

    inspect_rate_limit: Rates = Quota()
    """InspectToken calls and `validate_only` requests per time window; a batch counts its entries.
    Absent: no limit."""

    max_in_flight: Annotated[int, Field(strict=True, ge=1, le=100_000)] | None = None
    """The most concurrent calls of the caller. 1 to 100000; absent: no limit per caller."""

    grants: Annotated[tuple[GrantSettings, ...], NotEmpty]
    """Its grants. The first that covers a request applies; grants are never combined."""

    @model_validator(mode="after")
    def _check(self) -> "CallerSettings":
        if repeated := repeated_in(grant.name for grant in self.grants):
            raise ValueError(f"two grants have the name {repeated[0]!r}: rename one")
        if self.default_project and self.default_project not in {
            grant.project for grant in self.grants
        }:
            raise ValueError(
                f"default_project is {self.default_project!r}, but no grant is for "
                "that project: add one"
            )
        return self

    @property
    def identity_texts(self) -> tuple[str, ...]:
        """The identities without names and end dates."""
        return tuple(one if isinstance(one, str) else one.text for one in self.identities)

    def described_identities(self) -> list[str]:
        """Returns the identities, with the names and end dates of API keys."""
        return [one if isinstance(one, str) else one.description for one in self.identities]

    @property
    def expiring_keys(self) -> Iterator[ApiKeySettings]:
        """The API keys that have an end date."""
        for identity in self.identities:
            if isinstance(identity, ApiKeySettings) and identity.expires:
                yield identity

    def caller(self) -> Caller:
        """Returns the caller in the form that authorization uses."""
        return Caller(
            name=self.name,
            grants=tuple(grant.grant() for grant in self.grants),
            quota=Quota(self.rate_limit.rates, self.max_in_flight, self.inspect_rate_limit.rates),
            default_project=self.default_project,
        )


def check_callers(callers: tuple[CallerSettings, ...]) -> Iterator[tuple[Keys, str]]:
    """Yields duplicate names and identities among callers, with the path of each."""
    names: set[str] = set()
    owners: dict[str, str] = {}
    for row, caller in enumerate(callers):
        if caller.name in names:
            yield ("callers", row), "another caller has this name: rename one"
        names.add(caller.name)
        for index, identity in enumerate(caller.identity_texts):
            owner = owners.setdefault(identity, caller.name)
            if owner != caller.name:
                problem = f"caller {owner!r} has the same identity: remove it from one of them"
                yield ("callers", row, "identities", index), problem
