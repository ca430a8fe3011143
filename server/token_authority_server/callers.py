"""Who may ask for what: callers, their grants, and the decision on one request. Pure.

Grants are never combined: the first in file order that covers all of a request decides. What is
not granted is refused, and the refusal says which grant came nearest and what it lacks.
"""

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from token_authority.v1.issued_token_pb2 import TOKEN_FORMAT_V006
from token_authority_server.errors import (
    FieldViolation,
    Reason,
    credential_invalid,
    invalid_request,
    not_granted,
    project_not_granted,
)
from token_authority_server.kinds.base import Part, Terms
from token_authority_server.limits import Quota

Allowance = Literal["any_user", "any_channel", "non_expiring", "v006", "inspect", "list_keys"]
"""What a grant has to allow in words."""


class Patterns:
    """Texts and globs: `*` stands for any characters, nothing else is special.

    Matching is case-sensitive and on the whole text. Channel names may hold `[`, `]`, `?` and `!`,
    so these stand for themselves (fnmatch would read them).
    """

    __slots__ = ("_exact", "_globs", "texts")

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = tuple(texts)
        self._exact = frozenset(text for text in self.texts if "*" not in text)
        globs = [_regex(text) for text in self.texts if "*" in text]
        self._globs = re.compile("|".join(globs), re.DOTALL) if globs else None

    def match(self, text: str) -> bool:
        """Whether one of the patterns is for this text."""
        return text in self._exact or bool(self._globs and self._globs.fullmatch(text))

    def __repr__(self) -> str:
        return f"Patterns({self.texts!r})"


def _regex(glob: str) -> str:
    first, *middle, last = map(re.escape, glob.split("*"))
    # Atomic groups: each `*` takes as little as it can and never reconsiders, which finds a match
    # wherever there is one and takes time in proportion to the text, whatever the pattern.
    return first + "".join(f"(?>.*?{part})" for part in middle if part) + f".*{last}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request comes to, as grants see it."""

    parts: Sequence[Part]
    terms: Terms


@dataclass(frozen=True, slots=True)
class _Lack:
    """Why a grant does not cover a request."""

    step: int
    """How far it came: the larger, the nearer."""
    missing: str
    """The dimension or allowance, by its name in the configuration."""
    text: str
    reason: Reason = Reason.GRANT_MISSING


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

    def lack(self, wanted: Wanted) -> _Lack | None:
        """Returns what the grant lacks to cover a request; None where it covers it.

        The steps go from what a token is to how long it lives, so that the grant that lacks the
        latest step is the nearest.
        """
        for part in wanted.parts:
            if part.kind not in self.kinds:
                sdk = part.kind == "whiteboard.sdk"
                reason = Reason.SDK_SCOPE_FORBIDDEN if sdk else Reason.GRANT_MISSING
                return _Lack(0, "tokens", f"tokens of kind {part.kind}", reason)
        for part in wanted.parts:
            if found := self._part_lack(part):
                return found
        terms = wanted.terms
        if terms.format == TOKEN_FORMAT_V006 and "v006" not in self.allow:
            return _Lack(5, "v006", "the older format 006")
        if terms.ttl_ms is None:
            if "non_expiring" not in self.allow:
                reason = Reason.NON_EXPIRING_FORBIDDEN
                return _Lack(6, "non_expiring", "tokens that never expire", reason)
        elif terms.ttl_ms > self.max_ttl_ms and not (terms.ttl_is_default or self.clamps_ttl):
            text = f"a life of {terms.ttl_ms / 1000:g} s: {self.max_ttl_ms / 1000:g} s at most"
            return _Lack(7, "max_ttl", text, Reason.TTL_FORBIDDEN)
        return None

    def _part_lack(self, part: Part) -> _Lack | None:
        for step, dimension, value, wildcard in (
            (1, "roles", part.role, ""),
            (2, "channels", part.channel, "any_channel" if part.any_channel else ""),
            (3, "users", part.user, "any_user" if part.any_user else ""),
            (4, "rooms", part.room, ""),
        ):
            if wildcard and wildcard not in self.allow:
                text = f"{part.kind} tokens for {wildcard}"
                return _Lack(step, wildcard, text, Reason.WILDCARD_FORBIDDEN)
            patterns: Patterns = getattr(self, dimension)
            if value is not None and not patterns.match(value):
                text = f"{part.kind} tokens for the {dimension[:-1]} '{value}'"
                return _Lack(step, dimension, text)
        return None

    def settle(self, terms: Terms) -> Terms:
        """Returns the terms of a request that the grant covers, with the life it gives.

        Raises:
            Refusal: INVALID_REQUEST: a right would outlive the token's default life.
        """
        if terms.ttl_ms is None:
            return terms
        if terms.ttl_is_default:
            return terms.with_ttl(min(self.default_ttl_ms or terms.ttl_ms, self.max_ttl_ms))
        return terms.clamped(self.max_ttl_ms) if terms.ttl_ms > self.max_ttl_ms else terms


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

    def grant(self, project: str, wanted: Wanted) -> Grant:
        """Returns the first grant for a project that covers a request.

        Raises:
            Refusal: With the grant that comes nearest, and what it lacks.
        """
        nearest: tuple[Grant, _Lack] | None = None
        for grant in self._by_project[project]:
            lack = grant.lack(wanted)
            if lack is None:
                return grant
            if nearest is None or lack.step > nearest[1].step:
                nearest = grant, lack
        assert nearest
        grant, lack = nearest
        raise not_granted(lack.reason, project, grant.name, lack.missing, lack.text)

    def projects_with(self, allowance: Allowance) -> frozenset[str]:
        """Returns the projects for which some grant has an allowance."""
        return frozenset(grant.project for grant in self.grants if allowance in grant.allow)


@dataclass(frozen=True, slots=True)
class Identified:
    """Who asks, and what showed it."""

    caller: Caller
    identity: str
    """As the configuration writes it; of an API key the first eight digits of its hash only."""


LOCAL: Final = "local"
"""The identity of whoever reaches a loopback address or unix socket."""
API_KEY: Final = "api-key:sha256:"
CLAIM: Final = "jwt:"
DNS: Final = "dns:"
SPIFFE: Final = "spiffe://"


class Callers:
    """All callers, by what identifies them."""

    def __init__(self, callers: Mapping[str, Caller], identities: Mapping[str, str]) -> None:
        self.by_name = callers
        self._by_identity = {text: callers[name] for text, name in identities.items()}
        self._by_key_hash = {
            text.removeprefix(API_KEY): caller
            for text, caller in self._by_identity.items()
            if text.startswith(API_KEY)
        }
        names = [text.removeprefix(CLAIM).partition("=")[0] for text in identities]
        self.claims = frozenset(
            name for name, text in zip(names, identities, strict=True) if text.startswith(CLAIM)
        )
        """The claims by which JWTs are told apart."""

    @property
    def admits_local(self) -> bool:
        """Whether somebody without a credential is a caller."""
        return LOCAL in self._by_identity

    def local(self) -> Identified:
        """Returns who it is that has no credential; only where `admits_local`."""
        return Identified(self._by_identity[LOCAL], LOCAL)

    def of_api_key(self, key_hash: str) -> Identified:
        """Returns whose API key it is, by its SHA-256 in lower-case hex.

        Raises:
            Refusal: CREDENTIAL_INVALID.
        """
        # Looking a hash up tells nothing of the key by how long it takes: nobody can choose the
        # hash. The comparison in constant time has the last word all the same.
        known = key_hash if key_hash in self._by_key_hash else "0" * 64
        if not hmac.compare_digest(known, key_hash):
            raise credential_invalid("no caller has this API key")
        caller = self._by_key_hash[key_hash]
        return Identified(caller, f"{API_KEY}{key_hash[:8]}")

    def of_names(self, names: Iterable[str]) -> Identified:
        """Returns whose certificate it is, by its names: `spiffe://…`, `dns:…`.

        Raises:
            Refusal: CREDENTIAL_INVALID: none's, or several callers'.
        """
        return self._only_one({name for name in names if name.startswith((SPIFFE, DNS))})

    def of_claims(self, claims: Mapping[str, object]) -> Identified:
        """Returns whose JWT it is, by its claims.

        Raises:
            Refusal: CREDENTIAL_INVALID: none's, or several callers'.
        """
        return self._only_one(
            {
                f"{CLAIM}{name}={claims[name]}"
                for name in self.claims
                if isinstance(claims.get(name), str)
            }
        )

    def _only_one(self, identities: set[str]) -> Identified:
        known = sorted(identities & self._by_identity.keys())
        if not known:
            raise credential_invalid(f"no caller has the identity {', '.join(sorted(identities))}")
        if len({self._by_identity[identity].name for identity in known}) > 1:
            raise credential_invalid(f"several callers: {', '.join(known)}")
        return Identified(self._by_identity[known[0]], known[0])
