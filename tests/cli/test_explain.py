import json
from pathlib import Path

import pytest

from support.commands import Ran, run
from support.granting import LESSONS
from support.serving import CONFIG, write_config
from token_authority_cli.issue import COMMANDS

RTC = ["issue", "rtc", "--uid", "7", "--role", "publisher"]


async def explain(config: Path, *arguments: str, caller: str = "lessons") -> Ran:
    return await run("explain", "--config", str(config), "--caller", caller, *arguments)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path, CONFIG + LESSONS)


async def test_what_would_be_issued_is_explained(config: Path) -> None:
    ran = await explain(config, *RTC, "--channel", "lesson-1")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "decision: allowed",
        "caller:   lessons",
        "grant:    in-lessons",
        "project:  classroom",
        "key:      cert",
        "ttl:      0:01:30",
        "max_ttl:  1:00:00",
    ]
    ran = await explain(config, *RTC, "--channel", "lesson-1", "--ttl", "2h")
    assert "ttl:      1:00:00\n" in ran.out
    assert "notes:    TTL_CLAMPED\n" in ran.out
    ran = await explain(
        config, "issue", "whiteboard", "--sdk", "--role", "admin", "--non-expiring", caller="tester"
    )
    assert "ttl:      never ends\n" in ran.out
    assert "notes:    SDK_TOKEN_SERVER_SIDE_ONLY, NON_EXPIRING\n" in ran.out


async def test_what_would_be_refused_is_explained(config: Path) -> None:
    ran = await explain(config, *RTC, "--channel", "office")
    assert (ran.code, ran.out) == (1, "")
    (line,) = ran.err.splitlines()
    assert line.startswith(
        "token-authority: permission denied: the closest grant, 'in-lessons' (project 'classroom')"
    )
    assert "does not allow rtc tokens for the channel 'office'" in line
    assert "widen its `channels`" in line
    assert line.endswith(" [GRANT_MISSING]")
    # What the server would find wrong, and what already the client does.
    for arguments in (["--channel", "ä"], ["--channel", "x", "--project", "Not-A-Name"]):
        ran = await explain(config, *RTC, *arguments)
        assert ran.code == 1
        assert f": invalid request: {arguments[-2]} must " in ran.err
        assert ran.err.endswith(" [INVALID_REQUEST]\n")
    ran = await explain(config, *RTC, "--channel", "x", "--project", "office")
    assert "project 'office' does not exist or is not granted to you" in ran.err


async def test_an_explanation_as_json(config: Path) -> None:
    ran = await explain(config, "--json", *RTC, "--channel", "lesson-1", "--ttl", "2h")
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out) == {
        "decision": "allowed",
        "caller": "lessons",
        "grant": "in-lessons",
        "project": "classroom",
        "key": "cert",
        "ttl": "1:00:00",
        "max_ttl": "1:00:00",
        "notes": ["TTL_CLAMPED"],
    }
    ran = await explain(config, "--json", *RTC, "--channel", "office")
    assert (ran.code, ran.err) == (1, "")
    answer = json.loads(ran.out)
    assert (answer["decision"], answer["caller"]) == ("refused", "lessons")
    assert answer["reason"] == "GRANT_MISSING"
    assert answer["metadata"]["missing"] == "channels"
    assert answer["metadata"]["grant"] == "in-lessons"
    assert answer["message"].startswith("permission denied: the closest grant, 'in-lessons'")


async def test_an_unknown_caller_is_told_who_there_is(config: Path) -> None:
    ran = await explain(config, *RTC, "--channel", "x", caller="lesson")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "token-authority: there is no caller 'lesson': pass one of tester, lessons\n"


async def test_a_configuration_that_cannot_be_used_explains_nothing(tmp_path: Path) -> None:
    ran = await explain(write_config(tmp_path, "[server"), *RTC, "--channel", "x")
    assert ran.code == 2
    assert "is not valid TOML" in ran.err


async def test_an_explanation_says_what_it_needs(config: Path) -> None:
    for arguments in (
        ["explain", "--caller", "x", *RTC, "--channel", "x"],
        ["explain", "--config", str(config), *RTC, "--channel", "x"],
        ["explain", "--config", str(config), "--caller", "x"],
        ["explain", "--config", str(config), "--caller", "x", "issue"],
    ):
        ran = await run(*arguments)
        assert ran.code == 2
        assert "usage: token-authority explain" in ran.err
    # It asks no server.
    ran = await explain(config, *RTC, "--channel", "x", "--target", "y")
    assert (ran.code, ran.out) == (2, "")


async def test_every_kind_can_be_explained() -> None:
    for command in COMMANDS:
        ran = await run(
            "explain", "--config", "x", "--caller", "x", "issue", command.name, "--help"
        )
        assert ran.code == 0
        assert f"issue {command.name}" in ran.out


async def test_the_help_for_a_kind_does_not_say_that_a_server_is_asked() -> None:
    for command in COMMANDS:
        ran = await run("explain", "issue", command.name, "--help")
        text = " ".join(ran.out.split())
        assert f"Show whether the caller would be issued {command.noun}." in text
        assert "Issue a" not in text


DENIED = """
[[denials]]
project = "classroom"
user = "uid:7"
until = 2999-01-01T00:00:00Z
reason = "case 12"
"""


KEYS = """
[[projects.classroom.encryption.secrets]]
id = "enc-1"
secret = { env = "ENC" }
state = "active"
[[callers]]
name = "meetings"
identities = ["api-key:sha256:1111111111111111111111111111111111111111111111111111111111111111"]
[[callers.grants]]
name = "meetings"
project = "classroom"
tokens = ["channel_key"]
channels = ["lesson-*"]
[[tests]]
caller = "meetings"
request = { channel_key = { channel_name = "lesson-1", key_context = "m" } }
expect = "allow"
[[tests]]
caller = "meetings"
request = { channel_key = { channel_name = "office", key_context = "m" } }
expect = "EXPECTED"
"""


async def test_a_channel_key_is_explained_and_tested(tmp_path: Path) -> None:
    config = write_config(tmp_path, CONFIG + KEYS.replace("EXPECTED", "GRANT_MISSING"))
    secret = bytes(range(32)).hex()
    request = ["issue", "channel-key", "--context", "m", "--channel"]
    of = ["explain", "--config", str(config), "--caller", "meetings"]
    ran = await run(*of, *request, "lesson-1", ENC=secret)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "decision: allowed",
        "caller:   meetings",
        "grant:    meetings",
        "project:  classroom",
        "key:      enc-1",
    ]
    ran = await run(*of, *request, "office", ENC=secret)
    assert ran.code == 1
    assert ran.err.endswith(" [GRANT_MISSING]\n")
    assert (await run("check-config", str(config), ENC=secret)).code == 0
    config = write_config(tmp_path, CONFIG + KEYS.replace("EXPECTED", "allow"))
    ran = await run("check-config", str(config), ENC=secret)
    assert ran.code == 2
    assert "test 2 (caller meetings): expected allow, got GRANT_MISSING" in ran.err


async def test_a_denial_is_explained(tmp_path: Path) -> None:
    (tmp_path / "denied.toml").write_text(DENIED)
    denied = '[authorization]\ndenied_file = "denied.toml"\n'
    config = write_config(tmp_path, CONFIG + LESSONS + denied)
    ran = await explain(config, *RTC, "--channel", "lesson-1")
    assert (ran.code, ran.out) == (1, "")
    first, second = ran.err.splitlines()
    assert "is denied until 2999-01-01T00:00:00.000Z" in first
    assert first.endswith(" [DENIED]")
    detail = "classroom: user uid:7 until 2999-01-01T00:00:00.000Z; case 12"
    assert second == f"token-authority: denial: {detail}"
    ran = await explain(config, "--json", *RTC, "--channel", "lesson-1")
    answer = json.loads(ran.out)
    assert (answer["reason"], answer["detail"]) == ("DENIED", detail)
    assert answer["metadata"]["denied_until"] == "2999-01-01T00:00:00.000Z"
    other = ["issue", "rtc", "--uid", "8", "--role", "publisher", "--channel", "lesson-1"]
    assert (await explain(config, *other)).code == 0
