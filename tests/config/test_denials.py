"""The file of denials: its mistakes, each with its line, and its warnings."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.test_config import MINIMAL, load
from support.keys import APP_ID
from token_authority_server.access.denial import Denial
from token_authority_server.config.denials import denial_warnings, parse_denials
from token_authority_server.config.load import ConfigError
from token_authority_server.families import ServiceAccess

GOOD = """\
# Why: a complaint.
[[denials]]
project = "classroom"
user = "account:al*"
channel = "lesson-*"
tokens = ["rtc", "chat"]
until = 2026-12-01T00:00:00+01:00
reason = "case 12"
"""
UNTIL_MS = 1_796_079_600_000
NOW = datetime(2026, 11, 27, tzinfo=UTC)
MISTAKES = {
    'users = "uid:7"': "2: [[denials]] denial 1: users: is not a key: did you mean 'user'?",
    'user = "7"': '[[denials]] denial 1: user: must be "uid:7"',
    'user = "uid:0"': "[[denials]] denial 1: user: is not a uid",
    'channel = "ä"': "[[denials]] denial 1: channel: must be printable ASCII",
    'channel = ""': "[[denials]] denial 1: channel: must be printable ASCII",
    'user = "uid:7"\ntokens = ["rtx"]': "tokens.0: is not a token type: did you mean 'rt",
    'user = "uid:7"\nreason = "a\\nb"': "reason: must be one line of at most 200 characters",
    'channel = "a"\nroom = "b"': "denial 1: has a channel and a room, which no token has",
    "": "1: [[denials]] denial 1: denies nothing: add user, channel or room",
}


def test_a_denial_is_read() -> None:
    assert parse_denials(GOOD, "x") == (
        Denial(
            "classroom",
            UNTIL_MS,
            "account:al*",
            "lesson-*",
            None,
            frozenset(("rtc", "chat.user")),
            "case 12",
        ),
    )
    assert parse_denials("", "x") == ()


@pytest.mark.parametrize("rows", MISTAKES)
def test_a_mistake_is_a_line_with_its_place(rows: str) -> None:
    keys = 'project = "classroom"\nuntil = 2026-12-01T00:00:00Z'
    with pytest.raises(ValueError, match=r"^denied\.toml:") as caught:
        parse_denials(f"[[denials]]\n{rows}\n{keys}\n", "denied.toml")
    assert MISTAKES[rows] in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("denials = 1", "denials: must be a list of tables: write [[denials]]"),
        ("[denials]", "denials: must be a list of tables: write [[denials]]"),
        ("denials = [1]", "[[denials]] denial 1: must be a table: write [ … ] above its keys"),
        ("[[denial]]\nx = 1", "x:1: denial: is not a key (known here: denials)"),
        ("[[denials]]\nuntil = soon", "x:2: is not valid TOML"),
        (
            '[[denials]]\nproject = "p"\nuser = "*"\nuntil = 2026-12-01T00:00:00',
            "until: must be a date and time with a time zone",
        ),
        # In UTC, it is in the year 10000: no error or log line could show it.
        (
            '[[denials]]\nproject = "p"\nuser = "*"\nuntil = 9999-12-31T23:59:59-12:00',
            "until: must be from year 1 to 9999-12-31T00:00:00Z",
        ),
        (
            '[[denials]]\nproject = "p"\nuser = "*"\nuntil = 0001-01-01T00:00:00+14:00',
            "until: must be from year 1 to 9999-12-31T00:00:00Z",
        ),
    ],
)
def test_what_is_no_list_of_denials_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        parse_denials(text, "x")


def test_each_mistake_is_a_line() -> None:
    with pytest.raises(ValueError, match="denials") as caught:
        parse_denials("other = 1\n[[denials]]\n", "x")
    assert [line.partition(": ")[0] for line in str(caught.value).splitlines()] == [
        "x:1",
        "x:2",
        "x:2",
    ]


def test_mistakes_of_the_file_name_it_in_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "denied.toml"
    text = '[authorization]\ndenied_file = "denied.toml"\n' + MINIMAL
    path.write_text("[[denials]]\nusr = 1\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    for line in str(caught.value).splitlines():
        assert "authorization.denied_file: " in line
    assert f"{path}:2: [[denials]] denial 1: usr: is not a key" in str(caught.value)
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load(tmp_path, text)
    path.write_text(GOOD)
    assert len(load(tmp_path, text).authorization.denials) == 1


def test_a_file_of_many_denials_is_read(tmp_path: Path) -> None:
    """More than the megabyte that other files may have."""
    (tmp_path / "denied.toml").write_text(GOOD * 10_000)
    settings = load(tmp_path, '[authorization]\ndenied_file = "denied.toml"\n' + MINIMAL)
    assert len(settings.authorization.denials) == 10_000


GRANTED = {"classroom": {"rtc", "whiteboard.room"}}
LATER = round((NOW + timedelta(days=1)).timestamp() * 1000)
WARNINGS = {
    "matches nothing: no grant is for this project": Denial("office", LATER, "uid:7"),
    "matches nothing: none of these token types has a user": Denial(
        "classroom", LATER, "uid:7", token_types=frozenset(("whiteboard.room",))
    ),
    "matches nothing: no grant is for the tokens that it concerns": Denial(
        "classroom", LATER, "uid:7", token_types=frozenset(("rtm",))
    ),
    "'a/b' matches nothing: '/' is not allowed in the channels": Denial(
        "classroom", LATER, channel="a/b"
    ),
    "'[0-9]' is literal": Denial("classroom", LATER, channel="c[0-9]"),
    "1 denial is past: run `token-authority deny remove FILE --past`": Denial(
        "office", LATER - 86_400_000, "uid:7"
    ),
}


@pytest.mark.parametrize("warning", WARNINGS)
def test_what_matches_nothing_or_is_past_is_warned_about(warning: str) -> None:
    (found,) = denial_warnings([WARNINGS[warning]], GRANTED, NOW)
    assert warning in found


def test_good_denials_are_not_warned_about_and_many_warnings_are_few() -> None:
    good = [
        Denial("classroom", LATER, "uid:7"),
        Denial("classroom", LATER, channel="lesson-*"),
        Denial("classroom", LATER, "*", "c"),
        Denial("classroom", LATER, room="r*"),
    ]
    assert list(denial_warnings(good, GRANTED, NOW)) == []
    bad = [Denial("office", LATER, f"uid:{number}") for number in range(1, 1001)]
    found = list(denial_warnings(bad, GRANTED, NOW))
    assert len(found) == 11
    assert found[-1] == "and 990 more warnings about denials"


SHARED = """
[authorization]
denied_file = "denied.toml"
[projects.office.agora]
app_id = "OFFICE"
[[projects.office.agora.certificates]]
id = "cert-1"
secret = { file = "cert" }
state = "active"
[[projects.office.whiteboard.access_keys]]
id = "pair-1"
access_key = "AK"
secret = { file = "cert" }
state = "active"
[[projects.classroom.whiteboard.access_keys]]
id = "pair-1"
access_key = "KEY"
secret = { file = "cert" }
state = "active"
"""
DENIED_USER = '[[denials]]\nproject = "classroom"\nuser = "uid:7"\nuntil = 2999-01-01T00:00:00Z\n'
DENIED_ROOM = DENIED_USER.replace('user = "uid:7"', 'room = "r1"')
RTC = ServiceAccess("rtc", "publisher", channel="c", user="uid:7")
BOARD = ServiceAccess("whiteboard.room", "writer", room="r1")
CLASS = ServiceAccess("education.room_user", "1", user="account:al", room="r1")


@pytest.mark.parametrize(
    ("app_id", "key", "denied"),
    [
        (APP_ID, "other", {"rtc", "whiteboard.room", "education.room_user"}),
        (APP_ID.upper(), "other", {"rtc", "whiteboard.room", "education.room_user"}),
        # The same rooms of whiteboards, but other users and classrooms.
        ("0" * 32, "AK", {"whiteboard.room"}),
        ("0" * 32, "other", set[str]()),
    ],
)
def test_projects_of_one_app_or_access_key_share_their_denials(
    tmp_path: Path, app_id: str, key: str, denied: set[str]
) -> None:
    (tmp_path / "denied.toml").write_text(DENIED_USER + DENIED_ROOM)
    text = SHARED.replace("OFFICE", app_id).replace("KEY", key) + MINIMAL
    denials = load(tmp_path, text).policy().denials
    for project, expected in (
        ("office", denied),
        ("classroom", {"rtc", "whiteboard.room", "education.room_user"}),
    ):
        found = {
            access.token_type
            for access in (RTC, BOARD, CLASS)
            if denials.find(project, [access], UNTIL_MS)
        }
        assert found == expected


def test_a_denial_that_applies_through_another_project_is_not_said_to_match_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "denied.toml").write_text(DENIED_ROOM.replace("classroom", "office"))
    for app_id, key, count in ((APP_ID, "B", 0), ("0" * 32, "AK", 0), ("0" * 32, "B", 1)):
        text = SHARED.replace("OFFICE", app_id).replace('"KEY"', f'"{key}"') + MINIMAL
        warnings = [one for one in load(tmp_path, text).warnings() if "denied_file" in one]
        assert len(warnings) == count
        assert all("matches nothing: no grant is for this project" in one for one in warnings)
