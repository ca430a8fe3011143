import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.commands import run
from support.keys import APP_ID, CERTIFICATE, NOW_MS
from token_authority_server.audit.record import Chain, body_of, seal
from token_authority_server.formats.access_token_007 import build_access_token_007
from token_authority_server.formats.fingerprint import fingerprint
from token_authority_server.formats.service_packing import rtc

TOKEN = build_access_token_007(
    app_id=APP_ID,
    app_certificate=CERTIFICATE,
    issued_at=NOW_MS // 1000,
    expire_seconds=3600,
    salt=1,
    services=[rtc("lesson-1", "7", {1: 3600})],
)
TOKEN_ID = fingerprint(TOKEN)
SOON = "2023-11-14T22:43:20Z"
LATER = "2023-11-14T23:43:20Z"


def issued(key_id: str = "cert-2", **more: Any) -> dict[str, Any]:
    return {
        "event": "issued",
        "caller": "backend",
        "project": "classroom",
        "key_id": key_id,
        "kind": "rtc",
        "channel": "lesson-1",
        "user": "uid:7",
        "token_id": "0" * 32,
        "expire_time": "2023-11-14T23:13:20Z",
        **more,
    }


RECORDS = [
    {"event": "configuration", "reason": "started"},
    issued(token_id=TOKEN_ID, request_id="r-1"),
    issued(token_id="1" * 32, key_id="cert-1"),
    issued(token_id="2" * 32, expire_time=None, room="r\x1b[2J"),
    issued(token_id="3" * 32, project="office"),
    issued(token_id="4" * 32, expire_time=SOON),
    {"event": "inspected", "token_id": TOKEN_ID, "caller": "support", "key_id": "cert-2"},
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "audit.jsonl"
    bodies = [body_of(record, NOW_MS + number) for number, record in enumerate(RECORDS)]
    path.write_bytes(seal(Chain("a" * 32), bodies)[0])
    return path


@pytest.mark.parametrize("arguments", [[], ["verify"], ["find"]], ids=str)
async def test_it_explains_itself(arguments: list[str]) -> None:
    ran = await run("audit", *arguments, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("usage: token-authority audit")


async def test_a_whole_trail_is_code_0_with_its_last_hash(path: Path) -> None:
    ran = await run("audit", "verify", str(path))
    assert (ran.code, ran.err) == (0, "")
    last = json.loads(path.read_bytes().splitlines()[-1])
    assert ran.out == (
        "7 records, 2023-11-14T22:13:20.123Z to 2023-11-14T22:13:20.129Z: the hash chain is "
        f"unbroken\nlast: record 7 of chain {'a' * 32}, hash {last['hash']}\n"
    )


async def test_a_trail_that_was_altered_is_code_1_with_file_and_line(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"cert-1", b"cert-9"))
    ran = await run("audit", "verify", str(path))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (f"token-authority: {path}:3: altered: the record does not match its hash\n")
    ran = await run("audit", "verify", "--json", str(path))
    assert ran.code == 1
    answer = json.loads(ran.out)
    assert (answer["problem"]["line"], answer["problem"]["fault"]) == (3, "altered")
    assert answer["records"] == 2


async def test_a_replaced_file_is_code_1(path: Path, tmp_path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    files = [tmp_path / f"audit.jsonl.{number}" for number in (2, 1)]
    files[0].write_bytes(b"".join(lines[:2]))
    forged = body_of(issued(caller="nobody"), NOW_MS + 3)
    files[1].write_bytes(seal(Chain("b" * 32), [forged])[0])
    path.write_bytes(b"".join(lines[4:]))
    ran = await run("audit", "verify", *map(str, files), str(path))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f"token-authority: {path}:1: removed: 2 records are missing before record 5; is a file "
        "missing before this one?\n"
    )
    # A chain that does not return cannot be told from one that ended.
    ran = await run("audit", "verify", *map(str, files))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("3 records, ")
    assert ": each of 2 hash chains is unbroken\nnote: " in ran.out


async def test_files_without_a_record_are_not_called_unbroken(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    ran = await run("audit", "verify", str(empty))
    assert (ran.code, ran.out) == (1, f"note: {empty}: the file is empty\n")
    assert ran.err == ("token-authority: these files contain no records: nothing was verified\n")
    ran = await run("audit", "verify", "--json", str(empty))
    assert ran.code == 1
    assert json.loads(ran.out)["records"] == 0


async def test_files_from_before_a_rotation_are_given_first(path: Path, tmp_path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    old = tmp_path / "audit.jsonl.1"
    old.write_bytes(b"".join(lines[:3]))
    path.write_bytes(b"".join(lines[3:]))
    ran = await run("audit", "verify", str(old), str(path))
    assert ran.code == 0
    assert ran.out.startswith("7 records")
    ran = await run("audit", "verify", "--json", str(path))
    assert ran.code == 0
    assert json.loads(ran.out)["notes"] == [
        f"{path}:1: begins with record 4: earlier records are not in these files"
    ]


@pytest.mark.parametrize("how", ["token", "id", "ID", "piped"])
async def test_who_minted_a_token(path: Path, how: str) -> None:
    what = {"token": TOKEN, "id": TOKEN_ID, "ID": TOKEN_ID.upper(), "piped": "-"}[how]
    ran = await run("audit", "find", what, str(path), stdin=f"{TOKEN}\n".encode())
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        f"issued 2023-11-14 22:13:20 UTC\n  record: {path}:2\n  caller: backend\n"
        "  channel: lesson-1\n  key_id: cert-2\n  kind: rtc\n  project: classroom\n"
        f"  request_id: r-1\n  token_id: {TOKEN_ID}\n  user: uid:7\n"
        "  expires: 2023-11-14 23:13:20 UTC\n"
        f"inspected 2023-11-14 22:13:20 UTC\n  record: {path}:7\n  caller: support\n"
        f"  key_id: cert-2\n  token_id: {TOKEN_ID}\n"
    )


async def test_records_as_json(path: Path) -> None:
    ran = await run("audit", "find", TOKEN, str(path), "--json")
    records = [json.loads(line) for line in ran.out.splitlines()]
    assert [record["event"] for record in records] == ["issued", "inspected"]
    assert records[0]["expire_time"] == "2023-11-14T23:13:20Z"


async def test_a_token_that_nobody_minted_is_code_1_and_not_shown(path: Path) -> None:
    other = TOKEN[:-4] + "AAAA"
    ran = await run("audit", "find", other, str(path))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (f"token-authority: no record of token {fingerprint(other)} in these files\n")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], [TOKEN_ID, "2" * 32, "3" * 32, "4" * 32]),
        (["--project", "office"], ["3" * 32]),
        (["--unexpired", "--at", "2023-11-14T22:13:20Z"], [TOKEN_ID, "2" * 32, "3" * 32, "4" * 32]),
        (["--unexpired", "--at", SOON], [TOKEN_ID, "2" * 32, "3" * 32]),
        (["--unexpired", "--at", LATER], ["2" * 32]),
        # Now: only what never expires still lives.
        (["--unexpired", "--project", "classroom"], ["2" * 32]),
    ],
)
async def test_what_a_leaked_key_signed(
    path: Path, options: list[str], expected: list[str]
) -> None:
    ran = await run("audit", "find", "--key", "cert-2", *options, str(path))
    assert (ran.code, ran.err) == (0, "")
    assert [line.split()[0] for line in ran.out.splitlines()] == expected
    ran = await run("audit", "find", "--key", "cert-2", *options, "--json", str(path))
    assert [json.loads(line)["token_id"] for line in ran.out.splitlines()] == expected


async def test_a_row_says_for_whom_by_whom_and_until_when_and_steers_no_terminal(
    path: Path,
) -> None:
    ran = await run("audit", "find", "--key", "cert-2", "--unexpired", str(path))
    assert ran.out == (
        f'{"2" * 32} rtc, channel lesson-1, room "r\\u001b[2J", user uid:7, by backend 2023-11-14 '
        "22:13:20 UTC, expires never\n"
    )


async def test_a_record_that_was_altered_is_found_with_a_warning(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"uid:7", b"uid:8"))
    ran = await run("audit", "find", "--key", "cert-1", str(path))
    assert (ran.code, ran.out.count("uid:8")) == (0, 1)
    assert ran.err == (
        f"token-authority: warning: {path}:3: the record does not match its hash: it was altered\n"
    )


async def test_an_end_that_cannot_be_read_counts_as_alive(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(seal(Chain("a" * 32), [body_of(issued(expire_time="soon"), 0)])[0])
    ran = await run("audit", "find", "--key", "cert-2", "--unexpired", str(path))
    assert ran.out.endswith("expires soon\n")


# A forged trail can have any of them: its chain has no key.
TIMES = ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "\x1b[2J", "2023-11-14"]


@pytest.mark.parametrize("time", TIMES)
async def test_no_time_stops_a_search_or_steers_the_terminal(tmp_path: Path, time: str) -> None:
    path = tmp_path / "a"
    record = issued(expire_time=time, time=time, **{"\x1b[2J": "x"})
    path.write_bytes(seal(Chain("a" * 32), [body_of(record, 0)])[0])
    for arguments in (["find", "0" * 32], ["find", "--key", "cert-2"], ["verify"]):
        ran = await run("audit", *arguments, str(path))
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.replace("\n", "").isprintable()


async def test_a_pasted_token_that_is_not_utf_8_has_no_record(path: Path) -> None:
    ran = await run("audit", "find", "-", str(path), stdin=b"007\xff")
    assert (ran.code, ran.out) == (1, "")


async def test_a_key_that_signed_nothing_is_code_1(path: Path) -> None:
    ran = await run("audit", "find", "--key", "cert-7", "--unexpired", str(path))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "token-authority: no record of an unexpired token signed by cert-7 in these files\n"
    )


async def test_what_is_no_record_is_passed_over(path: Path) -> None:
    junk = b'\xff\0\n[]\n{"key_id":"cert-2"\n' + b"[" * 100_000 + b'"cert-2","issued"\n'
    path.write_bytes(junk + path.read_bytes())
    ran = await run("audit", "find", "--key", "cert-2", str(path))
    assert ran.out.count("\n") == 4


@pytest.mark.parametrize("command", [["verify"], ["find", "0" * 32], ["find", "--key", "k"]])
async def test_a_file_that_cannot_be_read_is_code_1(tmp_path: Path, command: list[str]) -> None:
    for name, problem in (("gone", "No such file or directory"), (".", "Is a directory")):
        ran = await run("audit", *command, str(tmp_path / name))
        assert (ran.code, ran.out) == (1, "")
        assert ran.err == f"token-authority: {tmp_path / name}: cannot be read: {problem}\n"


@pytest.mark.parametrize(
    "command",
    [["audit", "verify"], ["audit", "find", "--key", "k"], ["keys", "--audit"]],
    ids=" ".join,
)
async def test_a_read_that_fails_is_not_called_a_write(command: list[str]) -> None:
    # It can be opened, and its first page cannot be read.
    ran = await run(*command, "/proc/self/mem")
    assert ran.code == 1
    assert ran.err == "token-authority: /proc/self/mem: cannot be read: Input/output error\n"


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["find", TOKEN_ID], "give a token or its id, and the files to search"),
        (["find", "--unexpired", TOKEN_ID, "f"], "--project, --unexpired and --at need --key"),
        (["find", "--key", "k", "--at", SOON, "f"], "--at needs --unexpired"),
        (["find", "--user", "7", "f"], "argument --user: '7': write uid:7 or account:alice"),
        (["find", "--user", "uid:07", "f"], "write uid:7 or account:alice"),
        (["find", "--user", "account:al*", "f"], "write uid:7 or account:alice"),
        (["find", "--user", "uid:*", "f"], "write uid:7 or account:alice, without patterns"),
        (["find"], "the following arguments are required"),
        (["verify"], "give the files of a trail"),
    ],
)
async def test_a_wrong_command_line_is_code_2(arguments: list[str], advice: str) -> None:
    ran = await run("audit", *arguments)
    assert ran.code == 2
    assert advice in ran.err


async def test_a_large_file_is_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with path.open("wb") as file:
        chain = Chain("a" * 32)
        bodies = [body_of(issued(note="x" * 1000), NOW_MS)] * 2000
        for _ in range(50):
            data, chain = seal(chain, bodies)
            file.write(data)
    assert path.stat().st_size > 100_000_000
    limit = "import resource, runpy; resource.setrlimit(resource.RLIMIT_DATA, (90_000_000,) * 2); "
    main = "runpy.run_module('token_authority_cli', run_name='__main__', alter_sys=True)"
    find = ["find", "--key", "cert-2", "--unexpired", "--at", LATER]
    keys = "classroom: agora key cert-2: safe to delete"
    for arguments, expected in (
        (["audit", "verify"], "100000 records"),
        (["audit", *find], ""),
        (["keys", "--audit"], keys),
    ):
        ran = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            limit + main,
            *arguments,
            path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(ran.communicate(), 60)
        assert b"MemoryError" not in err
        assert out.decode().startswith(expected)
        assert ran.returncode == (0 if expected else 1)


async def test_trails_of_several_instances_are_verified_separately(
    path: Path, tmp_path: Path
) -> None:
    older, newer = tmp_path / "b.jsonl.1", tmp_path / "b.jsonl"
    data, chain = seal(Chain("b" * 32), [body_of(RECORDS[0], NOW_MS)])
    older.write_bytes(data)
    newer.write_bytes(seal(chain, [body_of(RECORDS[1], NOW_MS)])[0])
    trails = (str(path), "--trail", str(older), str(newer))
    ran = await run("audit", "verify", *trails)
    assert (ran.code, ran.err) == (0, "")
    # No note that one trail follows the other.
    assert [line.partition(",")[0] for line in ran.out.splitlines()] == [
        f"{path}:",
        "7 records",
        f"last: record 7 of chain {'a' * 32}",
        f"{older} to {newer}:",
        "2 records",
        f"last: record 2 of chain {'b' * 32}",
    ]
    as_json = json.loads((await run("audit", "verify", "--json", *trails)).out)
    assert [trail["records"] for trail in as_json["trails"]] == [7, 2]
    path.write_bytes(path.read_bytes().replace(b"backend", b"another"))
    ran = await run("audit", "verify", *trails)
    assert ran.code == 1
    assert f"{path}:2: altered" in ran.err
    assert "2 records" in ran.out
