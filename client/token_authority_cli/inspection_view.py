"""Formats an inspection for a terminal: the verdict, the cure, the times, the comparison.

The texts of a token are untrusted: each is escaped before it gets colours and width.
"""

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from token_authority_cli.output import at
from token_authority_cli.terminal_text import cut, padded, visible, width_of
from token_authority_client import Inspection

_RED: Final = "31"
_YELLOW: Final = "33"
_GREEN: Final = "32"
_BOLD: Final = "1"
_COLOURS: Final = {"error": _RED, "warning": _YELLOW}
_BAR: Final = 48
_MARGIN: Final = 8
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
_PATHS: Final[Mapping[str, frozenset[str]]] = {
    "App ID": frozenset(["app_id", "ak"]),
    "channel": frozenset(["channel_name"]),
    "user": frozenset(["uid", "user_id", "user_uuid", "account"]),
    "room": frozenset(["room_uuid", "uuid"]),
}
_NOT_IN_006: Final = "not in a 006 token"


@dataclass(frozen=True, slots=True)
class Client:
    """The client's values, as the command line has them; None where they are not given."""

    values: Mapping[str, str | None]
    """A row of the table -> the value."""
    used_at: datetime
    """When the token was used, or now."""
    is_now: bool


@dataclass(frozen=True, slots=True)
class View:
    """A terminal.

    Args:
        width: Columns; None: lines are not wrapped.
        in_colour: Whether colours are shown.
    """

    width: int | None
    in_colour: bool

    def lines(self, inspection: Inspection, client: Client, *, verbose: bool) -> Iterator[str]:
        """Yields the lines of the answer, in the order in which a person reads them."""
        yield from self._verdict(inspection)
        yield ""
        yield from self._token(inspection)
        yield from self._bar(inspection, client)
        yield from self._table(inspection, client)
        yield from self._findings(inspection)
        if verbose:
            yield from self._fields(inspection)
        for number, other in enumerate(inspection.others, 2):
            yield ""
            yield self._painted(f"token {number} of {len(inspection.others) + 1}", _BOLD)
            yield from self._verdict(other)
            yield from self._token(other)
            yield from self._findings(other)

    def _verdict(self, inspection: Inspection) -> Iterator[str]:
        first = inspection.findings[0] if inspection.findings else None
        if first is not None and first.severity == "error":
            yield from self._wrapped("NOT USABLE: ", first.problem, _RED)
        elif inspection.signature.verdict != "valid":
            yield from self._wrapped("USABLE: ", _USABLE_UNCHECKED, _YELLOW)
        elif first is not None:
            yield from self._wrapped("USABLE: ", f"{_USABLE} {first.problem}", _YELLOW)
        else:
            yield from self._wrapped("USABLE: ", "nothing wrong was found.", _GREEN)
        if first is not None:
            yield from self._wrapped("→ ", first.advice, _BOLD)

    def _token(self, inspection: Inspection) -> Iterator[str]:
        unread = f"format {inspection.format}, cannot be read" if inspection.format else "no token"
        kind = f"{inspection.kind} ({inspection.format})" if inspection.kind else unread
        yield from self._wrapped("token: ", kind)
        signature = inspection.signature
        who = f" by {signature.key_id} of {signature.project}" if signature.key_id else ""
        state = f" ({signature.key_state})" if signature.key_id else ""
        yield from self._wrapped("signature: ", f"{signature.verdict}{who}{state}")
        if inspection.time_summary:
            yield from self._wrapped("times: ", inspection.time_summary)

    def _bar(self, inspection: Inspection, client: Client) -> Iterator[str]:
        """Draws the token's life, and when it was used."""
        issued, expires = inspection.issue_time, inspection.expire_time
        if issued is None or expires is None or expires <= issued:
            return
        used = "now" if client.is_now else "used"
        length = _BAR if self.width is None else max(12, min(_BAR, self.width - 2 * _MARGIN))
        share = (client.used_at - issued) / (expires - issued)
        # Before and behind the bar there is room for a word.
        place = round(max(-0.1, min(1.1, share)) * length)
        if share < 0:
            place = min(place, -2)
        elif share >= 1:
            place = max(place, length + 2)
        else:
            place = min(place, length - 1)
        bar = [" "] * (length + 2 * _MARGIN)
        bar[_MARGIN : _MARGIN + length] = ["├", *["─"] * (length - 2), "┤"]
        bar[max(0, min(len(bar) - 1, _MARGIN + place))] = "●"
        marker = [" "] * len(bar)
        start = max(0, min(len(bar) - len(used), _MARGIN + place - len(used) // 2))
        marker[start : start + len(used)] = used
        yield ""
        yield "".join(marker).rstrip()
        colour = _RED if not 0 <= share < 1 else _GREEN
        yield self._painted("".join(bar).rstrip(), colour)
        yield f"{' ' * _MARGIN}issued {at(issued)}, expires {at(expires)}"

    def _table(self, inspection: Inspection, client: Client) -> Iterator[str]:
        """Compares the token's values with the client's."""
        rows = [(name, _token_value(inspection, name), client.values.get(name)) for name in _ROWS]
        if any(finding.reason in _ROWS["product"] for finding in inspection.findings):
            # The reported error names the product.
            rows[-1] = ("product", rows[-1][1], rows[-1][2] or "another")
        rows = [row for row in rows if row[1] or row[2] is not None]
        if not rows or not inspection.format:
            return
        cells = [
            (name, cut(value or "-"), cut("-" if own is None else own), own is not None)
            for name, value, own in rows
        ]
        widths = [max(width_of(row[column]) for row in [*cells, _HEADER]) for column in range(3)]
        yield ""
        yield "  ".join(
            [padded(text, size) for text, size in zip(_HEADER, widths, strict=False)]
        ).rstrip()
        reasons = {finding.reason: finding.severity for finding in inspection.findings}
        for name, value, own, is_given in cells:
            mark = self._mark(name, reasons) if is_given else ""
            texts = [
                padded(text, size) for text, size in zip((name, value, own), widths, strict=True)
            ]
            yield f"{'  '.join(texts)}  {mark}".rstrip()

    def _mark(self, row: str, reasons: Mapping[str, str]) -> str:
        severities = {severity for reason, severity in reasons.items() if reason in _ROWS[row]}
        if "error" in severities:
            return self._painted("✗", _RED)
        return self._painted("~", _YELLOW) if severities else self._painted("✓", _GREEN)

    def _findings(self, inspection: Inspection) -> Iterator[str]:
        if inspection.findings:
            yield ""
        for number, finding in enumerate(inspection.findings):
            colour = _COLOURS.get(finding.severity, _BOLD)
            is_told = number == 0 and finding.severity == "error"
            problem = "see above." if is_told else finding.problem
            prefix = f"{finding.severity} {finding.reason}: "
            yield from self._wrapped(prefix, problem, colour, indent=2)
            if not is_told and number:
                yield from self._wrapped("  → ", finding.advice)

    def _fields(self, inspection: Inspection) -> Iterator[str]:
        yield ""
        for field in inspection.fields:
            meaning = f"  ({field.meaning})" if field.meaning else ""
            yield from self._wrapped("  ", f"{field.path} = {field.value}{meaning}", indent=6)
        if inspection.omitted_field_count:
            yield f"  … and {inspection.omitted_field_count} more values"

    def _wrapped(
        self, prefix: str, text: str, colour: str = "", *, indent: int | None = None
    ) -> Iterator[str]:
        """Yields a paragraph whose prefix has the colour and whose lines hang below its text."""
        prefix = visible(prefix)
        hanging = " " * (len(prefix) if indent is None else indent)
        whole = prefix + visible(text)
        lines = (
            [whole]
            if self.width is None
            else textwrap.wrap(
                whole,
                max(self.width, 20),
                subsequent_indent=hanging,
                break_on_hyphens=False,
                drop_whitespace=True,
                replace_whitespace=False,
            )
        )
        for number, line in enumerate(lines or [whole]):
            if number == 0 and colour and line.startswith(prefix.rstrip()):
                head = prefix.rstrip()
                yield self._painted(head, colour) + line[len(head) :]
            else:
                yield line

    def _painted(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self.in_colour else text


_USABLE: Final = "nothing was found for which Agora would refuse it."
_USABLE_UNCHECKED: Final = (
    "as far as could be checked: the signature was not, which needs the project's keys."
)
_HEADER: Final = ("", "token", "client", False)


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
