"""Where a mistake is: file, line, table and name; and what it says beside others."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.test_callers import CALLER, GRANT, PROJECT, RTC, expecting, with_grant
from config.test_config import EXAMPLE, FULL
from support.serving import CONFIG, write_config
from token_authority_server import config
from token_authority_server.config import ConfigError
from token_authority_server.config.toml_lines import Keys, line_of, lines_in


def mistakes(folder: Path, text: str) -> list[str]:
    """The lines of a configuration that must not load, without the path."""
    path = write_config(folder, text)
    with pytest.raises(ConfigError) as caught:
        config.load(path, {})
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}:") for line in lines)
    return [line.removeprefix(f"{path}:") for line in lines]


def number(text: str, position: int) -> int:
    return text[:position].count("\n") + 1


def test_a_mistake_in_a_grant_has_its_line_table_and_names(tmp_path: Path) -> None:
    text = PROJECT + with_grant('max_ttl = "1 hour"')
    (line,) = mistakes(tmp_path, text)
    place = f"{number(text, text.index('max_ttl'))}: [[callers.grants]] grant 'lessons' of caller"
    assert line.startswith(f"{place} 'tester': max_ttl: must be a number and a unit")


def test_a_row_without_a_name_is_counted(tmp_path: Path) -> None:
    text = PROJECT + CALLER + GRANT.replace('name = "lessons"', "")
    (line,) = mistakes(tmp_path, text)
    place = f"{number(text, text.rindex('[[callers'))}: [[callers.grants]] grant 2 of caller"
    assert line == f"{place} 'tester': name: is missing: add it"


def test_a_table_without_a_header_has_the_line_of_its_first_part(tmp_path: Path) -> None:
    text = "# A comment.\n" + FULL.replace('"verify_only"', '"active"').replace(
        '{ env = "CERT_2" }', '{ file = "cert" }'
    )
    (line,) = mistakes(tmp_path, text)
    place = number(text, text.index("[projects.classroom."))
    assert line.startswith(f"{place}: projects.classroom: the agora keys cert-1 and cert-2 are")


def test_an_element_of_a_list_has_the_line_it_is_on(tmp_path: Path) -> None:
    odd = 'channels = [\n  "a",  # "]\n  "b[",\n  "\u0430",\n]'
    text = PROJECT + with_grant(odd, "channels")
    (line,) = mistakes(tmp_path, text)
    assert line.startswith(f"{number(text, text.index(chr(0x430)))}: ")
    assert "channels.2: " in line


def test_a_mistake_of_toml_has_its_line(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, "[log]\n[log]\n")
    assert line == "2: is not valid TOML: Cannot declare ('log',) twice (column 5)"


def test_an_unknown_project_is_reported_whatever_else_is_wrong(tmp_path: Path) -> None:
    text = PROJECT + CALLER.replace('"classroom"', '"clasroom"').replace('"local"', '"ip:1"')
    text = text.replace('name = "tester"', 'name = "tester"\ndefault_project = "clasroom"')
    lines = mistakes(tmp_path, text)
    found = "there is no project 'clasroom': did you mean 'classroom'?"
    assert sum(found in line for line in lines) == 2
    assert any("grant 'lessons' of caller 'tester': project: " in line for line in lines)
    assert any("identities.0: must be " in line for line in lines)
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('tokens = ["rtc"]', 'tokens = ["rct"]', "'rtc'"),
        ('roles = ["publisher"]', 'roles = ["publihser"]', "'publisher'"),
        ('state = "active"', 'state = "activ"', "'active'"),
        ("channels = ", "chanels = ", "'channels'"),
        ('caller = "tester"', 'caller = "testr"', "'tester'"),
        ('expect = "allow"', 'expect = "GRANT_MISING"', "'GRANT_MISSING'"),
        ("[log]", '[log]\nlevel = "warn"', "'warning'"),
        ('users = ["uid:*"]', 'users = ["uid:*"]\nallow = ["any-user"]', "'any_user'"),
    ],
)
def test_a_near_miss_is_suggested(tmp_path: Path, old: str, new: str, expected: str) -> None:
    text = f"[log]\n{PROJECT}{expecting(RTC)}"
    assert old in text
    lines = mistakes(tmp_path, text.replace(old, new))
    assert any(f"did you mean {expected}?" in line for line in lines)


DATE = "must be a date and time with a time zone"
WRONG_TYPES = {
    "an integer for text": ('name = "tester"', "name = 7", "name: must be text: write it in"),
    "a date for text": ('project = "classroom"', "project = 2026-01-01", "project: must be text"),
    "a table for a list": ('channels = ["lesson-*"]', "channels = {}", "channels: must be a list"),
    "a number in a list": ('channels = ["lesson-*"]', "channels = [7]", "channels.0: must be text"),
    "text for a table": ("[[callers.grants]]", 'grants = ["a"]\n[x]', "must be a table"),
    "text for a date": ('"active"', '"disabled"\nretired_at = "soon"', DATE),
    "a date without a time": ('"active"', '"disabled"\nretired_at = 2026-01-01', DATE),
    "a fraction": ('"tester"', '"tester"\nmax_in_flight = 1.5', "must be a whole number"),
    "too many": ('"tester"', '"tester"\nmax_in_flight = 100001', "must be at most 100000"),
    "an empty issuer": (
        "[projects",
        '[authentication.jwt]\nissuer = ""\naudience = "a"\njwks = "https://a"\n[projects',
        "authentication.jwt.issuer: must not be empty",
    ),
}


@pytest.mark.parametrize("what", WRONG_TYPES)
def test_a_wrong_type_is_explained_in_our_words(tmp_path: Path, what: str) -> None:
    old, new, expected = WRONG_TYPES[what]
    assert old in PROJECT + CALLER
    lines = mistakes(tmp_path, (PROJECT + CALLER).replace(old, new, 1))
    assert any(expected in line for line in lines)
    for line in lines:
        assert "nput should be" not in line
        assert "wrong type or value" not in line


def paths(value: Any, keys: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Yields each path of a document, and the value there."""
    if keys:
        yield keys, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, (*keys, key))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths(inner, (*keys, index))


ODD = '''
a.'b c'."d.e" = [ # ] "
  "one", ["two", "]"], { x = ",", y = ["three"] },
  \'\'\'
  [[callers]]
  \'\'\', "four", """a ] \\" [[b]]
  """, "five",
]
[ t . "u v" ]
key = "# no comment"  # [z]
[[list]]
first = "six"
[list.inner]
k = "seven"
[[list.rows]]
k = "eight"
[[list.rows]]
k = "nine"
[[list]]
[[list.rows]]
k = "ten"
'''


TEXTS = (EXAMPLE.read_text(), FULL, CONFIG, ODD, ODD.replace("\n", "\r\n"))


@pytest.mark.parametrize("text", TEXTS)
def test_every_value_has_the_line_it_is_on(text: str) -> None:
    lines = dict(lines_in(text))
    rows = text.splitlines()
    checked = 0
    for keys, value in paths(tomllib.loads(text)):
        if not isinstance(value, str) or "\n" in value:
            continue
        line = line_of(lines, keys)
        assert line is not None
        # A list in a list has the line of the outer one.
        if keys in lines:
            assert value in rows[line - 1], keys
            checked += 1
    assert checked > 8
