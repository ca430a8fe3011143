"""Patterns that match nothing are refused; those of another syntax are warned about."""

import re
from pathlib import Path

import pytest

from config.test_callers import PROJECT, with_grant
from config.test_config import EXAMPLE
from support.commands import run
from support.keys import CERTIFICATE, SECRET_KEY
from support.serving import write_config
from token_authority_server import config
from token_authority_server.access.patterns import Patterns
from token_authority_server.config import ConfigError, Settings
from token_authority_server.config.patterns import impossible

PROTOS = Path(__file__).parents[2] / "protos/token_authority/v1"
RTC = ("rtc",)


def load(folder: Path, line: str, without: str) -> Settings:
    return config.load(write_config(folder, PROJECT + with_grant(line, without)), {})


@pytest.mark.parametrize(
    ("dimension", "pattern", "kinds", "expected"),
    [
        ("channels", "lessons/*", RTC, "'/' is not allowed in the channels of rtc tokens"),
        ("channels", r"lesson-\d+", RTC, r"'\\' is not allowed"),
        ("channels", r"lesson-\d+", RTC, "only '*' is special"),
        ("channels", "lesson-'*'", RTC, "is not allowed"),
        ("channels", "x" * 65, RTC, "more than 64 characters are not allowed"),
        ("users", "account:a/*", RTC, "'/' is not allowed in the users of rtc tokens"),
        ("users", "account:a b", ("chat.user",), "' ' is not allowed"),
        ("users", "uid:7", ("rtm",), "rtm tokens have no uid: use account:…"),
        ("users", "uid:*", ("rtm", "chat.user"), "chat.user, rtm tokens have no uid"),
        ("rooms", "room-[0-9]", ("whiteboard.room",), "'[' is not allowed"),
        ("rooms", "{a,b}", ("whiteboard.room",), "only '*' is special"),
        ("rooms", "room?", ("whiteboard.task",), "'?' is not allowed"),
        ("rooms", "a" * 65, ("whiteboard.room", "education.room_user"), "more than 64"),
    ],
)
def test_a_pattern_that_matches_nothing_is_explained(
    dimension: str, pattern: str, kinds: tuple[str, ...], expected: str
) -> None:
    assert expected in impossible(dimension, pattern, kinds)


@pytest.mark.parametrize(
    ("dimension", "pattern", "kinds"),
    [
        ("channels", "*", RTC),
        ("channels", "lesson-[0-9]", RTC),
        ("channels", "a?{b,c}!*", RTC),
        ("channels", "x" * 64 + "*", RTC),
        ("users", "account:a/b", ("rtc", "rtm")),
        ("users", "account:" + "a" * 255, RTC),
        ("users", "uid:*", ("rtc", "rtm")),
        *[("users", "uid:7", (kind,)) for kind in ("rtc", "streaming", "fcdn")],
        ("users", "*", ("chat.user",)),
        ("users", "account:john.*", ("chat.user",)),
        ("rooms", "uid:99", ("whiteboard.room", "education.room_user")),
        ("rooms", "a.b", ("whiteboard.room", "education.room_user")),
        # A grant for the rights of operators alone has no kinds.
        ("channels", "lessons/*", ()),
    ],
)
def test_a_pattern_that_can_match_is_allowed(
    dimension: str, pattern: str, kinds: tuple[str, ...]
) -> None:
    assert impossible(dimension, pattern, kinds) == ""
    name = pattern.replace("*", "")
    assert Patterns([pattern]).match(name)


def test_the_file_is_refused_with_the_name_of_the_grant(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, 'channels = ["lessons/*"]', "channels")
    (line,) = str(caught.value).splitlines()
    assert "grant 'lessons' of caller 'tester': channels: 'lessons/*' matches nothing: " in line


@pytest.mark.parametrize(
    ("pattern", "found"),
    [("lesson-[0-9]+", "[0-9]"), ("lesson-?", "?"), ("{a,b}", "{a,b}"), ("lesson-.*", ".*")],
)
async def test_a_pattern_of_another_syntax_is_warned_about(
    tmp_path: Path, pattern: str, found: str
) -> None:
    path = write_config(tmp_path, PROJECT + with_grant(f'channels = ["{pattern}"]', "channels"))
    ran = await run("check-config", str(path))
    assert ran.code == 0
    assert ran.err == (
        f"token-authority: warning: {path}: grant 'lessons' of caller 'tester': channels: "
        f"{pattern!r}: {found!r} is literal: only '*' is special in a pattern\n"
    )


async def test_the_placeholders_of_the_sample_file_are_warned_about() -> None:
    ran = await run(
        "check-config", str(EXAMPLE), APP_CERTIFICATE_2026=CERTIFICATE, WHITEBOARD_SK=SECRET_KEY
    )
    assert ran.code == 0
    first, second = ran.err.splitlines()
    assert "projects.classroom.agora.app_id: is the sample's App ID" in first
    assert "access_key of 'whiteboard-2026' is the sample's" in second


def test_the_allowed_characters_are_those_of_the_contract() -> None:
    """Every rule for a name in the .proto files has its counterpart here."""
    rules = {
        "channel_name": ("channels", "rtc", 64),
        "user_account": ("users", "rtc", 255),
    }
    text = (PROTOS / "rtc.proto").read_text()
    for field, (dimension, kind, longest) in rules.items():
        found = re.search(rf'string {field} = \d+ .*?pattern: "(.*?)"', text, re.DOTALL)
        assert found
        rule = re.compile(found[1].replace("\\\\", "\\"))
        prefix = "account:" if dimension == "users" else ""
        for code in range(0x20, 0x7F):
            name = chr(code)
            if name != "*":
                possible = not impossible(dimension, prefix + name, [kind])
                assert possible is bool(rule.fullmatch(name)), name
        assert not impossible(dimension, prefix + "a" * longest, [kind])
        assert impossible(dimension, prefix + "a" * (longest + 1), [kind])
