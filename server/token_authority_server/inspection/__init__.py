"""Explains any token: what is in it, who signed it, and why it is refused.

Pure: no clock, no input or output; nothing but the standard library, the token formats and the
values of the keyring. Whatever the text, there is an answer, in bounded time and memory, and it
holds neither the token nor a secret.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from token_authority_server.formats.fingerprint import fingerprint
from token_authority_server.inspection.case import Case
from token_authority_server.inspection.decode import decode
from token_authority_server.inspection.decoded import Decoded, Field, Name
from token_authority_server.inspection.diagnose import diagnose
from token_authority_server.inspection.expected import Expected
from token_authority_server.inspection.findings import Finding, FindingReason, Severity
from token_authority_server.inspection.verify import Signature, Verdict, exposed_secrets, verify
from token_authority_server.inspection.wording import span
from token_authority_server.keyring import SigningKey

__all__ = [
    "Expected",
    "Field",
    "Finding",
    "FindingReason",
    "Inspection",
    "Severity",
    "Signature",
    "Verdict",
    "inspect_token",
]

_HIDDEN = "(a secret, not shown)"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What there is to say about a token."""

    format: str
    """"006", "007", "netless"; "" for what is not a token."""
    kind: str
    """As `InspectTokenResponse.kind`; "" where the token cannot be read to its end."""
    token_id: str
    """The fingerprint of the token proper; "" for what is not a token."""
    fields: tuple[Field, ...]
    """What it holds, in its order; the signature apart."""
    omitted_field_count: int
    """How many more values it holds, at least."""
    issue_ms: int | None
    """Milliseconds since 1970; None where the token does not say."""
    expire_ms: int | None
    """When joining or logging in stops, in what it was used for; None for never, or where the token
    does not say."""
    expired: bool
    """Whether that was over when it was used."""
    time_summary: str
    """The times in words; "" where there are none."""
    signature: Signature
    findings: tuple[Finding, ...]
    """The worst first."""


def inspect_token(
    text: str, expected: Expected, keys: Sequence[tuple[str, SigningKey]], now_ms: int
) -> Inspection:
    """Explains a token.

    Args:
        text: Whatever was found where a token should be.
        expected: What it was used for, and what came of it.
        keys: The project names and keys that the caller may know of.
        now_ms: Milliseconds since 1970.
    """
    at_ms = now_ms if expected.at_ms is None else expected.at_ms
    decoded = decode(text)
    signature = verify(decoded, keys, expected.subjects())
    secrets = exposed_secrets(decoded, keys)
    if secrets:
        decoded, expected = _hidden(decoded, expected, secrets)
    case = Case(decoded, signature, expected, at_ms, bool(secrets))
    return Inspection(
        format=decoded.format,
        kind=decoded.kind,
        token_id=fingerprint(decoded.token) if decoded.token else "",
        fields=decoded.fields,
        omitted_field_count=decoded.omitted_field_count,
        issue_ms=decoded.issue_ms,
        expire_ms=case.expire_ms,
        expired=case.had_ended,
        time_summary=_time_summary(case, now_ms),
        signature=signature,
        findings=diagnose(case),
    )


def _hidden(
    decoded: Decoded, expected: Expected, secrets: Collection[str]
) -> tuple[Decoded, Expected]:
    """Takes secrets out of what is shown, and alike out of what that is compared with."""

    def hide(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, _HIDDEN)
        return text

    def hide_name(name: Name | None) -> Name | None:
        return name if name is None or name.text is None else Name(hide(name.text))

    whiteboard = decoded.whiteboard
    return replace(
        decoded,
        app_id=hide(decoded.app_id),
        whiteboard=whiteboard and {hide(name): hide(value) for name, value in whiteboard.items()},
        services=tuple(
            [
                service._replace(
                    channel=hide_name(service.channel),
                    user=hide_name(service.user),
                    room=service.room and hide(service.room),
                )
                for service in decoded.services
            ]
        ),
        fields=tuple(
            [Field(hide(path), hide(value), meaning) for path, value, meaning in decoded.fields]
        ),
    ), replace(
        expected,
        app_id=hide(expected.app_id),
        channel_name=hide(expected.channel_name),
        user_account=expected.user_account and hide(expected.user_account),
        room_uuid=hide(expected.room_uuid),
    )


def _time_summary(case: Case, now_ms: int) -> str:
    """Writes the times as seen from when the token was used."""
    decoded, at_ms = case.decoded, case.at_ms
    before, after = ("{} ago", "in {}") if at_ms == now_ms else ("{} before use", "{} after use")
    words: list[str] = []
    for ms, past, future in (
        (decoded.issue_ms, "issued", "issued"),
        (case.expire_ms, "expired", "expires"),
    ):
        if ms is not None:
            when = before if ms <= at_ms else after
            words.append(f"{past if ms <= at_ms else future} {when.format(span(at_ms - ms))}")
    if decoded.whiteboard is not None and "expireAt" not in decoded.whiteboard and decoded.sealed:
        words.append("never expires")
    return ", ".join(words)
