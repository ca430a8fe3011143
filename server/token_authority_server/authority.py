"""The use case: authorizes a caller's request, signs the token and records it. No transport.

The order is part of the contract: authorization (`authorization.py`), then the rate limits. A token
is returned only after its audit record is written, if the configuration requires one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from token_authority_server.access.callers import Caller
from token_authority_server.access.key_retirement import KeyUses
from token_authority_server.audit import AuditTrail, rfc_3339
from token_authority_server.authorization import (
    AuthorizedRequest,
    PolicySnapshot,
    audit_fields,
    authorize,
)
from token_authority_server.errors import Refusal, allowance_missing
from token_authority_server.families import Moment, TokenFamily
from token_authority_server.formats.fingerprint import fingerprint
from token_authority_server.identity.call_context import CallContext
from token_authority_server.inspection import Expected, Inspection, inspection_steps
from token_authority_server.limits import RateLimiter, Turns


class Issued(NamedTuple):
    """A signed token."""

    allowed: AuthorizedRequest
    token: str
    token_id: str
    """The token's fingerprint, safe to log."""

    def __repr__(self) -> str:
        """Omits the token."""
        return f"Issued({self.allowed!r}, {self.token_id})"


class Authority:
    """Authorizes callers by their grants, and signs their tokens.

    Args:
        policy: Callers and keys, until `apply` replaces them.
        moments: Reads clock and entropy; called for each token.
        limiter: Enforces rate limits.
        trail: Receives a record of each token.
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
        self._inspections = Turns()
        self.key_uses = KeyUses()
        """What this instance signed since it started."""

    @property
    def policy(self) -> PolicySnapshot:
        """The policy that requests are decided with now."""
        return self._policy

    def apply(self, policy: PolicySnapshot) -> None:
        """Replaces the policy; tokens that it does not allow are no longer signed."""
        self._policy = policy

    async def issue(
        self, context: CallContext, family: TokenFamily[Any, Any], request: Any
    ) -> Issued:
        """Issues one token.

        Args:
            context: The caller and the call.
            family: The family of the request.
            request: A request whose single fields are valid.

        Raises:
            Refusal: See `authorize`, `charge`, `sign` and `persist`.
        """
        allowed = self.authorize(context.caller, family, request)
        await self.charge(context, [allowed])
        issued = self.sign(allowed)
        await self.persist([self.record(context, issued)] if self.records_are_kept else [])
        return issued

    def authorize(
        self, caller: Caller, family: TokenFamily[Any, Any], request: Any
    ) -> AuthorizedRequest:
        """Authorizes one request without charging the quota; see the function `authorize`."""
        return authorize(self._policy, caller.name, family, request, self._moments())

    async def validate(
        self, context: CallContext, family: TokenFamily[Any, Any], request: Any
    ) -> AuthorizedRequest:
        """Authorizes a `validate_only` request, and charges it as an inspection.

        It takes its turn with inspections: they have no rate limit by default.

        Raises:
            Refusal: See `authorize` and `charge_inspection`.
        """
        allowed = self.authorize(context.caller, family, request)
        await self.charge_inspection(context, 1)
        await self._inspections.wait()
        return allowed

    async def charge(self, context: CallContext, allowed: Sequence[AuthorizedRequest]) -> None:
        """Charges the caller's quota for all of the requests, or for none.

        Raises:
            Refusal: RATE_LIMITED or BATCH_EXCEEDS_LIMIT.
        """
        await self.charge_tokens(context, allowed[0].project, len(allowed))

    async def charge_tokens(self, context: CallContext, project: str, count: int) -> None:
        """Charges the caller's quota for tokens of one project.

        Raises:
            Refusal: RATE_LIMITED or BATCH_EXCEEDS_LIMIT.
        """
        try:
            await self._limiter.spend(context.caller.name, context.caller.quota, count)
        except Refusal as refusal:
            fields = {"project": project, "count": count}
            raise refusal.with_audit_fields(fields) from None

    async def charge_inspection(self, context: CallContext, count: int) -> None:
        """Charges the caller's `inspect_rate_limit` for inspections or `validate_only` requests.

        Raises:
            Refusal: RATE_LIMITED or BATCH_EXCEEDS_LIMIT.
        """
        await self._limiter.spend_inspections(context.caller.name, context.caller.quota, count)

    def sign(self, allowed: AuthorizedRequest) -> Issued:
        """Signs the token of an authorized request.

        Raises:
            Refusal: The policy was replaced, and the new one does not authorize the request.
        """
        if allowed.policy is not self._policy:
            allowed = authorize(
                self._policy, allowed.caller, allowed.family, allowed.request, allowed.moment
            )
        token = allowed.family.sign(allowed.request, allowed.terms, allowed.key, allowed.moment)
        self.key_uses.add(
            allowed.project, allowed.key.key_id, allowed.terms.issue_ms, allowed.end_ms
        )
        return Issued(allowed, token, fingerprint(token))

    @property
    def records_are_kept(self) -> bool:
        """Whether there is an audit trail; if not, records need not be made."""
        return self._trail.is_enabled

    def record(self, context: CallContext, issued: Issued) -> str:
        """Encodes the audit record of a token, for `persist`."""
        return self._trail.encode(_issued_record(context, issued))

    async def record_event(self, record: Mapping[str, Any]) -> None:
        """Writes one audit record.

        Raises:
            Refusal: AUDIT_UNAVAILABLE: the trail is required and cannot be written.
        """
        await self._trail.record([record])

    async def persist(self, records: Sequence[str]) -> None:
        """Writes audit records; their tokens must not be returned before this has finished.

        Raises:
            Refusal: AUDIT_UNAVAILABLE: the trail is required and cannot be written.
        """
        await self._trail.persist(records)

    async def inspect(self, context: CallContext, text: str, expected: Expected) -> Inspection:
        """Explains any token, with the keys of the projects that the caller may inspect.

        Raises:
            Refusal: GRANT_MISSING: the caller may not inspect any project. RATE_LIMITED.
        """
        policy = self._policy
        projects = context.caller.projects_with("inspect")
        if not projects:
            raise allowance_missing("inspect", "")
        keys = policy.keyring.keys(projects)
        await self.charge_inspection(context, 1)
        steps = inspection_steps(text, expected, keys, self._moments().now_ms, policy.known_secrets)
        inspection = await self._inspections.run(steps)
        record = {
            **context.record("inspected"),
            "kind": inspection.kind,
            "token_id": inspection.token_id,
            "project": inspection.signature.project,
            "key_id": inspection.signature.key_id,
        }
        await self._trail.record([record, *_exposed_records(context, inspection)])
        return inspection

    def now_ms(self) -> int:
        """Returns the time by the clock that dates tokens, in milliseconds since 1970."""
        return self._moments().now_ms


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


def _issued_record(context: CallContext, issued: Issued) -> dict[str, Any]:
    allowed = issued.allowed
    return {
        **context.record("issued"),
        **audit_fields(allowed.accesses),
        "project": allowed.project,
        "grant": allowed.grant.name,
        "key_id": allowed.key.key_id,
        "ttl_ms": allowed.terms.ttl_ms,
        "expire_time": None if allowed.end_ms is None else rfc_3339(allowed.end_ms),
        "token_id": issued.token_id,
    }
