"""`audit find --user`: what a user can still use, and how an operator has Agora remove it."""

import json
from pathlib import Path

import pytest

from cli.test_audit import issued
from support.commands import run
from support.keys import APP_ID, NOW_MS
from token_authority_server.audit.record import Chain, body_of, seal

AT = "2023-11-14T22:43:20Z"
OFFICE_ID = "0" * 32
CONFIG = f"""
[projects.classroom.agora]
app_id = "{APP_ID}"
[[projects.classroom.agora.certificates]]
secret = {{ file = "nowhere" }}
[projects.office.agora]
app_id = "{OFFICE_ID}"
[projects.boards.whiteboard]
"""
RECORDS = [
    issued(token_id="1" * 32),
    issued(token_id="2" * 32, user="uid:77"),
    issued(token_id="3" * 32, user=None, any_user=True, expire_time="2023-11-14T22:53:20Z"),
    issued(token_id="4" * 32, user=["account:al", "uid:7"], kind="access_token"),
    issued(token_id="5" * 32, expire_time="2023-11-14T22:43:20Z"),
    issued(token_id="6" * 32, user="account:al", kind="rtm", channel=None),
    issued(token_id="7" * 32, project="office", expire_time="2023-11-14T22:43:22Z"),
    issued(token_id="8" * 32, project="boards", expire_time=None),
    {"event": "refused", "user": "uid:7", "reason": "DENIED"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bodies = [body_of(record, NOW_MS) for record in RECORDS]
    (tmp_path / "audit.jsonl").write_bytes(seal(Chain("a" * 32), bodies)[0])
    (tmp_path / "ta.toml").write_text(CONFIG)
    return tmp_path


def ids(out: str) -> list[str]:
    return [line[0] for line in out.splitlines() if line.startswith(tuple("12345678"))]


async def test_what_a_user_can_use_is_found(folder: Path) -> None:
    trail = str(folder / "audit.jsonl")
    ran = await run("audit", "find", "--user", "uid:7", trail)
    assert (ran.code, ran.err) == (0, "")
    assert ids(ran.out) == ["1", "3", "4", "5", "7", "8"]
    assert "any_user" in ran.out.splitlines()[1]
    ran = await run("audit", "find", "--user", "uid:7", "--unexpired", "--at", AT, trail)
    assert ids(ran.out) == ["1", "3", "4", "7", "8"]
    ran = await run("audit", "find", "--user", "account:al", "--project", "classroom", trail)
    assert ids(ran.out) == ["3", "4", "6"]
    ran = await run("audit", "find", "--user", "uid:7", "--project", "none", trail)
    assert ran.code == 1
    assert ran.err == ("token-authority: no record of a token that uid:7 can use in these files\n")


async def test_the_bodies_for_agora_are_printed_and_need_no_secret(folder: Path) -> None:
    files = ["--config", str(folder / "ta.toml"), str(folder / "audit.jsonl")]
    find = ["audit", "find", "--user", "uid:7", "--unexpired", "--at", AT]
    ran = await run(*find, *files)
    assert ran.code == 0
    bodies = [json.loads(line) for line in ran.out.splitlines() if line.startswith("{")]
    # As https://docs.agora.io/en/api-reference/api-ref/rtc/create-ban-rule has them: until the
    # last token has expired, and 10 to 86430 seconds.
    assert bodies == [
        {
            "appid": APP_ID,
            "uid": 7,
            "time_in_seconds": 1800,
            "privileges": ["join_channel"],
        },
        {
            "appid": OFFICE_ID,
            "uid": 7,
            "time_in_seconds": 10,
            "privileges": ["join_channel"],
        },
    ]
    first, second = ran.err.splitlines()
    assert first == "token-authority: note: the configuration has no App ID for project 'boards'"
    assert "POST each body to https://api.agora.io/dev/v1/kicking-rule" in second
    ran = await run(*find, "--json", *files)
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert [line["kicking_rule"] for line in lines if "kicking_rule" in line] == bodies


async def test_agora_removes_integer_uids_only(folder: Path) -> None:
    files = ["--config", str(folder / "ta.toml"), str(folder / "audit.jsonl")]
    ran = await run("audit", "find", "--user", "account:al", "--unexpired", "--at", AT, *files)
    assert ran.code == 0
    assert "{" not in ran.out
    assert ran.err == (
        "token-authority: note: Agora's kicking-rule accepts integer uids only: it cannot remove "
        "this user\n"
    )


async def test_what_does_not_go_together_is_refused(folder: Path) -> None:
    trail = str(folder / "audit.jsonl")
    for arguments, problem in (
        (["--user", "uid:7", "--key", "k"], "not allowed with"),
        (["--user", "uid:7", "--config", "x"], "--config needs --user and --unexpired"),
        (["--user", "uid:7", "--at", AT], "--at needs --unexpired"),
        (["--user", "uid:7", "--unexpired", "--config", "x"], "x: cannot be read"),
    ):
        ran = await run("audit", "find", *arguments, trail)
        assert ran.code == 2
        assert problem in ran.err
