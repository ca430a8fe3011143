"""The file of denials, under a live process and in check-config."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from grpc import aio

from support.commands import run
from support.live import AUDIT, BY_PLACE, PROJECT, SERVER, Live, live
from support.replacing import replace
from support.serving import refused, write_config
from support.waiting import until
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub

VALID: Final = IssueRtcTokenRequest(channel_name="c", uid=7, role=RTC_ROLE_PUBLISHER)
CONFIG: Final = SERVER + AUDIT + '[authorization]\ndenied_file = "denied.toml"\n' + PROJECT
UNTIL: Final = "2999-01-01T00:00:00Z"
DEGRADED: Final = 'token_authority_degraded{component="configuration"}'
TEST: Final = """
[[tests]]
caller = "tester"
request = { rtc = { channel_name = "c", uid = 7, role = "RTC_ROLE_PUBLISHER" } }
expect = "EXPECTED"
"""


def denial(**keys: str) -> str:
    rows = [f'{key} = "{text}"' for key, text in {"project": "classroom", **keys}.items()]
    return "\n".join(["[[denials]]", f"until = {UNTIL}", *rows, ""])


@asynccontextmanager
async def denying(folder: Path, denied: str = "", more: str = "") -> AsyncGenerator[Live]:
    (folder / "denied.toml").write_text(denied)
    async with live(folder, CONFIG + BY_PLACE + more) as server:
        yield server


def issue(channel: Any) -> Any:
    return TokenServiceStub(channel).IssueRtcToken(VALID, timeout=10)


async def test_denials_come_and_go_with_the_file_and_are_on_record(tmp_path: Path) -> None:
    path = tmp_path / "denied.toml"
    async with denying(tmp_path) as server, aio.insecure_channel(server.address) as channel:
        assert (await issue(channel)).issued_token.token
        replace(path, denial(user="uid:7"))
        await server.reloaded(1)
        assert (await refused(issue(channel))).reason == "DENIED"
        replace(path, denial(user="uid:8"))
        await server.reloaded(2)
        assert (await issue(channel)).issued_token.token
        changes = [line.get("denials") for line in server.events("configuration reloaded")]
        assert changes == [
            ["classroom: user uid:7 until 2999-01-01T00:00:00.000Z: added"],
            [
                "classroom: user uid:7 until 2999-01-01T00:00:00.000Z: removed",
                "classroom: user uid:8 until 2999-01-01T00:00:00.000Z: added",
            ],
        ]
        await until(lambda: sum("denials" in record for record in server.records) == 2)


async def test_a_long_list_of_changes_is_whole_on_the_trail_and_short_in_the_log(
    tmp_path: Path,
) -> None:
    async with denying(tmp_path) as server:
        rows = [denial(user=f"uid:{number}") for number in range(1, 2502)]
        replace(tmp_path / "denied.toml", "\n".join(rows))
        await server.reloaded(1)
        (line,) = server.events("configuration reloaded")
        assert len(line["denials"]) == 1001
        assert line["denials"][-1] == "and 1501 more"
        await until(lambda: sum("denials" in record for record in server.records) == 3)
        found = [name for record in server.records for name in record.get("denials", ())]
        assert len(set(found)) == 2501


@pytest.mark.parametrize("damage", ["missing", "a folder", "not TOML", "an unknown key"])
async def test_a_file_that_becomes_unusable_keeps_the_last_denials(
    tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "denied.toml"
    first = denial(user="uid:7")
    async with denying(tmp_path, first) as server, aio.insecure_channel(server.address) as channel:
        path.unlink()
        match damage:
            case "a folder":
                path.mkdir()
            case "not TOML":
                path.write_text("[[denials]]\nuntil = soon\n")
            case "an unknown key":
                path.write_text(denial(usr="uid:8"))
            case _:
                pass
        await until(lambda: server.events("degraded"))
        health = await server.health()
        assert "denied.toml" in health["degraded"]["configuration"]
        assert await server.metric(DEGRADED) == 1
        assert (await refused(issue(channel))).reason == "DENIED"
        if path.is_dir():
            path.rmdir()
        replace(path, "")
        await server.reloaded(1)
        assert await server.metric(DEGRADED) == 0
        assert (await issue(channel)).issued_token.token


async def test_a_server_does_not_start_without_its_file(tmp_path: Path) -> None:
    path = write_config(tmp_path, CONFIG + BY_PLACE)
    for command in (["check-config"], ["serve", "--config"]):
        ran = await run(*command, str(path))
        assert ran.code == 2
        assert "authorization.denied_file: cannot read" in ran.err
        assert "denied.toml: No such file or directory" in ran.err


async def test_tests_of_grants_do_not_keep_a_denial_out(tmp_path: Path) -> None:
    allow = TEST.replace("EXPECTED", "allow")
    async with (
        denying(tmp_path, more=allow) as server,
        aio.insecure_channel(server.address) as channel,
    ):
        replace(tmp_path / "denied.toml", denial(channel="*"))
        await server.reloaded(1)
        assert (await refused(issue(channel))).reason == "DENIED"


async def test_tests_can_expect_a_denial(tmp_path: Path) -> None:
    path = write_config(tmp_path, CONFIG + BY_PLACE + TEST.replace("EXPECTED", "DENIED"))
    (tmp_path / "denied.toml").write_text(denial(user="uid:7"))
    assert (await run("check-config", str(path))).code == 0
    (tmp_path / "denied.toml").write_text(denial(user="uid:8"))
    ran = await run("check-config", str(path))
    assert ran.code == 2
    assert "test 1 (caller tester): expected DENIED, got allow" in ran.err
