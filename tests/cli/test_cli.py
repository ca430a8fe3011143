import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode, aio

from support.commands import run
from support.decoding import decode
from support.keys import APP_ID, CERTIFICATE, SECRET_KEY
from support.ports import free_port
from support.serving import CONFIG, command, refused, serving, write_config
from support.waiting import until
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub
from token_authority.v1.whiteboard_pb2 import WHITEBOARD_ROLE_READER, IssueWhiteboardTokenRequest

# The whiteboard key, the last one, signs no more.
RETIRED = '"verify_only"'.join(CONFIG.rsplit('"active"', 1))
RTC = ["issue", "rtc", "--channel", "lesson-1", "--uid", "7", "--role", "publisher"]


@pytest.mark.parametrize(
    "arguments",
    [[], ["serve"], ["check-config"], ["issue"], ["issue", "rtc"], ["issue", "whiteboard"]],
    ids=lambda arguments: " ".join(arguments) or "alone",
)
async def test_every_command_explains_itself(arguments: list[str]) -> None:
    ran = await run(*arguments, "--help")
    assert ran.code == 0
    assert "usage: token-authority" in ran.out
    assert not ran.err


async def test_the_version() -> None:
    assert (await run("--version")).out == "token-authority 0.1.0\n"


async def test_a_wrong_command_line_is_code_2() -> None:
    for arguments in ([], ["issue", "rtc"], ["serve"], ["serve", "--dev", "--config", "x"]):
        ran = await run(*arguments)
        assert ran.code == 2
        assert "usage: " in ran.err


async def test_tokens_from_the_command_line() -> None:
    async with serving("--dev", "--listen", "127.0.0.1:0") as server:
        target = ["--target", server.address]
        ran = await run(*RTC, *target)
        assert ran.code == 0
        # The token alone on standard output, so that a shell can take it.
        service = decode(ran.out.removesuffix("\n")).fields["services"][0]
        assert (service["channel_name"], service["uid"]) == ("lesson-1", "7")
        for words in ("token id: ", "expires:  ", "(after 1 h)", "renew at: "):
            assert words in ran.err
        assert ran.out.strip() not in ran.err

        ran = await run(*RTC[:-1], "subscriber", "--json", TOKEN_AUTHORITY_TARGET=server.address)
        answer = json.loads(ran.out)
        assert (answer["format"], answer["key_id"]) == ("007", "dev-certificate")
        assert answer["expire_time"].endswith("Z")
        assert answer["advisories"][0]["reason"] == "SUBSCRIBER_NOT_ENFORCED"

        ran = await run(*RTC, *target, "--validate-only", "--ttl", "1h30m")
        assert (ran.code, ran.out) == (0, "")
        assert "allowed:  to developer, by grant everything" in ran.err
        assert "life:     1 h 30 m (at most 1 d)" in ran.err

        rest = ["--join-ttl", "60s", "--publish-audio-ttl", "30s", "--rtm-user", "al"]
        ran = await run(
            "issue",
            "rtc",
            "--any-channel",
            "--user-account",
            "al",
            *rest,
            "--rtm-ttl",
            "9s",
            *target,
        )
        rtc, rtm = decode(ran.out.strip()).fields["services"]
        assert rtc["privileges"] == {1: 60, 2: 30}
        assert rtm["privileges"] == {1: 9}

        whiteboard = ["issue", "whiteboard", "--role", "reader", *target]
        ran = await run(*whiteboard, "--room", "r-1", "--expire-time", "2030-01-31T18:00:00+08:00")
        assert decode(ran.out.strip()).fields["expireAt"] == "1896084000000"
        ran = await run(*whiteboard, "--sdk", "--non-expiring")
        assert decode(ran.out.strip()).fields["prefix"] == "NETLESSSDK_"
        assert "expires:  never" in ran.err
        assert "SDK_TOKEN_SERVER_SIDE_ONLY" in ran.err
        assert await server.stop() == 0
    assert server.stderr.count('"event": "issued"') == 5
    assert not re.search(r"007eJ|NETLESS", server.stderr)


async def test_a_refusal_has_its_code_and_says_what_to_do() -> None:
    async with serving("--dev", "--listen", "127.0.0.1:0") as server:
        ran = await run(*RTC, "--project", "gone", "--target", server.address)
        assert (ran.code, ran.out) == (4, "")
        assert ran.err == (
            "token-authority: project 'gone' does not exist or is not granted to you: check the "
            "project name, or add a grant for it to the server's configuration\n"
        )


async def test_no_server_is_code_7_in_one_line() -> None:
    ran = await run(*RTC, "--target", "127.0.0.1:1")
    assert (ran.code, ran.out) == (7, "")
    assert ran.err.count("\n") == 1
    assert "nothing listens at 127.0.0.1:1: " in ran.err


@pytest.mark.parametrize(
    ("option", "value", "advice"),
    [
        ("--ttl", "60", "write numbers with units"),
        ("--ttl", "\u0662h", "write numbers with units"),
        ("--ttl", "-1s", "expected one argument"),
        ("--ttl", "9" * 30 + "d", "is too long"),
        ("--expire-time", "2030-01-31T18:00:00", "write a time with its zone"),
        ("--expire-time", "tomorrow", "write a time with its zone"),
        ("--role", "owner", "invalid choice"),
        ("--uid", "seven", "write an integer"),
        ("--uid", "1_000", "write an integer"),
    ],
)
async def test_a_value_that_cannot_be_read_is_code_2(option: str, value: str, advice: str) -> None:
    ran = await run(*RTC, option, value)
    assert ran.code == 2
    assert advice in ran.err


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ([], "--role is required, or --join-ttl"),
        (["--publish-audio-ttl", "1m"], "--join-ttl is required"),
        (["--role", "publisher", "--join-ttl", "1m"], "--role cannot be combined with --join-ttl"),
        (["--role", "publisher", "--rtm-ttl", "1m"], "--rtm-ttl requires --rtm-user"),
    ],
)
async def test_rights_that_do_not_fit_together_are_code_2(options: list[str], advice: str) -> None:
    ran = await run(*RTC[:-2], *options)
    assert ran.code == 2
    assert advice in ran.err


async def test_uids_beyond_64_bits_are_refused_too() -> None:
    ran = await run(*RTC[:5], str(2**70), *RTC[6:])
    assert ran.code == 2
    assert "uid must be" in ran.err


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_server_with_code_0(signal_number: signal.Signals) -> None:
    async with serving("--dev", "--listen", "127.0.0.1:0") as server:
        assert await server.stop(signal_number) == 0
    assert '"draining"' in server.stderr
    assert '"stopped"' in server.stderr


async def test_the_settings_reach_the_server(tmp_path: Path) -> None:
    options = "reflection = true\nmax_request_bytes = 4096\nmax_concurrent_rpcs = 10\n"
    text = CONFIG.replace("[log]", options + "[log]\nlevel = 'info'")
    async with (
        serving("--config", str(write_config(tmp_path, text))) as server,
        aio.insecure_channel(server.address) as channel,
    ):
        stub: Any = TokenServiceStub(channel)
        valid = IssueRtcTokenRequest(channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER)
        answers = [(await stub.IssueRtcToken(valid)).issued_token for _ in range(2)]
        salts = [decode(answer.token).fields["salt"] for answer in answers]
        assert salts[0] != salts[1]
        assert abs(answers[0].issue_time.seconds - time.time()) < 5
        room = IssueWhiteboardTokenRequest(room={"room_uuid": "r"}, role=WHITEBOARD_ROLE_READER)  # type: ignore[arg-type]
        tokens = [(await stub.IssueWhiteboardToken(room)).issued_token.token for _ in range(2)]
        nonces = [decode(token).fields["nonce"] for token in tokens]
        assert nonces[0] != nonces[1]
        assert {uuid.UUID(nonce).version for nonce in nonces} == {4}
        big = IssueRtcTokenRequest(channel_name="c" * 5000)
        assert (await refused(stub.IssueRtcToken(big))).metadata["max_bytes"] == "4096"
        begin: Any = channel.stream_unary("/token_authority.v1.TokenService/IssueRtcToken")

        async def never() -> AsyncIterator[bytes]:
            await asyncio.sleep(60)
            yield b""

        # A call counts until the server has put it away, a moment after its answer: hold more
        # calls than the limit, and those refused for an earlier one leave room for none.
        held = []
        for _ in range(3):
            held += [begin(never()) for _ in range(10)]
            await asyncio.sleep(0.3)
        assert (await refused(stub.IssueRtcToken(valid))).code is StatusCode.RESOURCE_EXHAUSTED
        for call in held:
            call.cancel()
    quiet = text.replace("'info'", "'error'").replace("127.0.0.1:0", f"unix:{tmp_path}/quiet.sock")
    process = await asyncio.create_subprocess_exec(
        *command(), "serve", "--config", str(write_config(tmp_path, quiet)), stderr=subprocess.PIPE
    )
    async with aio.insecure_channel(f"unix:{tmp_path}/quiet.sock") as channel:
        stub = TokenServiceStub(channel)
        await stub.IssueRtcToken(valid, wait_for_ready=True)
    process.terminate()
    _, stderr = await asyncio.wait_for(process.communicate(), 30)
    assert stderr == b""


async def test_development_keys_are_made_up_for_each_run() -> None:
    apps: set[str] = set()
    for _ in range(2):
        async with serving("--dev", "--listen", "127.0.0.1:0") as server:
            ran = await run(*RTC, "--json", "--target", server.address)
            apps.add(json.loads(ran.out)["app_id"])
    assert len(apps) == 2


async def test_a_log_that_nobody_reads_decides_no_call() -> None:
    read_end, write_end = os.pipe()
    address = f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        *command(),
        *["serve", "--dev", "--listen", address],
        stdout=subprocess.DEVNULL,
        stderr=write_end,
    )
    os.close(write_end)
    valid = IssueRtcTokenRequest(channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER)
    async with aio.insecure_channel(address) as channel:
        stub: Any = TokenServiceStub(channel)
        await stub.IssueRtcToken(valid, wait_for_ready=True)
        # More than a pipe holds, and nobody reads it.
        for _ in range(20):
            await asyncio.gather(*[stub.IssueRtcToken(valid) for _ in range(50)])
        # Now nobody can.
        os.close(read_end)
        await stub.IssueRtcToken(valid)
        assert (await refused(stub.IssueRtcToken(IssueRtcTokenRequest()))).reason
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 10) == 0


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["issue", "rtc", "--help"], ["serve", "--dev"]]
)
async def test_a_reader_that_goes_away_is_no_traceback(arguments: list[str]) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    listen = ["--listen", "127.0.0.1:0"] if "--dev" in arguments else []
    process = await asyncio.create_subprocess_exec(
        *command(), *arguments, *listen, stdout=write_end, stderr=subprocess.PIPE
    )
    os.close(write_end)
    _, stderr = await asyncio.wait_for(process.communicate(), 30)
    assert b"Traceback" not in stderr
    assert b"Exception" not in stderr
    assert process.returncode in (0, 1)


async def test_an_answer_that_cannot_be_written_is_reported_in_one_line(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    with open("/dev/full", "w") as full:  # noqa: ASYNC230, PTH123
        process = await asyncio.create_subprocess_exec(
            *command(), "check-config", path, stdout=full, stderr=subprocess.PIPE
        )
    _, stderr = await asyncio.wait_for(process.communicate(), 30)
    assert stderr == b"token-authority: cannot write the output: No space left on device\n"
    assert process.returncode == 1


async def _run_without(stream: str, *arguments: str) -> tuple[int | None, bytes, bytes]:
    """Runs a command with a standard stream closed, by a shell's redirection like `2>&-`."""
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", f'exec "$@" {stream}', "sh", *command(), *arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, out, err


@pytest.mark.parametrize("arguments", [["--version"], ["api-key", "new"]], ids=" ".join)
async def test_an_answer_to_a_closed_output_is_reported(arguments: list[str]) -> None:
    code, _, err = await _run_without("1>&-", *arguments)
    assert b"Traceback" not in err
    assert err.endswith(b"token-authority: cannot write the output: Bad file descriptor\n")
    assert code == 1


async def test_with_closed_errors_the_output_is_the_answer_alone() -> None:
    code, out, _ = await _run_without("2>&-", "api-key", "new")
    assert code == 0
    assert re.fullmatch(rb"tak_[\w-]{43}\n", out)
    code, out, _ = await _run_without("2>&-", "issue")
    assert (code, out) == (2, b"")


async def test_a_closed_input_is_empty() -> None:
    code, _, err = await _run_without("<&-", "inspect", "--offline", "-")
    assert code == 2
    assert b"Traceback" not in err


# Only root and the server itself see its descriptors: it is not dumpable.
_REPORTING = """
import os, runpy, sys, threading, time
module, audit, report = (sys.argv.pop(1) for _ in range(3))
def streams():
    while not (os.path.exists(audit) and os.path.getsize(audit)):
        time.sleep(0.01)
    names = [os.readlink(f"/proc/self/fd/{number}") for number in range(3)]
    with open(report, "w") as file:
        print(*names, file=file)
threading.Thread(target=streams, daemon=True).start()
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("module", ["token_authority_cli", "token_authority_server"])
async def test_a_server_without_standard_streams_serves(module: str, tmp_path: Path) -> None:
    path = write_config(tmp_path, CONFIG + '\n[audit]\nfile = "audit.jsonl"\n')
    audit, report = tmp_path / "audit.jsonl", tmp_path / "streams"
    serve = ["serve"] if module == "token_authority_cli" else []
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", _REPORTING),
        *(module, str(audit), str(report), *serve, "--config", str(path)),
    )
    try:
        await until(lambda: process.returncode is not None or _read(report).endswith(b"\n"), 30)
        assert process.returncode is None
        assert _read(report).split() == [os.devnull.encode()] * 3
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


async def test_ctrl_c_while_modules_are_imported_is_no_traceback() -> None:
    program = """
import signal, sys
from token_authority_cli.__main__ import main
class Interrupt:
    def find_spec(self, name, *_):
        if name == "token_authority_client":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
main()
"""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, "whoami"), stderr=subprocess.PIPE
    )
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, err) == (130, b"")


async def test_an_output_that_is_not_utf_8_is_escaped() -> None:
    process = await asyncio.create_subprocess_exec(
        *(*command(), "inspect", "--offline", "006abc"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, err) == (1, b"")
    assert out.startswith(b"NOT USABLE: ")
    assert b"\n\\u2192 " in out


async def test_json_writes_lifetimes_exactly() -> None:
    async with serving("--dev", "--listen", "127.0.0.1:0") as server:
        whiteboard = ["issue", "whiteboard", "--room", "r", "--role", "writer", "--validate-only"]
        ran = await run(*whiteboard, "--ttl", "86399999ms", "--json", "--target", server.address)
    answer = json.loads(ran.out)
    assert (answer["ttl"], answer["max_ttl"]) == ("86399.999s", "315360000s")


async def test_the_development_server_says_how_to_ask_it(tmp_path: Path) -> None:
    async with serving("--dev", "--listen", f"unix:{tmp_path}/ta.sock") as server:
        assert await server.stop() == 0
        text = server.stdout
    assert f"issue rtc --target unix:{tmp_path}/ta.sock --channel lesson-1" in text
    assert "generated at start and kept in memory only" in text


async def test_a_second_server_on_the_port_is_refused_in_one_line() -> None:
    async with serving("--dev", "--listen", "127.0.0.1:0") as server:
        ran = await run("serve", "--dev", "--listen", server.address)
        assert ran.code == 2
        assert ran.err.count("\n") == 1
        assert f"cannot listen on {server.address}: another process listens there" in ran.err


async def test_calls_under_way_are_answered_while_the_process_drains(tmp_path: Path) -> None:
    valid = IssueRtcTokenRequest(channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER)
    path = "/token_authority.v1.TokenService/IssueRtcToken"
    go = asyncio.Event()

    async def request() -> Iterator[bytes]:  # type: ignore[misc]
        await go.wait()
        yield valid.SerializeToString()

    async with (
        serving("--config", str(write_config(tmp_path))) as server,
        aio.insecure_channel(server.address) as channel,
    ):
        stub = TokenServiceStub(channel)
        await stub.IssueRtcToken(valid)
        begin: Any = channel.stream_unary(path)
        held = begin(request())
        await stub.IssueRtcToken(valid)
        server.process.terminate()
        await asyncio.sleep(0.2)
        # Nobody can know better yet.
        assert (await stub.IssueRtcToken(valid)).issued_token.token
        await asyncio.sleep(0.6)
        go.set()
        assert len(await held) > 100
        assert await server.ended() == 0


async def test_a_second_signal_cuts_the_draining_short(tmp_path: Path) -> None:
    text = CONFIG.replace('"500ms"', '"5m"')
    async with serving("--config", str(write_config(tmp_path, text))) as server:
        server.process.terminate()
        await asyncio.sleep(0.3)
        assert await server.stop() == 0


async def test_a_file_is_served_with_its_projects(tmp_path: Path) -> None:
    async with serving("--config", str(write_config(tmp_path, RETIRED))) as server:
        ran = await run(*RTC, "--target", server.address)
        assert decode(ran.out.strip()).verifies(CERTIFICATE)
        whiteboard = ["issue", "whiteboard", "--room", "r", "--role", "writer"]
        ran = await run(*whiteboard, "--target", server.address)
        assert ran.code == 5
        assert "project 'classroom' has no active whiteboard key" in ran.err
        assert await server.stop() == 0
    assert "projects.classroom.whiteboard: no key is active" in server.stderr


@pytest.mark.parametrize("arguments", [["serve", "--config"], ["check-config"]])
async def test_a_bad_file_is_code_2_and_one_line(tmp_path: Path, arguments: list[str]) -> None:
    path = str(write_config(tmp_path, CONFIG.replace(APP_ID, f" {APP_ID}")))
    line = CONFIG[: CONFIG.index("app_id")].count("\n") + 1
    ran = await run(*arguments, path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        f"token-authority: {path}:{line}: projects.classroom.agora.app_id: has leading or trailing "
        "white space: remove it\n"
    )


async def test_check_config_says_what_a_file_comes_to(tmp_path: Path) -> None:
    path = str(write_config(tmp_path, RETIRED))
    ran = await run("check-config", path)
    assert ran.code == 0
    assert ran.out == (
        "listens on 127.0.0.1:0 in plain text\n"
        "project classroom\n"
        f"  agora key cert of App ID {APP_ID}: active\n"
        "  whiteboard key ak: verify_only\n"
        "caller tester\n"
        "  identity local\n"
        "  grant everything for project classroom: access_token, chat.app, chat.user, convo_ai, "
        "education.app, education.room_user, education.user, fcdn, fpa, rtc, rtm, streaming, stt, "
        "whiteboard.room, whiteboard.sdk, whiteboard.task, and any_user, any_channel, "
        "channel_pattern, non_expiring, v006, inspect, list_keys\n"
    )
    assert ran.err.startswith(f"token-authority: warning: {path}: projects.classroom.whiteboard: ")
    for secret in (CERTIFICATE, SECRET_KEY):
        assert secret not in ran.out + ran.err


async def test_listen_goes_with_dev_only(tmp_path: Path) -> None:
    ran = await run("serve", "--config", str(write_config(tmp_path)), "--listen", "127.0.0.1:0")
    assert ran.code == 2
    assert "--listen requires --dev; with --config, set server.listen" in ran.err


async def test_check_config_answers_programs(tmp_path: Path) -> None:
    path = str(write_config(tmp_path, RETIRED))
    ran = await run("check-config", "--json", path)
    answer = json.loads(ran.out)
    assert (ran.code, ran.err) == (0, "")
    assert answer["summary"][0] == "listens on 127.0.0.1:0 in plain text"
    assert "no key is active" in answer["warnings"][0]
    ran = await run("check-config", "--json", str(tmp_path / "none.toml"))
    (mistake,) = json.loads(ran.out)["error"]["mistakes"]
    assert (ran.code, ran.err, "cannot be read" in mistake) == (2, "", True)


async def test_dev_listens_on_the_loopback_only() -> None:
    ran = await run("serve", "--dev", "--listen", "0.0.0.0:0")
    assert ran.code == 2
    assert "other machines can connect to " in ran.err
