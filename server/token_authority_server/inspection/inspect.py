"""The inspection of a text: decodes, verifies, diagnoses and redacts. Pure."""

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from token_authority_server.formats.fingerprint import fingerprint
from token_authority_server.inspection.case import Case, products_of
from token_authority_server.inspection.checks.paste import IN_TOKEN
from token_authority_server.inspection.decode import decode, decode_several
from token_authority_server.inspection.decoded import Decoded, Field, Name
from token_authority_server.inspection.diagnose import diagnose
from token_authority_server.inspection.expected import Expected
from token_authority_server.inspection.exposure import (
    ExposedSecret,
    KnownSecrets,
    SecretFinder,
    redact,
)
from token_authority_server.inspection.findings import Finding
from token_authority_server.inspection.reported_error import find_error
from token_authority_server.inspection.verify import Signature, exposed_secrets, verify
from token_authority_server.keyring import SigningKey

_NOTHING_KNOWN: Final = KnownSecrets()
_PLACES: Final[Mapping[str, str]] = {
    "app_id": "The text given as the App ID",
    "channel_name": "The text given as the channel",
    "user_account": "The text given as the user",
    "room_uuid": "The text given as the room",
    "error": "A part of the text given as the error",
}


@dataclass(frozen=True, slots=True)
class Inspection:
    """The explanation of a token."""

    format: str
    """"006", "007", "netless"; "" for a text without a token."""
    kind: str
    """As `InspectTokenResponse.kind`; "" if the token cannot be read to its end."""
    token_id: str
    """The fingerprint of the token without its wrapping; "" for a text without a token."""
    fields: tuple[Field, ...]
    """Its values in their order, without the signature."""
    omitted_field_count: int
    """How many more values it has, at least."""
    issue_ms: int | None
    """Milliseconds since 1970; None if the token does not contain it."""
    expire_ms: int | None
    """When joining or logging in stops, in what it was used for; None for never, or if the token
    does not tell."""
    expired: bool
    """Whether that was over when it was used."""
    time_summary: str
    """The times as a sentence; "" if there are none."""
    signature: Signature
    findings: tuple[Finding, ...]
    """Errors first. Begin with the first one."""
    exposed: tuple[ExposedSecret, ...] = ()
    """Credentials that were pasted, for log and audit trail; not for the caller."""
    others: tuple["Inspection", ...] = ()
    """The other tokens in the text, up to 9."""


def inspect_token(
    text: str,
    expected: Expected,
    keys: Sequence[tuple[str, SigningKey]],
    now_ms: int,
    known: KnownSecrets = _NOTHING_KNOWN,
) -> Inspection:
    """Explains a token at once; see `inspection_steps`."""
    return _last(inspection_steps(text, expected, keys, now_ms, known))


def inspect_decoded(
    decoded: Decoded, keys: Sequence[tuple[str, SigningKey]], now_ms: int
) -> Inspection:
    """Explains a token that was decoded already, without what was around it.

    Args:
        decoded: The token.
        keys: Project names and keys.
        now_ms: Milliseconds since 1970.
    """
    return _last(_inspect(decoded, Expected(), keys, now_ms, (), ()))


def _last(steps: Generator[None, None, Inspection]) -> Inspection:
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            inspection: Inspection = finished.value
            return inspection


def inspection_steps(
    text: str,
    expected: Expected,
    keys: Sequence[tuple[str, SigningKey]],
    now_ms: int,
    known: KnownSecrets = _NOTHING_KNOWN,
) -> Generator[None, None, Inspection]:
    """Explains a token in steps, so that other work can be done between them.

    Args:
        text: Any text that was found in the place of a token.
        expected: How the token was used, and what happened.
        keys: The project names and keys that the caller may inspect.
        now_ms: Milliseconds since 1970.
        known: All secrets of the authority, to recognise them where they do not belong.
    """
    finder = SecretFinder(known, keys)
    yield
    exposed, expected = _exposed(finder, text, expected)
    yield
    several = decode_several(text)
    tokens = several or [decode(text)]
    token_types = [token.kind for token in several]
    inspections: list[Inspection] = []
    for token in _by_product(tokens, expected):
        shown = () if inspections else exposed
        inspections.append((yield from _inspect(token, expected, keys, now_ms, token_types, shown)))
    first, *others = inspections
    return replace(first, exposed=exposed, others=tuple(others))


def _exposed(
    finder: SecretFinder, text: str, expected: Expected
) -> tuple[tuple[ExposedSecret, ...], Expected]:
    """Returns the credentials in what was given, and the client's values without them.

    A credential in the App ID's place is removed: comparing it with the token explains nothing.
    """
    found = dict(finder.find(text, IN_TOKEN))
    changes: dict[str, str] = {}
    for name, place in _PLACES.items():
        value = getattr(expected, name) or ""
        secrets = finder.find(value, place)
        found |= {secret: exposed for secret, exposed in secrets.items() if secret not in found}
        if secrets:
            changes[name] = "" if name == "app_id" else redact(value, secrets)
    return tuple(dict.fromkeys(found.values())), replace(expected, **changes)  # type: ignore[arg-type]  # text fields only


def _by_product(tokens: Sequence[Decoded], expected: Expected) -> Sequence[Decoded]:
    """Sorts tokens for the product in use first."""
    product = expected.product
    if product is None and len(tokens) > 1:
        error = find_error(
            expected.error_code,
            expected.error,
            product=None,
            token_products=[name for token in tokens for name in products_of(token)],
            joined_channel=bool(expected.channel_name) or expected.uid is not None,
        )
        product = error.product if error else None
    return sorted(
        tokens, key=lambda token: product is not None and product not in products_of(token)
    )


def _inspect(
    decoded: Decoded,
    expected: Expected,
    keys: Sequence[tuple[str, SigningKey]],
    now_ms: int,
    token_types: Sequence[str],
    exposed: Sequence[ExposedSecret],
) -> Generator[None, None, Inspection]:
    at_ms = now_ms if expected.at_ms is None else expected.at_ms
    yield
    signature = yield from verify(decoded, keys, expected.subjects())
    secrets = exposed_secrets(decoded, keys)
    yield
    if secrets:
        decoded, expected = _redacted(decoded, expected, secrets)
    error = find_error(
        expected.error_code,
        expected.error,
        product=expected.product,
        token_products=products_of(decoded),
        joined_channel=bool(expected.channel_name) or expected.uid is not None,
    )
    case = Case(decoded, signature, expected, at_ms, error, bool(secrets), exposed, token_types)
    return Inspection(
        format=decoded.format,
        kind=decoded.kind,
        token_id=fingerprint(decoded.token) if decoded.token else "",
        fields=decoded.fields,
        omitted_field_count=decoded.omitted_field_count,
        issue_ms=decoded.issue_ms,
        expire_ms=case.expire_ms,
        expired=case.had_ended,
        time_summary=case.time_summary(now_ms),
        signature=signature,
        findings=diagnose(case),
    )


def _redacted(
    decoded: Decoded, expected: Expected, secrets: Collection[str]
) -> tuple[Decoded, Expected]:
    """Removes secrets from the token's values, and alike from what those are compared with."""

    def hide(text: str) -> str:
        return redact(text, secrets)

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
