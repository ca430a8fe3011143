import io
import json
import os
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from inspection.tokens import rtc, t006, t007, whiteboard
from support.commands import run
from support.keys import APP_ID, CERTIFICATE, NOW_MS, OLD_CERTIFICATE
from token_authority_cli.scan_files import scan_stream
from token_authority_server.inspection.leaks import LONGEST, LeakFinder

CONFIG = f"""
[server]
listen = ["127.0.0.1:0"]
[projects.classroom.agora]
app_id = "{APP_ID}"
[[projects.classroom.agora.certificates]]
id = "main"
secret = {{ file = "certificate" }}
state = "active"
[[callers]]
name = "lessons"
identities = ["local"]
[[callers.grants]]
name = "teach"
project = "classroom"
tokens = ["chat.app"]
"""
LIVE = t007(rtc(), issued_at=int(time.time()))
EXPIRED = t007(rtc())
FOREIGN = t007(rtc(), issued_at=int(time.time()), app_certificate=OLD_CERTIFICATE, app_id="0" * 32)


@pytest.fixture
def config(tmp_path: Path) -> str:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "certificate").write_text(CERTIFICATE)
    (folder / "certificate").chmod(0o600)
    (folder / "token-authority.toml").write_text(CONFIG)
    return str(folder / "token-authority.toml")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with leaks, noise, and files that must not be followed or cannot hold any."""
    tree = tmp_path / "tree"
    (tree / "b").mkdir(parents=True)
    (tree / "a.txt").write_text(f"one\ntoken={LIVE}\n{EXPIRED}\n")
    (tree / "b/blob").write_bytes(os.urandom(100_000) + b"\0" + FOREIGN.encode() + b"\0\n")
    (tree / "b/env").write_text(f"CERT={b64encode(CERTIFICATE.encode()).decode()}\n")
    (tree / "b/link").symlink_to(tree / "a.txt")
    os.mkfifo(tree / "b/pipe")
    return tree


async def rows(*arguments: str, code: int, stdin: bytes = b"") -> list[dict[str, Any]]:
    ran = await run("scan", "--json", *arguments, stdin=stdin)
    assert ran.code == code, ran.err
    found: list[dict[str, Any]] = json.loads(ran.out)["findings"]
    return found


async def test_a_tree_is_scanned_with_the_keys_of_a_configuration(tree: Path, config: str) -> None:
    found = await rows("--config", config, str(tree), code=1)
    shown = [
        (Path(row["file"]).name, row["type"], row["live"], row.get("signature"), row["key_id"])
        for row in found
    ]
    assert shown == [
        ("a.txt", "token", True, "valid", "main"),
        ("a.txt", "token", False, "valid", "main"),
        ("blob", "token", True, "unknown_key", ""),
        ("env", "agora", True, None, "main"),
    ]
    assert [row["line"] for row in found[:2]] == [2, 3]
    assert found[0]["app_id"] == APP_ID
    assert found[1]["expire_time"] == "2023-11-14T23:13:20Z"
    assert found[3]["kind"] == "base64"


async def test_lines_name_what_was_found_and_show_no_token_and_no_secret(
    tree: Path, config: str
) -> None:
    ran = await run("scan", "--config", config, str(tree))
    assert (ran.code, ran.err) == (1, "")
    lines = ran.out.splitlines()
    assert lines[0].startswith(f"{tree}/a.txt:2: LIVE: 007 rtc token ")
    assert lines[0].endswith("signed by project classroom, key main")
    assert "a.txt:3: expired: 007 rtc token" in lines[1]
    assert lines[2].endswith("signature unknown_key")
    assert lines[3].endswith(
        "env:1: SECRET: App Certificate, as base64: project classroom, key main"
    )
    for text in (LIVE, EXPIRED, FOREIGN, CERTIFICATE, b64encode(CERTIFICATE.encode()).decode()):
        assert text not in ran.out
        assert text[8:30] not in ran.out


async def test_only_live_tokens_and_secrets_fail(tmp_path: Path, config: str) -> None:
    texts = {"expired": EXPIRED, "clean": "nothing", "live": LIVE, "secret": CERTIFICATE}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    for name, code in (("expired", 0), ("clean", 0), ("live", 1), ("secret", 1)):
        assert (await run("scan", "--config", config, str(tmp_path / name))).code == code
    # Without a configuration it knows no secrets.
    assert await rows(str(tmp_path / "secret"), code=0) == []


async def test_standard_input_is_scanned() -> None:
    for token in (
        LIVE,
        t006(ends_at=2**32 - 1, privileges={1: 2**32 - 1}),
        whiteboard(lifespan_ms=10**15),
    ):
        (row,) = await rows("-", code=1, stdin=f"x {token} y".encode())
        assert (row["file"], row["line"], row["live"]) == ("-", 1, True)


async def test_a_report_of_gitleaks_is_classified(config: str) -> None:
    report = [
        {"File": "src/a.py", "StartLine": 7, "Match": f"t = '{LIVE}'", "Secret": LIVE},
        {"File": "src/b.py", "StartLine": 9, "Match": "key", "Secret": CERTIFICATE},
        {"File": "src/c.py", "StartLine": 1, "Match": "REDACTED", "Secret": "REDACTED"},
    ]
    found = await rows(
        "--config", config, "--gitleaks", "-", code=1, stdin=json.dumps(report).encode()
    )
    assert [(row["file"], row["line"], row["type"]) for row in found] == [
        ("src/a.py", 7, "token"),
        ("src/b.py", 9, "agora"),
    ]
    for wrong in (b"{}", b"no json", b"[1]", b"[" * 100_000):
        ran = await run("scan", "--gitleaks", "-", stdin=wrong)
        assert ran.code == 2
        assert "cannot read -: not a JSON report of gitleaks" in ran.err


async def test_what_cannot_be_read_is_named_and_the_rest_is_scanned(tree: Path) -> None:
    ran = await run("scan", str(tree / "missing"), str(tree / "a.txt"))
    assert ran.code == 1
    assert f"cannot read {tree}/missing: No such file or directory" in ran.err
    assert "a.txt:2: LIVE" in ran.out
    assert (await run("scan", str(tree / "missing"))).code == 2
    assert (await run("scan", "--config", str(tree / "missing"), str(tree))).code == 2


class Recording(io.BytesIO):
    """A stream that keeps the largest size that was asked for."""

    largest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        self.largest = max(self.largest, size)
        return super().read(size)


@pytest.mark.parametrize("shift", range(0, 3 * len(EXPIRED), 97))
def test_a_token_across_two_windows_is_found_once_at_its_line(shift: int) -> None:
    before = b"x" * (2**20 - 2 * len(EXPIRED) + shift) + b"\n"
    content = before + EXPIRED.encode() + b"\n" + b"y" * 2**20 + b"\n" + EXPIRED.encode()
    finder = LeakFinder([], [], (), NOW_MS, b"k" * 32)
    stream = Recording(content)
    places = list(scan_stream(stream, "-", finder.find, LONGEST))
    assert [place.line for place in places] == [2, 4]
    assert stream.largest == 2**20


def test_each_of_many_tokens_of_a_window_has_its_line() -> None:
    row = EXPIRED.encode() + b" " + b"y" * 50_000
    content = b"\n\n".join([row + b" " + EXPIRED.encode(), row] * 25)
    finder = LeakFinder([], [], (), NOW_MS, b"k" * 32)
    places = list(scan_stream(io.BytesIO(content), "-", finder.find, LONGEST))
    lines = [[line, line, line + 2] for line in range(1, 100, 4)]
    assert [place.line for place in places] == [line for three in lines for line in three]
