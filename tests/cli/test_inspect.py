import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import termios
from typing import Any

import pytest

from inspection.tokens import rtc, t007
from support.serving import command, running
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority_cli.__main__ import main

TOKEN = t007()


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["token-authority", "inspect", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_offline_it_says_what_needs_no_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--offline", "--at", "2023-11-14T22:20:00Z", "--channel", "Lesson-1")
    assert run(monkeypatch, TOKEN, *arguments, "--verbose") == 1
    out = capsys.readouterr().out
    assert out.startswith("NOT USABLE: The client joined the channel 'Lesson-1'; the token is for ")
    assert out.splitlines()[1].startswith("→ Use the same spelling of the channel")
    assert "token: rtc (007)" in out
    assert "times: issued 6 m 40 s before use, expires 53 m 20 s after use" in out
    assert "signature: unverifiable" in out
    assert "KEY_UNKNOWN" not in out
    assert "services[0].channel_name = lesson-1" in out
    assert "error CHANNEL_SPELLING" in out
    # Not a terminal: no colours.
    assert "\033" not in out
    assert TOKEN not in out


def test_offline_as_json_and_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f'"{TOKEN}"\n'.encode())))
    assert run(monkeypatch, "-", "--offline", "--json") == 1
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (answer["format"], answer["kind"], answer["expired"]) == ("007", "rtc", True)
    assert "QUOTED" in [finding["reason"] for finding in answer["findings"]]


def test_standard_input_that_is_not_utf_8_is_inspected(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"007\xff"), encoding="utf-8"))
    assert run(monkeypatch, "-", "--offline") == 1
    assert capsys.readouterr().out.startswith("NOT USABLE: ")


def test_what_a_token_says_cannot_pass_for_what_we_say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    channel = "x\x1b[31m\nsignature: valid by boss\r\u202e"
    arguments = ("--offline", "--verbose", "--channel", channel + " ")
    assert run(monkeypatch, t007(rtc(channel)), *arguments) == 1
    out = capsys.readouterr().out
    assert r"channel_name = x\x1b[31m\nsignature: valid by boss\r\u202e" in out
    assert not {char for char in out if not char.isprintable()} - {"\n"}
    assert not [line for line in out.splitlines() if line.startswith("signature: valid")]


def test_a_token_that_cannot_be_read_is_called_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, TOKEN[:-30], "--offline") == 1
    out = capsys.readouterr().out
    assert out.startswith("NOT USABLE: The end of the token is missing.\n")
    assert "token: format 007, cannot be read" in out
    assert run(monkeypatch, "hello", "--offline") == 1
    out = capsys.readouterr().out
    assert out.startswith("NOT USABLE: This is not an Agora token")
    assert "token: no token" in out


def test_what_is_too_long_is_refused_offline_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "x" * 65_537, "--offline") == 2
    assert "token must be at most 65536 bytes" in capsys.readouterr().err


def test_the_rules_hold_offline_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, TOKEN, "--offline", "--channel", "x" * 1025) == 2
    assert "expected.channel_name must be at most 1024 bytes" in capsys.readouterr().err


@pytest.mark.parametrize("uid", ["-1", "4294967296", "7894561230", "9" * 30])
def test_a_uid_out_of_range_is_the_diagnosis(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], uid: str
) -> None:
    at = ("--at", "2023-11-14T22:20:00Z")
    assert run(monkeypatch, TOKEN, "--offline", "--uid", uid, *at) == 1
    out = capsys.readouterr().out
    assert out.startswith("NOT USABLE: The client joined with the uid ")
    assert "a uid is from 0 to 4294967295" in out


def test_codes_may_be_negative(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--at", "2023-11-14T22:20:00Z")
    assert run(monkeypatch, TOKEN, "--offline", "--error", "-10009", *at) == 1
    assert "error RTC_TOKEN_FOR_RTM" in capsys.readouterr().out


async def test_a_server_says_who_signed() -> None:
    from support.commands import run as run_command  # noqa: PLC0415  # shares the name of ours

    async with running() as server:
        request = IssueRtcTokenRequest(
            project="classroom", channel_name="lesson-1", uid=7, role=RTC_ROLE_PUBLISHER
        )
        token = (await server.stub.IssueRtcToken(request)).issued_token.token
        at = ("--at", "2023-11-14T22:20:00Z", "--target", server.address)
        ran = await run_command("inspect", token, "--channel", "lesson-1", "--uid", "7", *at)
        assert "signature: valid by cert-2 of classroom (active)" in ran.out
        assert ran.out.startswith("USABLE: nothing wrong was found.")
        assert ran.code == 0
        ran = await run_command("inspect", token, "--uid", "8", "--error", "110", *at)
        assert "error WRONG_USER" in ran.out
        assert ran.code == 1
        (line,) = [line for line in server.log if "WRONG_USER" in line.get("findings", [])]
        assert line["event"] == "inspected"


def on_terminal(columns: int, **environment: str) -> list[str]:
    """Runs the command on a terminal of its own; returns what that shows."""
    main_end, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    without = {name: value for name, value in os.environ.items() if name not in _TERMINAL}
    arguments = ("--offline", "--channel", "Lesson-1", "--at", "2023-11-14T22:20:00Z")
    try:
        done = subprocess.run(
            [*command(), "inspect", TOKEN, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            env={**without, "TERM": "xterm", **environment},
            timeout=30,
            check=False,
        )
        shown = os.read(main_end, 65_536).decode()
    finally:
        os.close(terminal)
        os.close(main_end)
    assert done.returncode == 1
    return shown.splitlines()


_TERMINAL = ("COLUMNS", "LINES", "NO_COLOR", "TERM")


@pytest.mark.parametrize("columns", [50, 80])
def test_on_a_terminal_lines_are_wrapped_and_coloured(columns: int) -> None:
    shown = on_terminal(columns)
    assert shown[0].startswith("\033[31mNOT USABLE:\033[0m The client joined")
    plain = [re.sub(r"\033\[[0-9]+m", "", line) for line in shown]
    verdict = plain[: plain.index("")]
    assert all(len(line) <= columns for line in verdict)
    assert verdict[1].startswith(" " * len("NOT USABLE: "))
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert on_terminal(columns, **environment) == plain
