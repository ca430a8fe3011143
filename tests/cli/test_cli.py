import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from grpc import aio

from support.decoding import decode
from support.keys import APP_ID, CERTIFICATE, SECRET_KEY
from support.serving import CONFIG, command, refused, serving, write_config
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


async def run(*arguments: str, **environment: str) -> Ran:
    """Runs the command line to its end."""
    process = await asyncio.create_subprocess_exec(
        *command(),
        *arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "COLUMNS": "100", **environment},
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    assert b"Traceback" not in err
    return Ran(process.returncode, out.decode(), err.decode())


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
        assert "allowed:  to local, by grant local" in ran.err
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
        for line in (ran.out, APP_ID):
            assert line.strip() not in server.stderr


async def test_a_refusal_is_code_1_and_says_what_to_do() -> None:
    async with serving("--dev", "--listen", "127.0.0.1:0") as server:
        ran = await run(*RTC, "--project", "gone", "--target", server.address)
        assert (ran.code, ran.out) == (1, "")
        assert ran.err == (
            "token-authority: project 'gone' does not exist or is not granted to you: check its "
            "spelling against the server's configuration\n"
        )


async def test_no_server_is_code_1_in_one_line() -> None:
    ran = await run(*RTC, "--target", "127.0.0.1:1")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.count("\n") == 1
    assert "is a token authority listening at 127.0.0.1:1" in ran.err


@pytest.mark.parametrize(
    ("option", "value", "advice"),
    [
        ("--ttl", "60", "write numbers with units"),
        ("--ttl", "-1s", "expected one argument"),
        ("--ttl", "9" * 30 + "d", "longer than can be counted"),
        ("--expire-time", "2030-01-31T18:00:00", "write a time with its zone"),
        ("--expire-time", "tomorrow", "write a time with its zone"),
        ("--role", "owner", "invalid choice"),
        ("--uid", "seven", "invalid int value"),
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
        (["--role", "publisher", "--join-ttl", "1m"], "--role gives every right a lifetime"),
        (["--role", "publisher", "--rtm-ttl", "1m"], "--rtm-ttl goes with --rtm-user"),
    ],
)
async def test_rights_that_do_not_fit_together_are_code_2(options: list[str], advice: str) -> None:
    ran = await run(*RTC[:-2], *options)
    assert ran.code == 2
    assert advice in ran.err


async def test_uids_beyond_64_bits_are_refused_too() -> None:
    ran = await run(*RTC[:5], str(2**70), *RTC[6:])
    assert ran.code == 1
    assert "uid must be" in ran.err


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_server_with_code_0(signal_number: signal.Signals) -> None:
    async with serving("--dev", "--listen", "127.0.0.1:0") as server:
        assert await server.stop(signal_number) == 0
    assert '"draining"' in server.stderr
    assert '"stopped"' in server.stderr


async def test_the_development_server_says_how_to_ask_it(tmp_path: Path) -> None:
    async with serving("--dev", "--listen", f"unix:{tmp_path}/ta.sock") as server:
        server.process.terminate()
        out, _ = await asyncio.wait_for(server.process.communicate(), 30)
    text = out.decode()
    assert f"issue rtc --target unix:{tmp_path}/ta.sock --channel lesson-1" in text
    assert "exist in its memory only" in text


async def test_a_second_server_on_the_port_is_refused_in_one_line() -> None:
    async with serving("--dev", "--listen", "127.0.0.1:0") as server:
        ran = await run("serve", "--dev", "--listen", server.address)
        assert ran.code == 1
        assert ran.err.count("\n") == 1
        assert f"cannot listen on {server.address}: another process does" in ran.err


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
        assert (await refused(stub.IssueRtcToken(valid))).reason == "DRAINING"
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
        assert ran.code == 1
        assert "no whiteboard key of project 'classroom' is active" in ran.err
        assert await server.stop() == 0
    assert "projects.classroom.whiteboard: no key is active" in server.stderr


@pytest.mark.parametrize("arguments", [["serve", "--config"], ["check-config"]])
async def test_a_bad_file_is_code_2_and_one_line(tmp_path: Path, arguments: list[str]) -> None:
    path = str(write_config(tmp_path, CONFIG.replace(APP_ID, f" {APP_ID}")))
    ran = await run(*arguments, path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        f"token-authority: {path}: projects.classroom.agora.app_id: has white space around it: "
        "remove that\n"
    )


async def test_check_config_says_what_a_file_comes_to(tmp_path: Path) -> None:
    path = str(write_config(tmp_path, RETIRED))
    ran = await run("check-config", path)
    assert ran.code == 0
    assert ran.out == (
        "listens on 127.0.0.1:0\n"
        "project classroom\n"
        f"  agora key cert of App ID {APP_ID}: active\n"
        "  whiteboard key ak: verify_only\n"
    )
    assert ran.err.startswith(f"token-authority: warning: {path}: projects.classroom.whiteboard: ")
    for secret in (CERTIFICATE, SECRET_KEY):
        assert secret not in ran.out + ran.err


async def test_listen_goes_with_dev_only(tmp_path: Path) -> None:
    ran = await run("serve", "--config", str(write_config(tmp_path)), "--listen", "127.0.0.1:0")
    assert ran.code == 2
    assert "--listen goes with --dev" in ran.err


async def test_dev_listens_on_the_loopback_only() -> None:
    ran = await run("serve", "--dev", "--listen", "0.0.0.0:0")
    assert ran.code == 2
    assert "only loopback addresses" in ran.err
