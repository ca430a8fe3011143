import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.commands import run
from support.keys import NOW_MS
from token_authority_server.audit.record import Chain, body_of, seal

END = "2023-11-14T23:13:20.124Z"
FAR = "2099-01-01T00:00:00Z"
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
EVERY_INSTANCE = (
    "note: this is right only if the trails are those of every instance that signed, up to their "
    "last records: compare the last hashes with copies kept elsewhere\n"
)
NO_CONFIG = (
    "note: the trails do not show which keys still sign: name the configuration with --config to "
    "check their states and retired_at\n"
)
CONFIG = """
[server]
listen = ["127.0.0.1:0"]
[projects.classroom.agora]
app_id = "970CA35de60c44645bbae8a215061b33"
[[projects.classroom.agora.certificates]]
id = "new"
secret = {{ env = "CERTIFICATE" }}
state = "active"
[[projects.classroom.agora.certificates]]
id = "old"
secret = {{ env = "CERTIFICATE" }}
state = "verify_only"
retired_at = {retired_at}
[[projects.classroom.agora.certificates]]
id = "unused"
secret = {{ env = "CERTIFICATE" }}
state = "disabled"
[[callers]]
name = "lessons"
identities = ["local"]
[[callers.grants]]
name = "teach"
project = "classroom"
tokens = ["chat.app"]
max_ttl = "1h"
"""


def issued(key_id: str = "old", end: str | None = END, **more: Any) -> dict[str, Any]:
    return {
        "event": "issued",
        "project": "classroom",
        "key_id": key_id,
        "kind": "rtc",
        "expire_time": end,
        **more,
    }


def board(end: str | None = END, **more: Any) -> dict[str, Any]:
    return issued("board", end, kind="whiteboard.room", **more)


STARTED = {"event": "configuration", "started": ["127.0.0.1:1"]}


def trail(*records: Mapping[str, Any], chain: str = "a", start_ms: int = NOW_MS) -> list[bytes]:
    """Returns the lines of a trail with one record per millisecond."""
    bodies = [body_of(record, start_ms + number) for number, record in enumerate(records)]
    return seal(Chain(chain * 32), bodies)[0].splitlines(keepends=True)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(name: str, lines: Sequence[bytes]) -> str:
        path = tmp_path / name
        path.write_bytes(b"".join(lines))
        return str(path)

    return write


async def answer(*arguments: str, code: int = 0) -> dict[str, dict[str, Any]]:
    """Returns the rows of the JSON answer by key id."""
    ran = await run("keys", "--json", *arguments)
    assert ran.code == code, ran.err
    return {row["key_id"]: row for row in json.loads(ran.out)["signing_keys"]}


async def test_a_key_is_safe_once_its_last_token_has_expired(write: Any) -> None:
    lines = trail(STARTED, issued(end="2023-11-15T00:00:00Z"), issued(), issued("busy", FAR))
    path = write("audit.jsonl", lines)
    ran = await run("keys", "--audit", path)
    assert (ran.code, ran.err) == (0, "")
    last = json.loads(lines[-1])["hash"]
    assert ran.out == (
        "classroom: agora key busy: can be deleted from 2099-01-01 00:00:00 UTC\n"
        "  signed 1 token, 2023-11-14 22:13:20 UTC to 2023-11-14 22:13:20 UTC\n"
        "classroom: agora key old: safe to delete: its last token expired at 2023-11-15 00:00:00 "
        "UTC\n"
        "  signed 2 tokens, 2023-11-14 22:13:20 UTC to 2023-11-14 22:13:20 UTC\n"
        "4 records, 2023-11-14T22:13:20.123Z to 2023-11-14T22:13:20.126Z: the hash chain is "
        "unbroken\n"
        f"last: record 4 of chain {'a' * 32}, hash {last}\n{NO_CONFIG}{EVERY_INSTANCE}"
    )


@pytest.mark.parametrize(
    ("key_id", "code"), [("old", 0), ("busy", 1), ("endless", 1), ("unknown", 1)]
)
async def test_the_exit_code_tells_a_script_whether_a_key_is_safe(
    write: Any, key_id: str, code: int
) -> None:
    never = issued("endless", None, never_expires=True)
    path = write("audit.jsonl", trail(STARTED, issued(), issued("busy", FAR), never))
    rows = await answer("--audit", path, "--key-id", key_id, code=code)
    assert list(rows) == ([] if key_id == "unknown" else [key_id])


async def test_a_safe_key_in_an_altered_trail_is_not_reported_as_safe(write: Any) -> None:
    lines = trail(STARTED, issued(), issued())
    path = write("audit.jsonl", [lines[0], lines[2]])
    await answer("--audit", path, "--key-id", "old", code=1)


async def test_a_key_id_needs_trails() -> None:
    ran = await run("keys", "--key-id", "old")
    assert ran.code == 2
    assert "--key-id needs --audit" in ran.err


async def test_the_latest_end_over_all_instances_counts(write: Any) -> None:
    one = write("one", trail(issued(), board()))
    two = write("two", trail(issued(end=FAR), issued("old", project="office"), chain="b"))
    ran = await run("keys", "--json", "--audit", one, "--audit", two)
    assert (ran.code, ran.err) == (0, "")
    rows = json.loads(ran.out)["signing_keys"]
    assert [(row["project"], row["key_id"], row["deletion"]) for row in rows] == [
        ("classroom", "board", "safe"),
        ("classroom", "old", "wait"),
        ("office", "old", "safe"),
    ]
    assert rows[1] == {
        "project": "classroom",
        "key_id": "old",
        "product": "agora",
        "state": "unknown",
        "retire_time": None,
        "tokens": 2,
        "first_issue_time": "2023-11-14T22:13:20.123000Z",
        "last_issue_time": "2023-11-14T22:13:20.123000Z",
        "last_expire_time": "2099-01-01T00:00:00Z",
        "never_expires": False,
        "deletion": "wait",
        "safe_to_delete_time": "2099-01-01T00:00:00Z",
        "warnings": [],
    }
    assert list(await answer("--audit", one, "--audit", two, "--project", "office")) == ["old"]


@pytest.mark.parametrize("end", [None, "soon"])
async def test_a_key_of_a_non_expiring_token_is_never_safe(write: Any, end: str | None) -> None:
    path = write("audit.jsonl", trail(board(), board(end), board()))
    row = (await answer("--audit", path))["board"]
    assert (row["deletion"], row["never_expires"]) == ("never_safe", True)
    assert row["safe_to_delete_time"] is None
    ran = await run("keys", "--audit", path)
    assert ran.out.startswith(
        "classroom: whiteboard key board: never to be deleted: a token that it signed never "
        "expires\n"
    )


async def test_a_break_after_the_first_use_leaves_it_unknown(write: Any) -> None:
    lines = trail(issued(), STARTED, STARTED, issued())
    path = write("audit.jsonl", [*lines[:1], *lines[2:]])
    ran = await run("keys", "--audit", path)
    assert ran.code == 1
    assert ran.err == (f"token-authority: {path}:2: removed: record 2 is missing before record 3\n")
    assert ran.out == (
        "classroom: agora key old: not known to be safe to delete\n"
        "  signed 2 tokens, 2023-11-14 22:13:20 UTC to 2023-11-14 22:13:20 UTC\n"
        f"  warning: {path}:2: record 2 is missing before record 3: tokens signed until "
        "2023-11-14T22:13:20.125Z may have no record\n"
        f"{NO_CONFIG}{EVERY_INSTANCE}"
    )


GAPS: Mapping[str, Any] = {
    "altered": lambda lines: [lines[0].replace(b"127", b"128"), *lines[1:]],
    "removed": lambda lines: lines[:2] + lines[3:],
    "moved": lambda lines: [lines[1], lines[0], *lines[2:]],
    "inserted": lambda lines: [lines[0], b"nothing\n", *lines[1:]],
}


@pytest.mark.parametrize("how", GAPS)
async def test_a_break_before_the_first_use_counts_for_as_long_as_tokens_can_live(
    write: Any, how: str
) -> None:
    used_ms = int(datetime.now(UTC).timestamp() * 1000)
    for age_ms, deletion in ((25 * HOUR_MS, "safe"), (23 * HOUR_MS, "wait")):
        gap_ms = used_ms - age_ms
        lines = trail(*[STARTED] * 4, start_ms=gap_ms)
        late = body_of(issued(), used_ms - HOUR_MS), body_of(board(), used_ms - HOUR_MS)
        end = json.loads(lines[-1])
        lines += seal(Chain("a" * 32, 4, end["hash"]), late)[0].splitlines(keepends=True)
        rows = await answer("--audit", write("audit.jsonl", GAPS[how](lines)), code=1)
        assert rows["old"]["deletion"] == deletion
        ends_at = datetime.fromisoformat(rows["old"]["safe_to_delete_time"])
        after = ends_at - datetime.fromtimestamp((gap_ms + DAY_MS) / 1000, UTC)
        assert timedelta(0) <= after < timedelta(seconds=1)
        (warning,) = rows["old"]["warnings"]
        assert "may have no record; they expire by " in warning
        # It may have signed a token before that never expires.
        assert rows["board"]["deletion"] == "unknown"
        assert len(rows["board"]["warnings"]) == 1


async def test_missing_files_of_a_trail_are_no_broken_chain_and_leave_keys_unknown(
    write: Any,
) -> None:
    lines = trail(STARTED, issued(), board(), issued())
    path = write("audit.jsonl", lines[1:])
    rows = await answer("--audit", path)
    for key_id in ("old", "board"):
        assert rows[key_id]["deletion"] == "unknown"
        assert rows[key_id]["warnings"] == [
            f"{path}:1: begins with record 2: earlier records are not in these files: tokens "
            "signed until 2023-11-14T22:13:20.124Z may have no record"
        ]
    # Whole again with the rotated file.
    rows = await answer("--audit", write("audit.jsonl.1", lines[:1]), path)
    assert {row["deletion"] for row in rows.values()} == {"safe"}


async def test_a_broken_trail_of_one_instance_counts_for_the_keys_of_all(write: Any) -> None:
    whole = write("whole", trail(issued()))
    for lines in ([b'{"time":"'], []):
        rows = await answer("--audit", whole, "--audit", write("torn", [*lines]), code=1)
        assert rows["old"]["deletion"] == "unknown"
        assert re.search("is torn|there is no record", rows["old"]["warnings"][0])


@pytest.mark.parametrize(("required", "deletion"), [(True, "safe"), (False, "unknown")])
async def test_records_that_were_lost_leave_it_unknown(
    write: Any, required: bool, deletion: str
) -> None:
    recovered = {"event": "recovered", "required": required, "lost": 3}
    path = write("audit.jsonl", trail(issued(), recovered, issued()))
    row = (await answer("--audit", path))["old"]
    assert row["deletion"] == deletion
    assert row["warnings"] == (
        []
        if required
        else [
            f"{path}:2: 3 records were lost, as record 2 reports: tokens signed until "
            "2023-11-14T22:13:20.124Z may have no record"
        ]
    )


async def test_with_a_configuration_active_keys_are_in_use_and_retired_at_is_compared(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CERTIFICATE", "0" * 31 + "1")
    path = write("audit.jsonl", trail(issued("new"), issued(), issued()))
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(retired_at="2023-11-14T22:13:20.124Z"))
    ran = await run("keys", "--audit", path, "--config", str(config))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(
        "classroom: agora key new: active, in use\n"
        "  signed 1 token, 2023-11-14 22:13:20 UTC to 2023-11-14 22:13:20 UTC\n"
        "classroom: agora key old: verify_only, safe to delete: its last token expired at "
        "2023-11-14 23:13:20 UTC\n"
        "  signed 2 tokens, 2023-11-14 22:13:20 UTC to 2023-11-14 22:13:20 UTC\n"
        "  warning: retired_at (2023-11-14T22:13:20.124Z) is earlier than the last token that the "
        "key signed (2023-11-14T22:13:20.125Z): the later time is used\n"
        "classroom: agora key unused: disabled, safe to delete: it signed no token in these "
        "trails\n"
        "3 records, "
    )
    assert ran.out.endswith(EVERY_INSTANCE)
    assert NO_CONFIG not in ran.out
    config.write_text(CONFIG.format(retired_at="2023-11-14T22:13:20.125Z"))
    row = (await answer("--audit", path, "--config", str(config)))["old"]
    assert (row["warnings"], row["retire_time"]) == ([], "2023-11-14T22:13:20.125000Z")


async def test_wrong_command_lines_and_files(write: Any, tmp_path: Path) -> None:
    ran = await run("keys", "--config", "f")
    assert ran.code == 2
    assert "--config needs --audit" in ran.err
    ran = await run("keys", "--audit", str(tmp_path / "gone"))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f"token-authority: {tmp_path / 'gone'}: cannot be read: No such file or directory\n"
    )
    path = write("audit.jsonl", trail(STARTED))
    ran = await run("keys", "--audit", path)
    assert ran.code == 1
    assert ran.err == "token-authority: no record of a signed token in these files\n"
    ran = await run("keys", "--audit", path, "--config", path)
    assert ran.code == 2


async def test_names_in_a_trail_steer_no_terminal(write: Any) -> None:
    path = write("audit.jsonl", trail(issued("k\x1b[2J")))
    ran = await run("keys", "--audit", path)
    assert ran.out.startswith("classroom: agora key k\\x1b[2J: safe to delete")


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59Z"])
async def test_a_time_without_a_next_day_counts_as_unreadable(write: Any, time: str) -> None:
    records = [issued("old", "2024-01-01T00:00:00Z"), {"event": "recovered", "lost": "\x1b[2J"}]
    path = write("audit.jsonl", trail(*[{**record, "time": time} for record in records]))
    ran = await run("keys", "--audit", path)
    assert ran.code == 0
    assert ran.out.replace("\n", "").isprintable()
    path = write("ends.jsonl", trail(issued("old", time)))
    ran = await run("keys", "--audit", path)
    assert "never to be deleted" in ran.out
