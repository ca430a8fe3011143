"""The use case of channel keys: authorizes, charges the rate limit, derives, records."""

from typing import NamedTuple

from token_authority_server.access.channel_keys import CHANNEL_KEY, channel_key_access
from token_authority_server.access.grants import Grant
from token_authority_server.audit import redact_tokens
from token_authority_server.authority import Authority
from token_authority_server.authorization import PolicySnapshot
from token_authority_server.errors import Refusal
from token_authority_server.formats.fingerprint import fingerprint
from token_authority_server.identity.call_context import CallContext
from token_authority_server.keyring import ChannelKey, EncryptionSecret, derive_channel_key


class ChannelKeyRequest(NamedTuple):
    """A request whose single fields are valid."""

    project: str
    """"": the caller's default project."""
    channel: str
    context: str
    """The application's id of the meeting."""
    key_id: str
    """"": the current secret."""

    def audit_fields(self) -> dict[str, str]:
        """Returns what the request is for, with pasted tokens redacted."""
        return {
            "kind": CHANNEL_KEY.name,
            "channel": redact_tokens(self.channel),
            "key_context": redact_tokens(self.context),
        }


class AllowedChannelKey(NamedTuple):
    """A request that a grant covers, and the secret for it."""

    project: str
    grant: Grant
    secret: EncryptionSecret


class IssuedChannelKey(NamedTuple):
    """A derived key."""

    allowed: AllowedChannelKey
    key: ChannelKey
    fingerprint: str
    """The key's fingerprint, safe to log."""


def authorize_channel_key(
    policy: PolicySnapshot, caller_name: str, request: ChannelKeyRequest, now_ms: int
) -> AllowedChannelKey:
    """Decides on a request, in the order of `authorization`.

    Raises:
        Refusal: INVALID_REQUEST, GRANT_MISSING, DENIED, PROJECT_LACKS_PRODUCT or NO_ACTIVE_KEY.
    """
    access_request = channel_key_access(request.channel)
    try:
        caller = policy.callers.named(caller_name)
        project = caller.project(request.project)
        grant = caller.find_grant(project, access_request)
        policy.denials.check(project, access_request.accesses, now_ms)
        secret = policy.keyring.project(project).encryption_secret(request.key_id, now_ms)
    except Refusal as refusal:
        fields = {"project": request.project, **request.audit_fields()}
        raise refusal.with_audit_fields(fields) from None
    return AllowedChannelKey(project, grant, secret)


async def issue_channel_key(
    authority: Authority, context: CallContext, request: ChannelKeyRequest
) -> IssuedChannelKey:
    """Derives the key of a meeting and records its fingerprint. It counts as one token.

    Raises:
        Refusal: As `authorize_channel_key`; RATE_LIMITED; AUDIT_UNAVAILABLE.
    """
    now_ms = authority.now_ms()
    policy = authority.policy
    allowed = authorize_channel_key(policy, context.caller.name, request, now_ms)
    await authority.charge_tokens(context, allowed.project, 1)
    if authority.policy is not policy:
        # A reload may have disabled the secret meanwhile.
        allowed = authorize_channel_key(authority.policy, context.caller.name, request, now_ms)
    key = derive_channel_key(allowed.secret, request.channel, request.context)
    issued = IssuedChannelKey(allowed, key, fingerprint(key.encryption_key))
    await authority.record_event(
        {
            **context.record("channel_key_issued"),
            **request.audit_fields(),
            "project": allowed.project,
            "grant": allowed.grant.name,
            "key_id": key.key_id,
            "fingerprint": issued.fingerprint,
        }
    )
    return issued
