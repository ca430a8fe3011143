"""Grants and authorization: decides by a caller's grants which tokens it may request. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from token_authority.v1.issued_token_pb2 import TOKEN_FORMAT_V006
from token_authority_server.access.patterns import Patterns
from token_authority_server.audit import redact_tokens
from token_authority_server.errors import Reason, Refusal, not_granted
from token_authority_server.families import AccessRequest, ServiceAccess, Terms

Allowance = Literal[
    "any_user", "any_channel", "channel_pattern", "non_expiring", "v006", "inspect", "list_keys"
]
"""What a grant must allow explicitly."""

_CHECKS: Final = (
    "tokens",
    "roles",
    "any_channel",
    "channel_pattern",
    "channels",
    "any_user",
    "users",
    "rooms",
    "v006",
    "non_expiring",
    "max_ttl",
)
"""What a grant may lack, by its key in the configuration, in the order of the checks: of several
grants, the one that lacks the latest of these is the closest."""
_REASONS: Final = {
    "any_channel": Reason.WILDCARD_FORBIDDEN,
    "channel_pattern": Reason.WILDCARD_FORBIDDEN,
    "any_user": Reason.WILDCARD_FORBIDDEN,
    "non_expiring": Reason.NON_EXPIRING_FORBIDDEN,
    "max_ttl": Reason.TTL_FORBIDDEN,
}
_ALLOWANCES: Final = frozenset(get_args(Allowance))
_SDK: Final = "whiteboard.sdk"


@dataclass(frozen=True, slots=True)
class Grant:
    """The tokens of one project that a caller may request."""

    name: str
    project: str
    token_types: frozenset[str]
    """Names of TokenTypes, each in full."""
    roles: Patterns
    channels: Patterns
    users: Patterns
    rooms: Patterns
    max_ttl_ms: int
    default_ttl_ms: int | None
    """The lifetime if the request sets none; None: the family's default."""
    clamps_ttl: bool
    """Whether a lifetime above `max_ttl_ms` is clamped to it instead of refused."""
    allow: frozenset[str]

    def missing(self, access_request: AccessRequest) -> str | None:
        """Returns what the grant lacks to cover a request; None if it covers the request."""
        for access in access_request.accesses:
            if missing := self._missing_for(access):
                return missing
        terms = access_request.terms
        if terms.format == TOKEN_FORMAT_V006 and "v006" not in self.allow:
            return "v006"
        if terms.ttl_ms is None:
            return None if "non_expiring" in self.allow else "non_expiring"
        if terms.ttl_ms > self.max_ttl_ms and not (terms.ttl_is_default or self.clamps_ttl):
            return "max_ttl"
        return None

    def _missing_for(self, access: ServiceAccess) -> str | None:  # noqa: PLR0911  # one for each dimension
        token_type, role, channel, user, room, any_channel, any_user, pattern, _ = access
        if token_type not in self.token_types:
            return "tokens"
        if role is not None and not self.roles.match(role):
            return "roles"
        if any_channel and "any_channel" not in self.allow:
            return "any_channel"
        if pattern is not None and "channel_pattern" not in self.allow:
            return "channel_pattern"
        if channel is not None and not self.channels.match(channel):
            return "channels"
        if pattern is not None and not self.channels.includes(pattern):
            return "channels"
        if any_user and "any_user" not in self.allow:
            return "any_user"
        if user is not None and not self.users.match(user):
            return "users"
        if room is not None and not self.rooms.match(room):
            return "rooms"
        return None

    def closeness(self, access_request: AccessRequest) -> tuple[int, int]:
        """Ranks a grant that does not cover a request: the closest has the largest value.

        First by the number of services that it covers, then by what it lacks for the others.
        """
        covered = sum(self._missing_for(access) is None for access in access_request.accesses)
        return covered, _CHECKS.index(self.missing(access_request) or "")

    def refusal(self, access_request: AccessRequest) -> Refusal:
        """Returns the refusal of a request that the grant does not cover."""
        missing = self.missing(access_request) or ""
        accesses = access_request.accesses
        access = next((access for access in accesses if self._missing_for(access)), accesses[0])
        reason = _REASONS.get(missing, Reason.GRANT_MISSING)
        if missing == "tokens" and access.token_type == _SDK:
            reason = Reason.SDK_SCOPE_FORBIDDEN
        return not_granted(
            reason,
            self.project,
            self.name,
            missing,
            _describe(missing, access, access_request.terms, self.max_ttl_ms),
            is_allowance=missing in _ALLOWANCES,
        )

    def resolve_ttl(self, terms: Terms, family_max_ttl_ms: int) -> Terms:
        """Returns the terms with the lifetime that the grant allows.

        Args:
            terms: The terms of a request that the grant covers.
            family_max_ttl_ms: The longest lifetime of the token family; the grant's default may
                exceed it, as one grant may be for several families.

        Raises:
            Refusal: INVALID_REQUEST: a privilege would outlive the token's default lifetime.
        """
        if terms.ttl_ms is None:
            return terms
        if terms.ttl_is_default:
            default_ms = self.default_ttl_ms or terms.ttl_ms
            return terms.with_ttl(min(default_ms, self.max_ttl_ms, family_max_ttl_ms))
        return terms.clamped(self.max_ttl_ms) if terms.ttl_ms > self.max_ttl_ms else terms


def find_grant(grants: Sequence[Grant], access_request: AccessRequest) -> Grant:
    """Returns the first grant that covers a request.

    Args:
        grants: At least one.
        access_request: The request.

    Raises:
        Refusal: No grant covers it; names the closest one, and what it lacks.
    """
    for grant in grants:
        if grant.missing(access_request) is None:
            return grant
    closest = max(grants, key=lambda grant: grant.closeness(access_request))
    raise closest.refusal(access_request)


def _describe(missing: str, access: ServiceAccess, terms: Terms, max_ttl_ms: int) -> str:
    """Describes what a grant does not allow, as the end of a sentence."""
    token_type = access.token_type
    match missing:
        case "tokens":
            return f"tokens of type {token_type}"
        case "v006":
            return "tokens of the older format 006"
        case "non_expiring":
            return "tokens that never expire"
        case "max_ttl":
            assert terms.ttl_ms
            allowed, requested = (f"{ms / 1000:g} s" for ms in (max_ttl_ms, terms.ttl_ms))
            return f"a lifetime above {allowed} ({requested} requested)"
        case _:
            return f"{token_type} tokens for {_describe_place(missing, access)}"


def _describe_place(missing: str, access: ServiceAccess) -> str:
    """Describes the role, channel, user or room that a grant does not allow."""
    # Redact: people paste tokens into such fields, and this text is logged.
    pattern = redact_tokens(access.channel_pattern or "")
    match missing:
        case "any_channel" | "any_user":
            return missing
        case "channel_pattern":
            return f"the channel pattern '{pattern}'"
        case "channels" if pattern:
            return f"every channel that '{pattern}' matches"
        case _:
            dimension = missing.removesuffix("s")
            return f"the {dimension} '{redact_tokens(getattr(access, dimension))}'"
