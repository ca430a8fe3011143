"""The answer of `inspect` as texts, which the terminal and the page of `--web` both show.

The texts of a token are untrusted: each is escaped here (`terminal_text.visible`), once for both.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from token_authority_cli.output import at
from token_authority_cli.terminal_text import visible
from token_authority_client import Inspection

_ROWS: Final[Mapping[str, frozenset[str]]] = {
    "App ID": frozenset(["WRONG_APP_ID", "APP_ID_SPELLING", "SECRET_EXPOSED"]),
    "channel": frozenset(["WRONG_CHANNEL", "CHANNEL_SPELLING", "CHANNEL_EMPTY"]),
    "user": frozenset(
        [
            "WRONG_USER",
            "USER_SPELLING",
            "USER_EMPTY",
            "ACCOUNT_FOR_UID",
            "UID_FOR_ACCOUNT",
            "UID_ZERO_AS_TEXT",
            "UID_OUT_OF_RANGE",
            "CHAT_USER_ID_FORM",
            "RTM_USER_MISPLACED",
        ]
    ),
    "room": frozenset(["WRONG_ROOM", "ROOM_SPELLING"]),
    "product": frozenset(["WRONG_PRODUCT", "RTC_TOKEN_FOR_RTM", "RTM_TOKEN_FOR_RTC"]),
}
"""A row of the table -> the findings about it."""
_PATHS: Final[Mapping[str, frozenset[str]]] = {
    "App ID": frozenset(["app_id", "ak"]),
    "channel": frozenset(["channel_name"]),
    "user": frozenset(["uid", "user_id", "user_uuid", "account"]),
    "room": frozenset(["room_uuid", "uuid"]),
}
_NOT_IN_006: Final = "not in a 006 token"
_USABLE: Final = "no reason was found why Agora would refuse it."
_USABLE_UNCHECKED: Final = (
    "as far as could be checked: the signature was not verified, which needs the project's keys."
)


@dataclass(frozen=True, slots=True)
class Client:
    """The client's values, as the command line has them; None if they are not given."""

    values: Mapping[str, str | None]
    """A row of the table -> the value."""
    used_at: datetime
    """When the token was used, or now."""
    is_now: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the token is usable, with an instruction."""

    label: str
    """NOT USABLE or USABLE."""
    level: str
    """error, warning or ok."""
    problem: str
    """The problem, or the result of the checks."""
    advice: str
    """The instruction; "" if there is none."""


@dataclass(frozen=True, slots=True)
class Life:
    """The token's life as a bar, and when the token was used."""

    issued: str
    expires: str
    used: str
    """`now` or `used`."""
    share: float
    """Where between issue (0) and end (1) it was used; below 0: before, from 1 on: afterwards."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: a value of the token, and the client's."""

    name: str
    token: str
    client: str
    mark: str
    """✓ equal, ~ a warning, ✗ different; "" if the client's value was not given."""


@dataclass(frozen=True, slots=True)
class FindingText:
    """A finding, without the texts that are in the verdict."""

    severity: str
    reason: str
    problem: str
    advice: str


@dataclass(frozen=True, slots=True)
class Report:
    """The answer, in the order in which a person reads it."""

    verdict: Verdict
    facts: tuple[tuple[str, str], ...]
    """Pairs of a name and a text: token, signature, times."""
    life: Life | None
    rows: tuple[Row, ...]
    findings: tuple[FindingText, ...]
    fields: tuple[str, ...]
    """Every value in the token: `path = value  (meaning)`."""
    omitted_fields: str
    """How many values are missing in `fields`; "" if none is."""
    others: tuple["Report", ...]
    """The other tokens in the text, without table and fields."""


def report(inspection: Inspection, client: Client) -> Report:
    """Returns the texts of an answer.

    Args:
        inspection: The answer.
        client: The values that were given about the token's use.
    """
    omitted = inspection.omitted_field_count
    return Report(
        verdict=_verdict(inspection),
        facts=tuple(_facts(inspection)),
        life=_life(inspection, client),
        rows=tuple(_rows(inspection, client)),
        findings=tuple(_findings(inspection)),
        fields=tuple(_fields(inspection)),
        omitted_fields=f"… and {omitted} more values" if omitted else "",
        others=tuple([_other(other) for other in inspection.others]),
    )


def _other(inspection: Inspection) -> Report:
    facts, findings = tuple(_facts(inspection)), tuple(_findings(inspection))
    return Report(_verdict(inspection), facts, None, (), findings, (), "", ())


def _verdict(inspection: Inspection) -> Verdict:
    first = inspection.findings[0] if inspection.findings else None
    advice = visible(first.advice) if first is not None else ""
    if first is not None and first.severity == "error":
        return Verdict("NOT USABLE", "error", visible(first.problem), advice)
    if inspection.signature.verdict != "valid":
        return Verdict("USABLE", "warning", _USABLE_UNCHECKED, advice)
    if first is not None:
        return Verdict("USABLE", "warning", f"{_USABLE} {visible(first.problem)}", advice)
    return Verdict("USABLE", "ok", "nothing wrong was found.", advice)


def _facts(inspection: Inspection) -> Iterator[tuple[str, str]]:
    unread = f"format {inspection.format}, cannot be read" if inspection.format else "no token"
    kind = f"{inspection.kind} ({inspection.format})" if inspection.kind else unread
    yield "token", visible(kind)
    signature = inspection.signature
    who = f" by {signature.key_id} of {signature.project}" if signature.key_id else ""
    state = f" ({signature.key_state})" if signature.key_id else ""
    yield "signature", visible(f"{signature.verdict}{who}{state}")
    if inspection.time_summary:
        yield "times", visible(inspection.time_summary)


def _life(inspection: Inspection, client: Client) -> Life | None:
    issued, expires = inspection.issue_time, inspection.expire_time
    if issued is None or expires is None or expires <= issued:
        return None
    share = (client.used_at - issued) / (expires - issued)
    return Life(at(issued), at(expires), "now" if client.is_now else "used", share)


def _rows(inspection: Inspection, client: Client) -> Iterator[Row]:
    """Compares the token's values with the client's."""
    if not inspection.format:
        return
    severities: dict[str, set[str]] = {name: set() for name in _ROWS}
    for finding in inspection.findings:
        for name, reasons in _ROWS.items():
            if finding.reason in reasons:
                severities[name].add(finding.severity)
    for name, found in severities.items():
        value, own = _token_value(inspection, name), client.values.get(name)
        if name == "product" and found:
            # The reported error names the product.
            own = own or "another"
        if value or own is not None:
            mark = "" if own is None else "✗" if "error" in found else "~" if found else "✓"
            yield Row(name, visible(value or "-"), visible("-" if own is None else own), mark)


def _token_value(inspection: Inspection, row: str) -> str:
    """Returns the token's value for a row of the table; "" if it has none."""
    if row == "product":
        return inspection.kind
    values = [
        field.value
        for field in inspection.fields
        if field.path.rpartition(".")[2] in _PATHS.get(row, ())
    ]
    if not values and inspection.format == "006" and row in ("channel", "user"):
        return _NOT_IN_006
    return ", ".join([value or '""' for value in dict.fromkeys(values)])


def _findings(inspection: Inspection) -> Iterator[FindingText]:
    for number, finding in enumerate(inspection.findings):
        # The verdict has the first finding's advice, and its problem if that is an error.
        is_in_verdict = number == 0 and finding.severity == "error"
        yield FindingText(
            visible(finding.severity),
            visible(finding.reason),
            "see above." if is_in_verdict else visible(finding.problem),
            visible(finding.advice) if number else "",
        )


def _fields(inspection: Inspection) -> Iterator[str]:
    for field in inspection.fields:
        meaning = f"  ({field.meaning})" if field.meaning else ""
        yield visible(f"{field.path} = {field.value}{meaning}")
