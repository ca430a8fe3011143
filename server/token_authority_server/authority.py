"""The use case: a request of a caller comes in, a token or a refusal comes out. No transport.

The order of the steps is part of the contract: the rules come first because they reveal nothing,
then what the caller may know of, then the state of it, then how much it may have; a token leaves
when its record is where the audit policy wants it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from token_authority_server.access.callers import Caller
from token_authority_server.access.grants import AccessRequest, Allowance, Grant
from token_authority_server.access.key_retirement import KeyReport, key_report
from token_authority_server.audit import AuditTrail, rfc_3339, without_token
from token_authority_server.errors import Refusal, allowance_missing, project_not_granted
from token_authority_server.families.base import Moment, ServiceAccess, Terms, TokenFamily
from token_authority_server.formats.access_token_007 import forget_keys
from token_authority_server.formats.fingerprint import fingerprint
from token_authority_server.identity.directory import Callers
from token_authority_server.inspection import (
    Expected,
    Inspection,
    KnownSecrets,
    inspect_token,
)
from token_authority_server.keyring import Keyring, SigningKey
from token_authority_server.limits import RateLimiter

# Agora's SDKs call back this long before the end (onTokenPrivilegeWillExpire).
_RENEW_BEFORE_MS: Final = 30_000


@dataclass(frozen=True, slots=True)
class CallContext:
    """Who asks, and by which call: for the decision and for the audit trail."""

    caller: Caller
    identity: str
    peer: str
    method: str
    request_id: str = ""

    def record(self, event: str) -> dict[str, Any]:
        """Returns the beginning of a record of the audit trail."""
        record = {
            "event": event,
            "caller": self.caller.name,
            "identity": self.identity,
            "peer": self.peer,
            "method": self.method,
        }
        return {**record, "request_id": self.request_id} if self.request_id else record


class Allowed(NamedTuple):
    """A request that may be signed, with all that signing takes."""

    kind: TokenFamily[Any, Any]
    request: Any
    policy: "PolicySnapshot"
    """What it was decided by."""
    caller: str
    grant: Grant
    project: str
    key: SigningKey
    terms: Terms
    parts: Sequence[ServiceAccess]
    moment: Moment

    def __repr__(self) -> str:
        """Shows neither the request nor what makes the token."""
        return f"Allowed({self.kind.name}, {self.caller}, {self.grant.name}, {self.key!r})"

    @property
    def expire_ms(self) -> int | None:
        """Milliseconds since 1970 when joining or logging in stops; None for never."""
        usable_ms = self.terms.usable_ms
        return None if usable_ms is None else self.terms.issue_ms + usable_ms

    @property
    def end_ms(self) -> int | None:
        """Milliseconds since 1970 when the token ends, with the last of its rights."""
        ttl_ms = self.terms.ttl_ms
        return None if ttl_ms is None else self.terms.issue_ms + ttl_ms

    def renew_ms(self, expire_ms: int) -> int:
        """Returns milliseconds since 1970 when to fetch the next token, for one that expires."""
        ahead_ms = max(_RENEW_BEFORE_MS, (expire_ms - self.terms.issue_ms) // 10)
        return max(expire_ms - ahead_ms, self.terms.issue_ms)

    @property
    def max_ttl_ms(self) -> int:
        """The longest life that could be asked for."""
        return min(self.grant.max_ttl_ms, self.kind.max_ttl_ms)


class Issued(NamedTuple):
    """A signed token."""

    allowed: Allowed
    token: str
    token_id: str
    """The token's fingerprint, safe to log."""

    def __repr__(self) -> str:
        """Does not show the token."""
        return f"Issued({self.allowed!r}, {self.token_id})"


@dataclass(frozen=True, slots=True)
class PolicySnapshot:
    """What a configuration comes to: who may ask, and what signs. Replaced as one."""

    keyring: Keyring
    callers: Callers


class Authority:
    """Signs for callers, by their grants.

    Args:
        policy: Who may have what, until `apply` replaces it.
        moments: Reads clock and entropy, afresh for each token.
        limiter: Counts tokens.
        trail: Gets a record of each decision.
    """

    def __init__(
        self,
        policy: PolicySnapshot,
        moments: Callable[[], Moment],
        limiter: RateLimiter,
        trail: AuditTrail,
    ) -> None:
        self._policy = policy
        self._moments = moments
        self._limiter = limiter
        self._trail = trail

    def apply(self, policy: PolicySnapshot) -> None:
        """Goes on with another configuration: what it takes away is not signed any more."""
        self._policy = policy
        forget_keys()

    async def issue(
        self, context: CallContext, kind: TokenFamily[Any, Any], request: Any
    ) -> Issued:
        """Issues one token; see `allow`.

        Raises:
            Refusal: With the reason, and what to do.
        """
        allowed = self.allow(context.caller, kind, request)
        await self.charge(context, [allowed])
        issued = self.sign(allowed)
        await self.persist([self.record(context, issued)] if self.records_are_kept else [])
        return issued

    def allow(self, caller: Caller, kind: TokenFamily[Any, Any], request: Any) -> Allowed:
        """Decides on one request whose single fields are valid, and takes nothing for it.

        Raises:
            Refusal: With the reason, and what to do; `audit_fields` has what it was for.
        """
        return authorize(self._policy, caller.name, kind, request, self._moments())

    async def charge(self, context: CallContext, allowed: Sequence[Allowed]) -> None:
        """Takes tokens off the caller's quota, for all of them or none.

        Raises:
            Refusal: RATE_LIMITED or BATCH_EXCEEDS_LIMIT.
        """
        try:
            await self._limiter.spend(context.caller.name, context.caller.quota, len(allowed))
        except Refusal as refusal:
            fields = {"project": allowed[0].project, "count": len(allowed)}
            raise refusal.with_audit_fields(fields) from None

    def sign(self, allowed: Allowed) -> Issued:
        """Signs what was allowed.

        Raises:
            Refusal: It is not allowed any more, by a policy that was adopted meanwhile.
        """
        if allowed.policy is not self._policy:
            allowed = authorize(
                self._policy, allowed.caller, allowed.kind, allowed.request, allowed.moment
            )
        token = allowed.kind.sign(allowed.request, allowed.terms, allowed.key, allowed.moment)
        return Issued(allowed, token, fingerprint(token))

    @property
    def records_are_kept(self) -> bool:
        """Whether there is an audit trail: if not, records need not be made."""
        return self._trail.is_kept

    def record(self, context: CallContext, issued: Issued) -> str:
        """Makes the record of a token, for `keep`."""
        return self._trail.encode(_issued_record(context, issued))

    async def persist(self, records: Sequence[str]) -> None:
        """Puts tokens on record; until that is done they must not leave.

        Raises:
            Refusal: AUDIT_UNAVAILABLE, where the trail is required and cannot be written.
        """
        await self._trail.persist(records)

    async def inspect(self, context: CallContext, text: str, expected: Expected) -> Inspection:
        """Explains any token, by the keys of the projects that the caller may inspect.

        Raises:
            Refusal: GRANT_MISSING: there is no such project.
        """
        policy = self._policy
        keys = policy.keyring.keys(_projects(context.caller, "inspect"))
        known = KnownSecrets(
            policy.keyring.keys(policy.keyring.project_names), policy.callers.api_key_hashes
        )
        inspection = inspect_token(text, expected, keys, self._moments().now_ms, known)
        record = {
            **context.record("inspected"),
            "kind": inspection.kind,
            "token_id": inspection.token_id,
            "project": inspection.signature.project,
            "key_id": inspection.signature.key_id,
        }
        await self._trail.record([record, *_exposed_records(context, inspection)])
        return inspection

    def list_keys(self, caller: Caller, project: str) -> list[KeyReport]:
        """Returns the keys of one project, or of all ("") that the caller may list.

        Raises:
            Refusal: GRANT_MISSING: none, or not that one.
        """
        allowed = _projects(caller, "list_keys")
        if project and project not in allowed:
            raise (
                allowance_missing("list_keys", project)
                if any(grant.project == project for grant in caller.grants)
                else project_not_granted(project)
            )
        keys = self._policy.keyring.keys({project} if project else allowed)
        now_ms = self._moments().now_ms
        grants = [
            grant for caller in self._policy.callers.by_name.values() for grant in caller.grants
        ]
        return [key_report(name, key, grants, now_ms) for name, key in keys]

    def now_ms(self) -> int:
        """Returns the time by which tokens are timed, in milliseconds since 1970."""
        return self._moments().now_ms


def authorize(
    policy: PolicySnapshot,
    caller_name: str,
    kind: TokenFamily[Any, Any],
    request: Any,
    moment: Moment,
) -> Allowed:
    """Decides on one request; see Authority.allow."""
    parts = kind.parts(request)
    try:
        caller = policy.callers.named(caller_name)
        wanted = AccessRequest(parts, kind.terms(request, moment.now_ms))
        project_name = caller.project(request.project)
        grant = caller.grant(project_name, wanted)
        terms = grant.resolve_ttl(wanted.terms, kind.max_ttl_ms)
        project = policy.keyring.project(project_name)
        key = project.active_key(kind.key_type)
    except Refusal as refusal:
        fields = {"project": request.project, **_audit_fields(parts)}
        raise refusal.with_audit_fields(fields) from None
    return Allowed(
        kind, request, policy, caller_name, grant, project_name, key, terms, parts, moment
    )


def _projects(caller: Caller, allowance: Allowance) -> frozenset[str]:
    projects = caller.projects_with(allowance)
    if not projects:
        raise allowance_missing(allowance, "")
    return projects


def _exposed_records(context: CallContext, inspection: Inspection) -> list[dict[str, Any]]:
    """Records each credential that was pasted, without its text: operators have to rotate it."""
    return [
        {
            **context.record("secret_exposed"),
            "kind": exposed.credential.value,
            "project": exposed.project,
            "key_id": exposed.key_id,
        }
        for exposed in inspection.exposed
    ]


def _audit_fields(parts: Sequence[ServiceAccess]) -> Mapping[str, Any]:
    """Says for the record what a token is for; lists where its parts differ."""
    about: dict[str, Any] = {"kind": parts[0].kind}
    if len(parts) > 1:
        about["parts"] = [part.kind for part in parts]
    for name in ("role", "channel", "user", "room"):
        values = list(
            dict.fromkeys(without_token(value) for part in parts if (value := getattr(part, name)))
        )
        if values:
            about[name] = values[0] if len(values) == 1 else values
    for name in ("any_channel", "any_user"):
        if any(getattr(part, name) for part in parts):
            about[name] = True
    return about


def _issued_record(context: CallContext, issued: Issued) -> dict[str, Any]:
    allowed = issued.allowed
    return {
        **context.record("issued"),
        **_audit_fields(allowed.parts),
        "project": allowed.project,
        "grant": allowed.grant.name,
        "key_id": allowed.key.key_id,
        "ttl_ms": allowed.terms.ttl_ms,
        "expire_time": None if allowed.end_ms is None else rfc_3339(allowed.end_ms),
        "token_id": issued.token_id,
    }
