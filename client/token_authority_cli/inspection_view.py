"""Formats a report of an inspection for a terminal: wrapped, and in colour."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from token_authority_cli.inspection_report import FindingText, Life, Report, Row, Verdict
from token_authority_cli.terminal_text import cut, padded, width_of

_RED: Final = "31"
_YELLOW: Final = "33"
_GREEN: Final = "32"
_BOLD: Final = "1"
_COLOURS: Final = {"error": _RED, "warning": _YELLOW, "ok": _GREEN}
_MARKS: Final = {"✗": _RED, "~": _YELLOW, "✓": _GREEN}
_BAR: Final = 48
_MARGIN: Final = 8
_HEADER: Final = ("", "token", "client")


@dataclass(frozen=True, slots=True)
class View:
    """A terminal.

    Args:
        width: Columns; None: lines are not wrapped.
        in_colour: Whether colours are shown.
    """

    width: int | None
    in_colour: bool

    def lines(self, shown: Report, *, verbose: bool) -> Iterator[str]:
        """Yields the lines of the answer, in the order in which a person reads them."""
        yield from self._verdict(shown.verdict)
        yield ""
        yield from self._facts(shown)
        if shown.life:
            yield from self._bar(shown.life)
        if shown.rows:
            yield from self._table(shown.rows)
        yield from self._findings(shown.findings)
        if verbose:
            yield from self._fields(shown)
        for number, other in enumerate(shown.others, 2):
            yield ""
            yield self._painted(f"token {number} of {len(shown.others) + 1}", _BOLD)
            yield from self._verdict(other.verdict)
            yield from self._facts(other)
            yield from self._findings(other.findings)

    def _verdict(self, verdict: Verdict) -> Iterator[str]:
        colour = _COLOURS[verdict.level]
        yield from self._wrapped(f"{verdict.label}: ", verdict.problem, colour)
        if verdict.advice:
            yield from self._wrapped("→ ", verdict.advice, _BOLD)

    def _facts(self, shown: Report) -> Iterator[str]:
        for name, text in shown.facts:
            yield from self._wrapped(f"{name}: ", text)

    def _bar(self, life: Life) -> Iterator[str]:
        """Draws the token's life, and when it was used."""
        length = _BAR if self.width is None else max(12, min(_BAR, self.width - 2 * _MARGIN))
        share, used = life.share, life.used
        # Before and after the bar there is room for a word.
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
        yield f"{' ' * _MARGIN}issued {life.issued}, expires {life.expires}"

    def _table(self, rows: tuple[Row, ...]) -> Iterator[str]:
        cells = [_HEADER, *[(row.name, cut(row.token), cut(row.client)) for row in rows]]
        widths = [max(width_of(row[column]) for row in cells) for column in range(3)]
        yield ""
        for row, mark in zip(cells, ["", *[row.mark for row in rows]], strict=True):
            texts = [padded(text, size) for text, size in zip(row, widths, strict=True)]
            painted = self._painted(mark, _MARKS[mark]) if mark else ""
            yield f"{'  '.join(texts)}  {painted}".rstrip()

    def _findings(self, findings: tuple[FindingText, ...]) -> Iterator[str]:
        if findings:
            yield ""
        for finding in findings:
            colour = _COLOURS.get(finding.severity, _BOLD)
            prefix = f"{finding.severity} {finding.reason}: "
            yield from self._wrapped(prefix, finding.problem, colour, indent=2)
            if finding.advice:
                yield from self._wrapped("  → ", finding.advice)

    def _fields(self, shown: Report) -> Iterator[str]:
        yield ""
        for text in shown.fields:
            yield from self._wrapped("  ", text, indent=6)
        if shown.omitted_fields:
            yield f"  {shown.omitted_fields}"

    def _wrapped(
        self, prefix: str, text: str, colour: str = "", *, indent: int | None = None
    ) -> Iterator[str]:
        """Yields a paragraph whose prefix has the colour and whose lines hang below its text."""
        hanging = " " * (len(prefix) if indent is None else indent)
        whole = prefix + text
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
