"""`token-authority deny` edits a file that people edit too."""

import asyncio
import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.commands import Ran, run

HAND_WRITTEN = """\
# The deny list of our school.

# A complaint.
[[denials]]
project = "classroom"
user = "uid:7"
until = 2999-01-01T00:00:00Z

# Until the exam is over.
[[denials]]
project = "classroom"
channel = "exam-*"
until = 2020-01-01T00:00:00Z
reason = "exam"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "denied.toml"
    path.write_text(HAND_WRITTEN)
    return path


async def deny(command: str, path: Path, *arguments: str) -> Ran:
    return await run("deny", command, str(path), *arguments)


async def rows(path: Path) -> list[dict[str, object]]:
    ran = await deny("list", path, "--json")
    assert ran.code == 0
    found: list[dict[str, object]] = json.loads(ran.out)
    return found


async def test_a_denial_is_added_and_comments_stay(path: Path) -> None:
    ran = await deny(
        "add", path, "--project", "classroom", "--user", 'account:a"b', "--room", "r1",
        "--token", "education", "--until", "2998-01-01T00:00:00+01:00", "--reason", "käse",
    )  # fmt: skip
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert path.read_text() == (
        HAND_WRITTEN
        + """
[[denials]]
project = "classroom"
user = "account:a\\"b"
room = "r1"
tokens = ["education"]
until = 2997-12-31T23:00:00Z
reason = "käse"
"""
    )
    assert (await rows(path))[2] == {
        "project": "classroom",
        "user": 'account:a"b',
        "channel": None,
        "room": "r1",
        "tokens": ["education.room_user", "education.user"],
        "until": "2997-12-31T23:00:00Z",
        "reason": "käse",
        "past": False,
    }


async def test_a_denial_of_the_same_is_replaced(path: Path) -> None:
    before = datetime.now(UTC)
    ran = await deny("add", path, "--project", "classroom", "--user", "uid:7", "--for", "1h30m")
    assert ran.code == 0
    (exam, seven) = await rows(path)
    assert exam["channel"] == "exam-*"
    end = datetime.fromisoformat(str(seven["until"]))
    assert timedelta(minutes=89) < end - before < timedelta(minutes=91)
    assert path.read_text().startswith("# The deny list of our school.\n\n# Until the exam")


async def test_denials_are_listed(path: Path) -> None:
    ran = await deny("list", path)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "classroom: user uid:7 until 2999-01-01 00:00:00 UTC",
        "classroom: channel exam-* until 2020-01-01 00:00:00 UTC (past); exam",
    ]


async def test_a_denial_is_removed_and_the_rest_stays(path: Path) -> None:
    ran = await deny("remove", path, "--project", "classroom", "--user", "uid:7")
    assert (ran.code, ran.err) == (0, "")
    assert path.read_text() == HAND_WRITTEN.replace(
        HAND_WRITTEN[HAND_WRITTEN.index("# A complaint") : HAND_WRITTEN.index("# Until")], ""
    )
    ran = await deny("remove", path, "--project", "classroom", "--user", "uid:7")
    assert (ran.code, ran.err) == (1, f"token-authority: {path}: has no such denial\n")
    assert (await deny("remove", path, "--past")).code == 0
    assert path.read_text() == "# The deny list of our school.\n\n"
    assert (await deny("remove", path, "--past")).code == 1


async def test_the_file_is_created(tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    ran = await deny("add", path, "--project", "p", "--channel", "c", "--for", "7d")
    assert ran.code == 0
    assert len(await rows(path)) == 1
    assert list(tmp_path.iterdir()) == [path]
    ran = await deny("remove", tmp_path / "other.toml", "--past")
    assert (ran.code, ran.err) == (
        2,
        f"token-authority: {tmp_path / 'other.toml'}: No such file or directory\n",
    )


async def test_mode_and_link_are_kept(path: Path, tmp_path: Path) -> None:
    path.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    inode = path.stat().st_ino
    ran = await deny("add", link, "--project", "p", "--channel", "c", "--for", "7d")
    assert ran.code == 0
    assert link.is_symlink()
    assert len(await rows(path)) == 3
    status = path.stat()
    assert stat.S_IMODE(status.st_mode) == 0o640
    assert (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())
    # Written aside and renamed: no reader sees half a file.
    assert status.st_ino != inode


BAD = {
    "an unknown key": (
        '[[denials]]\nproject = "p"\nusr = "uid:7"\n',
        ":3: [[denials]] denial 1: usr",
    ),
    "not TOML": ("[[denials]\n", ":1: is not valid TOML"),
    "an inline list": (
        'denials = [{ project = "p", user = "uid:7", until = 2999-01-01T00:00:00Z }]\n',
        "",
    ),
}


@pytest.mark.parametrize("what", BAD)
async def test_a_file_with_a_mistake_is_not_touched(path: Path, what: str) -> None:
    text, problem = BAD[what]
    path.write_text(text)
    ran = await deny("add", path, "--project", "p", "--user", "uid:7", "--for", "1h")
    assert ran.code == 2
    assert problem in ran.err
    assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


ARGUMENTS = {
    "add": [
        (["--user", "uid:7", "--for", "1h"], "--project is required"),
        (["--project", "p", "--user", "uid:7"], "one of the arguments --until --for is required"),
        (["--project", "p", "--user", "7", "--for", "1h"], 'user: must be "uid:7"'),
        (["--project", "p", "--for", "1h"], "denies nothing: add user, channel or room"),
        (["--project", "p", "--user", "*", "--for", "9999999d"], "--for is too long"),
        (
            ["--project", "p", "--user", "*", "--until", "0001-01-01T00:00:00+14:00"],
            "is not from year 1 to 9999 in UTC",
        ),
        (["--project", "p", "--user", "*", "--for", "0s"], "the denial would be past since "),
        (
            ["--project", "p", "--user", "*", "--until", "2020-01-01T00:00:00Z"],
            "the denial would be past since 2020-01-01 00:00:00 UTC: set a later end",
        ),
        (["--project", "p", "--channel", "c", "--room", "r", "--for", "1h"], "not allowed with"),
        (["--project", "p", "--user", "*", "--token", "x", "--for", "1h"], "is not a token type"),
    ],
    "remove": [
        ([], "give --project and what is denied, or --past alone"),
        (["--user", "uid:7"], "give --project and what is denied"),
        (["--past", "--project", "p"], "or --past alone"),
        (["--project", "p", "--token", "x"], "'x' is not a token type"),
    ],
}


@pytest.mark.parametrize("command", ARGUMENTS)
async def test_what_cannot_be_meant_is_refused(path: Path, command: str) -> None:
    for arguments, problem in ARGUMENTS[command]:
        ran = await deny(command, path, *arguments)
        assert ran.code == 2
        assert problem in ran.err
    assert path.read_text() == HAND_WRITTEN


async def test_edits_at_the_same_time_are_all_kept(path: Path) -> None:
    users = [f"uid:{number}" for number in range(100, 104)]
    ran = await asyncio.gather(
        *[deny("add", path, "--project", "p", "--user", user, "--for", "1h") for user in users]
    )
    assert [one.code for one in ran] == [0] * 4
    assert {row["user"] for row in await rows(path)} >= set(users)
