"""Targets that are commands: what they read, and what they print on a terminal."""

import argparse
import contextlib
import importlib
import io
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

from audit.trails import lines
from fuzz.mutating import Chance, mutated
from fuzz.outcomes import Target, check_printed
from inspection import fuzz as inspecting
from inspection.tokens import KEYS
from support.keys import APP_ID, CERTIFICATE, ENCRYPTION_SECRET, NOW_MS, SECRET_KEY
from support.live import BY_KEY, PROJECT, SERVER
from support.serving import write_config
from token_authority_cli.scan_files import Place, scan_stream
from token_authority_server.audit.record import MAX_RECORD_BYTES, Chain, seal
from token_authority_server.config.denials import parse_denials
from token_authority_server.inspection.leaks import LONGEST, LeakFinder

_DENIED: Final = b"""\
# The deny list of our school.

# A complaint.
[[denials]]
project = "classroom"
user = "uid:7"
until = 2999-01-01T00:00:00Z

[[denials]] # Until the exam is over.
project = "classroom"
channel = "exam-*"
tokens = ["rtc"]
until = 2020-01-01T00:00:00+02:00
reason = "exam"
"""
_INLINE: Final = (
    b'denials = [{ project = "p", room = "*", until = 9999-12-31T23:59:59.999999-12:00 }]\n'
)
_USERS: Final = ("uid:7", 'account:a"b\\', "account:\u00e9", "*", "uid:x", "", "account:\ud800")
_CHANNELS: Final = ("exam-*", "c\n", "[[denials]]", "#", '"""', "\x1b[2J", "*")
_ENDS: Final = (
    *(["--for", "7d"], ["--for", "0s"], ["--for", "9999999999d"], ["--for", "9" * 5000 + "d"]),
    ["--until", "2998-01-01T00:00:00+01:00"],
    ["--until", "0001-01-01T00:00:00+14:00"],
    ["--until", "9999-12-31T23:59:59-12:00"],
)
_TIMES: Final = (
    *("2999-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"),
    *("2026-11-22T23:04:38.123", "2026-11-22", "", "\x1b[2J", "x" * 50),
)
_VALUES: Final[Sequence[Any]] = (
    None,
    True,
    0,
    -1,
    1e300,
    10**30,
    "",
    "rtc",
    "\x1b[2J",
    "\u202e",
    [],
    ["uid:7"],
    {},
)
_FIELDS: Final = (
    *("event", "kind", "token_id", "project", "key_id", "caller", "user", "channel", "any_user"),
    *("lost", "required", "torn_bytes", "torn_sha256", "new_chain", "reason", "\x1b[2J"),
)
_REPORT: Final = {"Match": "", "Secret": "", "File": "src/app.py", "StartLine": 3}


class _Commands:
    """Runs commands in this process, where exceptions show."""

    def __init__(self) -> None:
        self._parser = argparse.ArgumentParser(prog="token-authority")
        commands = self._parser.add_subparsers()
        for module in ("about", "audit", "deny", "inspect", "scan"):
            importlib.import_module(f"token_authority_cli.{module}").add_commands(commands)

    def run(self, *arguments: str, stdin: bytes = b"") -> tuple[int, str]:
        """Returns the exit code of a command, and what it printed."""
        # As a terminal has them: texts that are not Unicode cannot be printed.
        given, out, err = [_text(data) for data in (stdin, b"", b"")]
        before, sys.stdin = sys.stdin, given
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                namespace = self._parser.parse_args(arguments)
                code: Any = namespace.run(namespace)
        except SystemExit as ended:
            code = ended.code
        finally:
            sys.stdin = before
        shown = "".join([_written(file) for file in (out, err)])
        check_printed(shown, 2_000_000)
        assert code in {0, 1, 2}
        assert code in {0, 1} or shown
        return code, _written(out)


def _text(data: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")


def _written(file: io.TextIOWrapper) -> str:
    file.flush()
    file.seek(0)
    return file.read()


def targets(folder: Path) -> list[Target]:
    """Returns the targets, which read files of a folder."""
    commands = _Commands()
    config = write_config(folder, SERVER + PROJECT + BY_KEY)
    tokens = inspecting.real_tokens()
    return [
        Target("deny", _edited, partial(_deny, commands, folder / "denied.toml"), 8),
        Target("audit", _trail, partial(_audit, commands, folder / "records"), 6),
        Target("scan", partial(_noise, tokens), partial(_scan, commands, config), 6),
        Target("report of gitleaks", partial(_report, tokens), partial(_scan_report, commands), 25),
        Target("inspect", partial(_pasted, tokens), partial(_inspect, commands), 2),
    ]


def _edited(chance: Chance) -> tuple[bytes, list[str]]:
    """A file of denials, and the arguments of a command for it."""
    data = chance.choice((_DENIED, _INLINE, b"", mutated([_DENIED, _INLINE], chance)))
    command = chance.choice(("add", "remove", "list"))
    if command == "list":
        return data, [command, *chance.choice(([], ["--json"]))]
    subject = ["--project", chance.choice(("classroom", "classroom", "p", ""))]
    if chance.random() < 0.8:
        subject += ["--user", chance.choice(_USERS)]
    if chance.random() < 0.5:
        subject += [chance.choice(("--channel", "--room")), chance.choice(_CHANNELS)]
    if chance.random() < 0.3:
        subject += ["--token", chance.choice(("rtc", "education", "x", "\ud800"))]
    if command == "remove":
        return data, [command, *chance.choice((subject, ["--past"]))]
    reason = ["--reason", chance.choice(_CHANNELS)] if chance.random() < 0.5 else []
    return data, [command, *subject, *chance.choice(_ENDS), *reason]


def _deny(commands: _Commands, path: Path, given: tuple[bytes, list[str]]) -> str:
    data, (command, *arguments) = given
    path.write_bytes(data)
    code, out = commands.run("deny", command, str(path), *arguments)
    left = path.read_bytes()
    assert [one.name for one in path.parent.iterdir() if one.name.startswith(".")] == []
    if command == "list" or code:
        assert left == data
        if "--json" in arguments and not code:
            json.loads(out)
        return f"{command} {code}"
    before = parse_denials(data.decode("utf-8-sig"), "before")
    after = parse_denials(left.decode(), "after")
    # Only what the arguments name changes, and its order does not.
    unchanged = after[:-1] if command == "add" else after
    assert list(unchanged) == [one for one in before if one in unchanged]
    assert command == "add" or len(after) < len(before)
    return f"{command} {code}"


def _trail(chance: Chance) -> bytes:
    """Records of valid hashes, whose fields were changed."""
    if chance.random() < 0.2:
        return mutated([b"".join(lines(3))], chance)
    bodies: list[str] = []
    for _ in range(3):
        record: dict[str, Any] = {"time": "2026-11-22T23:04:38.123Z", "event": "issued"}
        record |= {
            "key_id": "cert-1",
            "project": "classroom",
            "user": "uid:7",
            "token_id": "0" * 32,
        }
        record |= {"channel": "c", "expire_time": "2999-01-01T00:00:00Z"}
        for _ in range(chance.randrange(4)):
            if chance.random() < 0.4:
                record[chance.choice(("time", "expire_time"))] = chance.choice(_TIMES)
            else:
                event = ("recovered", "issued") if chance.random() < 0.2 else _VALUES
                record[chance.choice(_FIELDS)] = chance.choice(event)
        bodies.append(json.dumps(record, separators=(",", ":"))[:-1])
    return seal(Chain("0123456789abcdef" * 2), bodies)[0]


_SEARCHES: Final[Sequence[Sequence[str]]] = (
    ["audit", "verify"],
    ["audit", "find", "0" * 32],
    ["audit", "find", "--key", "cert-1", "--unexpired"],
    ["audit", "find", "--user", "uid:7", "--json"],
    ["keys", "--audit"],
    ["keys", "--json", "--audit"],
)


def _audit(commands: _Commands, path: Path, data: bytes) -> str:
    path.write_bytes(data)
    assert len(data) < MAX_RECORD_BYTES
    config = str(path.with_name("token-authority.toml"))
    codes = [commands.run(*words, str(path))[0] for words in _SEARCHES]
    kick = ["audit", "find", "--user", "uid:7", "--unexpired", "--config", config, str(path)]
    codes += [
        commands.run(*kick)[0],
        commands.run("keys", "--config", config, "--audit", str(path))[0],
    ]
    assert 2 not in codes
    return "verified" if codes[0] == 0 else "not verified"


class _ShortReads(io.BytesIO):
    """A pipe, which returns less than it is asked for."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 50) if size else size)


def _noise(tokens: list[str], chance: Chance) -> bytes:
    """Tokens and secrets in all kinds of text."""
    parts: list[bytes] = []
    for _ in range(chance.randrange(1, 6)):
        parts.append(mutated([chance.choice(tokens).encode()], chance))
        parts.append(chance.choice((CERTIFICATE, SECRET_KEY, ENCRYPTION_SECRET, "x")).encode())
        parts.append(chance.choice((b"", b"\n", b" ", b'"', b"%20", chance.randbytes(60))))
    chance.shuffle(parts)
    return b"".join(parts)


def _scan(commands: _Commands, config: Path, data: bytes) -> str:
    path = config.with_name("scanned")
    path.write_bytes(data)
    options = ["--json"] if data[:1] < b"A" else []
    code, _ = commands.run("scan", "--config", str(config), *options, str(path))
    assert code in {0, 1}
    # A stream in pieces has the same leaks in the same lines.
    finder = LeakFinder([("classroom", key) for _, key in KEYS], [], (), NOW_MS, bytes(32))
    whole, cut = [_leaks(finder, stream) for stream in (io.BytesIO(data), _ShortReads(data))]
    assert whole == cut
    return f"{min(len(whole), 3)} leaks"


def _leaks(finder: LeakFinder, stream: IO[bytes]) -> list[tuple[Any, ...]]:
    return [_row(place) for place in scan_stream(stream, "-", finder.find, LONGEST)]


def _row(place: Place) -> tuple[Any, ...]:
    leak = place.leak
    return place.line, leak.what, leak.kind, leak.token_id, leak.key_id, leak.expire_ms


def _report(tokens: list[str], chance: Chance) -> bytes:
    """A report of gitleaks, with changed types or changed bytes."""
    rows: list[Any] = []
    for _ in range(chance.randrange(3)):
        row: dict[str, Any] = {**_REPORT, "Secret": chance.choice(tokens)}
        for name in _REPORT:
            if chance.random() < 0.2:
                row[name] = chance.choice(
                    (*_VALUES, "\ud800", f"{APP_ID}\n\t{chance.choice(tokens)}")
                )
        rows.append(row if chance.random() < 0.95 else chance.choice(_VALUES))
    text = json.dumps(rows).encode()
    if chance.random() < 0.02:
        return b"[" * 100_000
    return text if chance.random() < 0.6 else mutated([text], chance)


def _scan_report(commands: _Commands, data: bytes) -> str:
    code, _ = commands.run("scan", "--gitleaks", "-", stdin=data)
    return {0: "nothing live", 1: "live", 2: "refused"}[code]


def _pasted(tokens: list[str], chance: Chance) -> bytes:
    text = inspecting.text_of(tokens, chance).encode("utf-8", "replace")
    return mutated([text], chance) if text and chance.random() < 0.3 else text


def _inspect(commands: _Commands, data: bytes) -> str:
    code, _ = commands.run(
        *("inspect", "-", "--offline", "--verbose", "--channel", "lesson-1", "--uid", "7"),
        stdin=data,
    )
    return f"exit code {code}"
