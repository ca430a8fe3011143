"""Authorization: decides on one request, by the grants, denials and keys of a policy. No transport.

The order of the checks is part of the contract: first the rules, which reveal nothing; then the
grants; then the denials; then the project's keys.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from token_authority.v1.issued_token_pb2 import TOKEN_FORMAT_V006
from token_authority_server.access.denials import NO_DENIALS, Denials
from token_authority_server.access.grants import Grant
from token_authority_server.access.key_retirement import GrantedTtls
from token_authority_server.audit import redact_tokens
from token_authority_server.errors import Refusal, invalid_request
from token_authority_server.families import (
    Moment,
    ServiceAccess,
    Terms,
    TokenFamily,
    access_advisories,
)
from token_authority_server.identity.directory import Callers
from token_authority_server.inspection import KnownSecrets
from token_authority_server.keyring import Keyring, SigningKey

# Agora's SDKs call onTokenPrivilegeWillExpire this long before a token expires.
_RENEW_BEFORE_MS: Final = 30_000


@dataclass(frozen=True, slots=True)
class PolicySnapshot:
    """Immutable snapshot of callers, keys and denials, swapped atomically on reload."""

    keyring: Keyring
    callers: Callers
    denials: Denials = NO_DENIALS
    granted_ttls: GrantedTtls = field(init=False, repr=False, compare=False)
    """The lifetimes that ListSigningKeys reports by."""
    known_secrets: KnownSecrets = field(init=False, repr=False, compare=False)
    """The secrets that an inspection recognises. Hashing them takes seconds for many thousands of
    keys: build snapshots outside the event loop."""

    def __post_init__(self) -> None:
        keys = self.keyring.keys(self.keyring.project_names)
        known = KnownSecrets(
            [*keys, *self.keyring.encryption_secrets()], self.callers.api_key_hashes
        )
        object.__setattr__(self, "known_secrets", known)
        callers = self.callers.by_name.values()
        granted = GrantedTtls(grant for caller in callers for grant in caller.grants)
        object.__setattr__(self, "granted_ttls", granted)


class AuthorizedRequest(NamedTuple):
    """A request that a grant covers, with everything that signing needs."""

    family: TokenFamily[Any, Any]
    request: Any
    policy: PolicySnapshot
    """The snapshot that authorized it."""
    caller: str
    grant: Grant
    project: str
    key: SigningKey
    terms: Terms
    accesses: Sequence[ServiceAccess]
    moment: Moment

    def __repr__(self) -> str:
        """Omits the request and the values that determine the token."""
        return (
            f"AuthorizedRequest({self.family.name}, {self.caller}, {self.grant.name}, {self.key!r})"
        )

    @property
    def token_type(self) -> str:
        """The type of the token; `access_token` for a composition."""
        return self.accesses[0].token_type

    @property
    def expire_ms(self) -> int | None:
        """Milliseconds since 1970 when joining or logging in stops; None for never."""
        usable_ms = self.terms.usable_ms
        return None if usable_ms is None else self.terms.issue_ms + usable_ms

    @property
    def end_ms(self) -> int | None:
        """Milliseconds since 1970 when the token expires; None for never."""
        ttl_ms = self.terms.ttl_ms
        return None if ttl_ms is None else self.terms.issue_ms + ttl_ms

    def renew_ms(self, expire_ms: int) -> int:
        """Returns when to fetch the next token, in milliseconds since 1970."""
        ahead_ms = max(_RENEW_BEFORE_MS, (expire_ms - self.terms.issue_ms) // 10)
        return max(expire_ms - ahead_ms, self.terms.issue_ms)

    @property
    def max_ttl_ms(self) -> int:
        """The longest lifetime that the caller may request."""
        return min(self.grant.max_ttl_ms, self.family.max_ttl_ms)


def authorize(
    policy: PolicySnapshot,
    caller_name: str,
    family: TokenFamily[Any, Any],
    request: Any,
    moment: Moment,
) -> AuthorizedRequest:
    """Authorizes one request.

    Args:
        policy: The callers and keys.
        caller_name: The authenticated caller.
        family: The family of the request.
        request: A request whose single fields are valid.
        moment: The time and randomness for the token.

    Raises:
        Refusal: INVALID_REQUEST, DENIED, or why no grant or key allows the token; its
            `audit_fields` have what was requested.
    """
    accesses, terms, violations = access_request = family.read(request, moment.now_ms)
    try:
        caller = policy.callers.named(caller_name)
        if violations:
            raise invalid_request(violations)
        project_name = caller.project(request.project)
        grant = caller.find_grant(project_name, access_request)
        is_006 = terms.format == TOKEN_FORMAT_V006
        policy.denials.check(project_name, accesses, moment.now_ms, is_006=is_006)
        terms = grant.resolve_ttl(terms, family.max_ttl_ms)
        terms = terms.with_advisories(access_advisories(accesses))
        project = policy.keyring.project(project_name)
        key = project.active_key(family.key_type)
    except Refusal as refusal:
        fields = {"project": request.project, **audit_fields(accesses)}
        raise refusal.with_audit_fields(fields) from None
    return AuthorizedRequest(
        family, request, policy, caller_name, grant, project_name, key, terms, accesses, moment
    )


def audit_fields(accesses: Sequence[ServiceAccess]) -> Mapping[str, Any]:
    """Returns what a token gives access to, for its record; lists if the services differ."""
    fields: dict[str, Any] = {"kind": accesses[0].token_type}
    if len(accesses) > 1:
        fields["parts"] = [access.token_type for access in accesses]
    found: dict[str, list[str]] = {}
    for access in accesses:
        for name, value in (
            ("role", access.role),
            # A channel's name has no `*`, and a pattern has one: they share a field.
            ("channel", access.channel or access.channel_pattern),
            ("user", access.user),
            ("room", access.room),
        ):
            if value:
                found.setdefault(name, []).append(redact_tokens(value))
        if access.any_channel:
            fields["any_channel"] = True
        if access.any_user:
            fields["any_user"] = True
    for name, values in found.items():
        distinct = list(dict.fromkeys(values))
        fields[name] = distinct[0] if len(distinct) == 1 else distinct
    return fields
