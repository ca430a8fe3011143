import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from token_authority_cli.inspection_report import Client, report
from token_authority_cli.inspection_view import View
from token_authority_cli.terminal_text import visible
from token_authority_client import DecodedField, Finding, Inspection, Signature

ISSUED = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
WRONG = Finding("WRONG_CHANNEL", "error", "The client joined another channel.", "Make another one.")
ODD = Finding("ANY_USER", "warning", "It admits everyone.", "Make it for one user.")
COLOUR = re.compile(r"\033\[[0-9]+m")


def inspection(*findings: Finding, **changes: Any) -> Inspection:
    values: dict[str, Any] = {
        "format": "007",
        "kind": "rtc",
        "token_id": "f",
        "fields": (
            DecodedField("app_id", "a" * 32, ""),
            DecodedField("services[0].channel_name", "lesson-1", ""),
            DecodedField("services[0].uid", "7", ""),
        ),
        "omitted_field_count": 0,
        "issue_time": ISSUED,
        "expire_time": ISSUED + timedelta(hours=1),
        "expired": False,
        "time_summary": "issued 1 m ago",
        "signature": Signature("valid", "classroom", "cert-2", "active"),
        "findings": findings,
        **changes,
    }
    return Inspection(**values)


def client(minutes: int = 30, **values: str | None) -> Client:
    return Client(values, ISSUED + timedelta(minutes=minutes), is_now=True)


def lines(
    answer: Inspection, by: Client, *, width: int | None = None, in_colour: bool = False
) -> list[str]:
    return list(View(width, in_colour).lines(report(answer, by), verbose=False))


def test_verdict_and_cure_come_first() -> None:
    shown = lines(inspection(WRONG, ODD), client(channel="x"))
    assert shown[0] == "NOT USABLE: The client joined another channel."
    assert shown[1] == "→ Make another one."
    assert shown[-3:] == [
        "error WRONG_CHANNEL: see above.",
        "warning ANY_USER: It admits everyone.",
        "  → Make it for one user.",
    ]


def test_what_was_compared_has_a_mark() -> None:
    shown = "\n".join(lines(inspection(WRONG), client(channel="x", user="7")))
    assert re.search(r"^channel +lesson-1 +x +✗$", shown, re.MULTILINE)
    assert re.search(r"^user +7 +7 +✓$", shown, re.MULTILINE)
    assert re.search(r"^App ID +a{32} +-$", shown, re.MULTILINE)


def test_usable_tokens_say_how_far_that_was_checked() -> None:
    assert lines(inspection(), client())[0] == "USABLE: nothing wrong was found."
    unchecked = inspection(signature=Signature("unverifiable", "", "", None))
    assert lines(unchecked, client())[0].startswith("USABLE: as far as could be checked: ")
    assert lines(inspection(ODD), client())[0].endswith("It admits everyone.")


@pytest.mark.parametrize(
    ("minutes", "before", "after"),
    [
        (-600, True, False),
        (-1, True, False),
        (0, False, False),
        (59, False, False),
        (60, False, True),
        (6000, False, True),
    ],
)
def test_the_bar_shows_when_it_was_used(minutes: int, before: bool, after: bool) -> None:
    for width in (None, 120, 80, 40):
        shown = lines(inspection(), client(minutes), width=width)
        (bar,) = [line for line in shown if "●" in line]
        word = shown[shown.index(bar) - 1]
        assert abs(word.index("now") + 1 - bar.index("●")) <= 2
        assert (bar.index("●") < bar.index("─")) == before or "├" not in bar
        assert (bar.rindex("●") > bar.rindex("─")) == after or "┤" not in bar
        assert width is None or len(bar) <= width


@pytest.mark.parametrize("width", [20, 40, 80])
def test_sentences_wrap_with_a_hanging_indent(width: int) -> None:
    long = Finding("WRONG_CHANNEL", "error", "word " * 40 + "end.", "advice " * 30 + "end.")
    shown = lines(inspection(long), client(), width=width)
    verdict = shown[: shown.index("")]
    assert all(len(line) <= width for line in verdict)
    assert verdict[1].startswith(" " * len("NOT USABLE: "))
    assert " ".join(" ".join(verdict).split()).count("word") == 40
    assert max(len(line) for line in lines(inspection(long), client())) > 200


def test_colours_are_shown_on_request_and_change_nothing_else() -> None:
    plain = lines(inspection(WRONG, ODD), client(channel="x"), width=80)
    painted = lines(inspection(WRONG, ODD), client(channel="x"), width=80, in_colour=True)
    assert plain != painted
    assert [COLOUR.sub("", line) for line in painted] == plain
    assert painted[0].startswith("\033[31mNOT USABLE:\033[0m ")
    assert not COLOUR.search("\n".join(plain))


EVIL = "\x1b[2J\x1b]0;title\x07<b>\r\n\u202e\u2028NOT USABLE: \x9b31m\x00"


def test_no_text_reaches_the_terminal_unescaped() -> None:
    answer = inspection(
        Finding(EVIL, "error", EVIL, EVIL),
        Finding(EVIL, EVIL, EVIL, EVIL),  # type: ignore[arg-type]  # from a newer server
        kind=EVIL,
        fields=(
            DecodedField(f"x.channel_name{EVIL}", EVIL, EVIL),
            DecodedField("app_id", EVIL, ""),
        ),
        time_summary=EVIL,
        signature=Signature("valid", EVIL, EVIL, EVIL),  # type: ignore[arg-type]  # as above
    )
    answer = Inspection(**{**vars_of(answer), "others": (answer,)})
    names = ("App ID", "channel", "user", "room", "product")
    by = Client(dict.fromkeys(names, EVIL), ISSUED, is_now=False)
    for width in (None, 30):
        for line in View(width, in_colour=False).lines(report(answer, by), verbose=True):
            assert line.isprintable(), repr(line)
    assert visible("<b>") == "<b>"


def vars_of(answer: Inspection) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in answer.__dataclass_fields__}
