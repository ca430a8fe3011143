"""What a caller may have: grants, and the decision of one on a request. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

from token_authority.v1.issued_token_pb2 import TOKEN_FORMAT_V006
from token_authority_server.access.patterns import Patterns
from token_authority_server.audit import redact_tokens
from token_authority_server.errors import Reason, Refusal, not_granted
from token_authority_server.families.base import ServiceAccess, Terms

Allowance = Literal["any_user", "any_channel", "non_expiring", "v006", "inspect", "list_keys"]
"""What a grant has to allow in words."""

_NEARNESS: Final = (
    "tokens",
    "roles",
    "any_channel",
    "channels",
    "any_user",
    "users",
    "rooms",
    "v006",
    "non_expiring",
    "max_ttl",
)
"""What a grant may lack, by its name in the configuration, from what a token is to how long it
lives: the grant that lacks the latest of these comes nearest."""
_REASONS: Final = {
    "any_channel": Reason.WILDCARD_FORBIDDEN,
    "any_user": Reason.WILDCARD_FORBIDDEN,
    "non_expiring": Reason.NON_EXPIRING_FORBIDDEN,
    "max_ttl": Reason.TTL_FORBIDDEN,
}
_ALLOWANCES: Final = frozenset(get_args(Allowance))
_SDK: Final = "whiteboard.sdk"


class AccessRequest(NamedTuple):
    """What a request comes to, as grants see it."""

    parts: Sequence[ServiceAccess]
    terms: Terms


@dataclass(frozen=True, slots=True)
class Grant:
    """What a caller may have of one project."""

    name: str
    project: str
    kinds: frozenset[str]
    """Names of TokenKinds, each in full."""
    roles: Patterns
    channels: Patterns
    users: Patterns
    rooms: Patterns
    max_ttl_ms: int
    default_ttl_ms: int | None
    """The life of a token where the request does not say; None: the kind's own, an hour."""
    clamps_ttl: bool
    """Whether a longer life than the largest is cut down to it, rather than refused."""
    allow: frozenset[str]

    def missing(self, wanted: AccessRequest) -> str | None:
        """Returns what the grant lacks to cover a request; None where it covers it."""
        for part in wanted.parts:
            if lacking := self._part_missing(part):
                return lacking
        terms = wanted.terms
        if terms.format == TOKEN_FORMAT_V006 and "v006" not in self.allow:
            return "v006"
        if terms.ttl_ms is None:
            return None if "non_expiring" in self.allow else "non_expiring"
        if terms.ttl_ms > self.max_ttl_ms and not (terms.ttl_is_default or self.clamps_ttl):
            return "max_ttl"
        return None

    def _part_missing(self, part: ServiceAccess) -> str | None:  # noqa: PLR0911  # one for each dimension
        kind, role, channel, user, room, any_channel, any_user = part
        if kind not in self.kinds:
            return "tokens"
        if role is not None and not self.roles.match(role):
            return "roles"
        if any_channel and "any_channel" not in self.allow:
            return "any_channel"
        if channel is not None and not self.channels.match(channel):
            return "channels"
        if any_user and "any_user" not in self.allow:
            return "any_user"
        if user is not None and not self.users.match(user):
            return "users"
        if room is not None and not self.rooms.match(room):
            return "rooms"
        return None

    def nearness(self, wanted: AccessRequest) -> tuple[int, int]:
        """Returns how near a grant comes that does not cover a request: the more, the nearer.

        By the number of parts that it covers, then by what it lacks for the rest.
        """
        covered = sum(self._part_missing(part) is None for part in wanted.parts)
        return covered, _NEARNESS.index(self.missing(wanted) or "")

    def refusal(self, wanted: AccessRequest) -> Refusal:
        """Returns the refusal of a request that the grant does not cover."""
        lacking = self.missing(wanted) or ""
        part = next((one for one in wanted.parts if self._part_missing(one)), wanted.parts[0])
        reason = _REASONS.get(lacking, Reason.GRANT_MISSING)
        if lacking == "tokens" and part.kind == _SDK:
            reason = Reason.SDK_SCOPE_FORBIDDEN
        return not_granted(
            reason,
            self.project,
            self.name,
            lacking,
            _text(lacking, part, wanted.terms, self.max_ttl_ms),
            is_allowance=lacking in _ALLOWANCES,
        )

    def resolve_ttl(self, terms: Terms, kind_max_ttl_ms: int) -> Terms:
        """Returns the terms of a request that the grant covers, with the life it gives.

        Args:
            terms: What the request comes to.
            kind_max_ttl_ms: The longest life of this kind of token: a grant for several kinds may
                give a longer one by default.

        Raises:
            Refusal: INVALID_REQUEST: a right would outlive the token's default life.
        """
        if terms.ttl_ms is None:
            return terms
        if terms.ttl_is_default:
            default_ms = self.default_ttl_ms or terms.ttl_ms
            return terms.with_ttl(min(default_ms, self.max_ttl_ms, kind_max_ttl_ms))
        return terms.clamped(self.max_ttl_ms) if terms.ttl_ms > self.max_ttl_ms else terms


def find_grant(grants: Sequence[Grant], wanted: AccessRequest) -> Grant:
    """Returns the first of some grants, at least one, that covers a request.

    Raises:
        Refusal: With the grant that comes nearest, and what it lacks.
    """
    for grant in grants:
        if grant.missing(wanted) is None:
            return grant
    raise max(grants, key=lambda grant: grant.nearness(wanted)).refusal(wanted)


def _text(lacking: str, part: ServiceAccess, terms: Terms, max_ttl_ms: int) -> str:
    """Says for people what a grant does not cover."""
    match lacking:
        case "tokens":
            return f"tokens of kind {part.kind}"
        case "v006":
            return "the older format 006"
        case "non_expiring":
            return "tokens that never expire"
        case "max_ttl":
            assert terms.ttl_ms
            return f"a life of {terms.ttl_ms / 1000:g} s: {max_ttl_ms / 1000:g} s at most"
        case "any_channel" | "any_user":
            return f"{part.kind} tokens for {lacking}"
        case _:
            dimension = lacking.removesuffix("s")
            # People paste tokens into such fields, and this text is logged.
            value = redact_tokens(getattr(part, dimension))
            return f"{part.kind} tokens for the {dimension} '{value}'"
