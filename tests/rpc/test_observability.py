"""Log and audit trail through the wire: what is on record, and what never is."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any, Final

import pytest
from grpc import StatusCode, aio

from support import granting
from support.commands import run
from support.live import BEARER, BY_KEY, BY_PLACE, PROJECT, SERVER, live
from support.serving import refused
from support.small_disk import DISKS, run_on
from support.waiting import until
from token_authority.v1 import inspection_pb2
from token_authority.v1.inspection_service_pb2_grpc import InspectionServiceStub
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub

TESTS: Final = Path(__file__).parents[1]
VALID: Final = IssueRtcTokenRequest(channel_name="lesson-1", uid=7, role=RTC_ROLE_PUBLISHER)
AUDIT: Final = '[audit]\nfile = "audit.jsonl"\n'
LESSONS: Final = BY_KEY.replace('channels = ["*"]', 'channels = ["lesson-*"]')
# As people paste them: short enough for a channel, and for a user account.
PASTED: Final = ("007eJxTYPj48f", "006970CA35de60c44645bbae8a215061b33IABCDE", "NETLESSROOM_YWs9")


def stub(channel: Any) -> Any:
    return TokenServiceStub(channel)


def rtc(channel: str = "lesson-1", **fields: Any) -> IssueRtcTokenRequest:
    return IssueRtcTokenRequest(
        channel_name=channel, **{"uid": 7, "role": RTC_ROLE_PUBLISHER, **fields}
    )


async def test_what_is_decided_is_on_record(tmp_path: Path) -> None:
    text = SERVER + AUDIT + PROJECT + LESSONS
    async with live(tmp_path, text) as server, aio.insecure_channel(server.address) as channel:
        metadata = (*BEARER, ("x-request-id", "trace-1"))
        answer = await stub(channel).IssueRtcToken(VALID, metadata=metadata)
        token = answer.issued_token.token
        await refused(stub(channel).IssueRtcToken(rtc("office"), metadata=metadata))
        await refused(stub(channel).IssueRtcToken(VALID))
        inspection: Any = InspectionServiceStub(channel)
        await inspection.InspectToken(
            inspection_pb2.InspectTokenRequest(token=token), metadata=metadata
        )
        # Neither a request that is malformed nor one that only asks is a decision.
        await refused(stub(channel).IssueRtcToken(rtc("lesson-1", uid=0), metadata=metadata))
        await stub(channel).IssueRtcToken(rtc(validate_only=True), metadata=metadata)
        await until(lambda: len(server.records) >= 5)
        started, issued, refusal, unknown, inspected = server.records
    who = {
        "caller": "tester",
        "identity": granting.API_KEY_IDENTITY[: len("api-key:sha256:") + 8],
        "method": "IssueRtcToken",
        "request_id": "trace-1",
        "project": "classroom",
    }
    about = {"kind": "rtc", "role": "publisher", "user": "uid:7"}
    assert started.items() >= {"event": "configuration", "started": server.addresses}.items()
    assert (
        issued.items()
        >= {
            **who,
            **about,
            "event": "issued",
            "channel": "lesson-1",
            "key_id": "cert-1",
            "grant": "all",
            "ttl_ms": 3_600_000,
            "token_id": answer.issued_token.token_id,
        }.items()
    )
    assert issued["peer"].startswith("ipv4:127.0.0.1:")
    assert {"time", "expire_time", "chain", "seq", "prev", "hash"} <= issued.keys()
    assert (
        refusal.items()
        >= {
            **about,
            **{name: value for name, value in who.items() if name != "project"},
            "event": "refused",
            "reason": "GRANT_MISSING",
            "channel": "office",
            "missing": "channels",
        }.items()
    )
    assert unknown.items() >= {"event": "refused", "reason": "CREDENTIAL_MISSING"}.items()
    assert "caller" not in unknown
    assert (
        inspected.items()
        >= {
            **who,
            "method": "InspectToken",
            "event": "inspected",
            "token_id": answer.issued_token.token_id,
            "key_id": "cert-1",
        }.items()
    )
    # The trail answers who minted it.
    trail = str(tmp_path / "audit.jsonl")
    found = await run("audit", "find", token, trail)
    assert (found.code, "caller: tester" in found.out) == (0, True)
    assert (await run("audit", "verify", trail)).code == 0
    assert token not in (tmp_path / "audit.jsonl").read_text() + server.output


@pytest.mark.parametrize("pasted", PASTED)
@pytest.mark.parametrize("where", ["channel", "account", "x-request-id", "bearer", "inspected"])
async def test_a_token_that_is_pasted_somewhere_is_in_no_log_and_no_record(
    tmp_path: Path, pasted: str, where: str
) -> None:
    text = SERVER + AUDIT + PROJECT
    async with (
        live(tmp_path, text + BY_KEY) as open_server,
        aio.insecure_channel(open_server.address) as channel,
    ):
        await paste(channel, pasted, where)
        await until(lambda: len(open_server.records) >= 2)
    strict = tmp_path / "strict"
    strict.mkdir()
    # Refused, which is told with the values of the request.
    narrow = LESSONS.replace('users = ["*"]', 'users = ["uid:7"]')
    async with (
        live(strict, text + narrow) as server,
        aio.insecure_channel(server.address) as channel,
    ):
        await paste(channel, pasted, where)
        await until(lambda: len(server.records) >= 2)
    for folder in (tmp_path, strict):
        for name in ("audit.jsonl", "stderr", "stdout"):
            assert pasted not in (folder / name).read_text()


async def paste(channel: Any, pasted: str, where: str) -> None:
    """Makes a call with a token where none belongs, whatever comes of it."""
    request = VALID
    metadata: tuple[tuple[str, str], ...] = BEARER
    if where == "channel":
        request = rtc(pasted)
    elif where == "account":
        request = IssueRtcTokenRequest(
            channel_name="lesson-1", user_account=pasted, role=RTC_ROLE_PUBLISHER
        )
    elif where == "x-request-id":
        metadata = (*BEARER, ("x-request-id", pasted))
    elif where == "bearer":
        metadata = (("authorization", f"Bearer {pasted}"),)
    else:
        inspection: Any = InspectionServiceStub(channel)
        await inspection.InspectToken(
            inspection_pb2.InspectTokenRequest(token=pasted), metadata=BEARER
        )
        return
    try:
        await stub(channel).IssueRtcToken(request, metadata=metadata)
    except aio.AioRpcError as error:
        assert error.code() in {  # noqa: PT017  # answered is as good
            StatusCode.PERMISSION_DENIED,
            StatusCode.UNAUTHENTICATED,
        }


EVIL: Final = '{"event": "issued"}'


async def test_nothing_that_callers_choose_makes_a_line_of_its_own(tmp_path: Path) -> None:
    text = SERVER + AUDIT + PROJECT + BY_KEY
    options = (("grpc.primary_user_agent", f"evil {EVIL}"),)
    hostile = rtc(f"c {EVIL}"[:64])
    async with (
        live(tmp_path, text) as server,
        aio.insecure_channel(server.address, options=options) as channel,
    ):
        for request in (
            hostile,
            rtc("a\nb"),
            rtc("a\u2028b"),
            rtc("\x1b[2J"),
            rtc("a", project="\n"),
        ):
            call = stub(channel).IssueRtcToken(request, metadata=BEARER)
            try:
                await call
            except aio.AioRpcError as error:
                assert "internal" not in (error.details() or "")  # noqa: PT017
        metadata = (*BEARER, ("x-request-id", f'r"}}{EVIL}'))
        await stub(channel).IssueRtcToken(rtc("lesson-1"), metadata=metadata)
        await until(lambda: server.events("issued"))
        calls = [line for line in server.log if line["event"] in {"issued", "refused"}]
        assert len(calls) == 6
        assert "evil {" not in server.output
        assert all(line.isascii() for line in server.output.splitlines())


async def test_a_flood_of_strangers_cannot_fill_the_disk(tmp_path: Path) -> None:
    text = SERVER + AUDIT + PROJECT + BY_KEY
    async with live(tmp_path, text) as server, aio.insecure_channel(server.address) as channel:
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def knock() -> None:
            for _ in range(200):
                await refused(stub(channel).IssueRtcToken(VALID))

        await asyncio.gather(*[knock() for _ in range(5)])
        seconds = int(loop.time() - began) + 2
        # Those who are known are on record all the same.
        await stub(channel).IssueRtcToken(VALID, metadata=BEARER)
        await until(lambda: server.records[-1]["event"] == "issued")
        strangers = [row for row in server.records if row["event"] == "refused"]
        assert 10 <= len(strangers) <= 10 * seconds
        logged = [row for row in server.events("refused") if "caller" not in row]
        assert 10 <= len(logged) <= 10 * seconds
        metric = 'token_authority_refusals_total{caller="",reason="CREDENTIAL_MISSING"}'
        assert await server.metric(metric) == 1000


@pytest.mark.parametrize("issues_nothing", ["refused", "validated"])
async def test_a_caller_in_a_loop_cannot_fill_the_log(tmp_path: Path, issues_nothing: str) -> None:
    text = SERVER + AUDIT + PROJECT + LESSONS
    request = rtc("office") if issues_nothing == "refused" else rtc(validate_only=True)
    async with live(tmp_path, text) as server, aio.insecure_channel(server.address) as channel:
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def repeat() -> None:
            for _ in range(100):
                with contextlib.suppress(aio.AioRpcError):
                    await stub(channel).IssueRtcToken(request, metadata=BEARER)

        await asyncio.gather(*[repeat() for _ in range(5)])
        seconds = int(loop.time() - began) + 2
        # Tokens have their lines all the same.
        for _ in range(30):
            await stub(channel).IssueRtcToken(VALID, metadata=BEARER)
        await until(lambda: len(server.events("issued")) == 30)
        await asyncio.sleep(1 - loop.time() % 1)
        await refused(stub(channel).IssueRtcToken(rtc("last"), metadata=BEARER))
        is_refusal = issues_nothing == "refused"

        def logged() -> int:
            lines = [row for row in server.events(issues_nothing) if row["caller"] == "tester"]
            return len(lines)

        def counted() -> int:
            suppressed: list[int] = [row["count"] for row in server.events("calls not logged")]
            return logged() + sum(suppressed)

        await until(lambda: counted() == 500 + is_refusal)
        assert 20 <= logged() <= 20 * seconds + 1
        assert {row["caller"] for row in server.events("calls not logged")} == {"tester"}
        # Records and metrics leave nothing out.
        if is_refusal:
            assert len([row for row in server.records if row["event"] == "refused"]) == 501
        code = "PERMISSION_DENIED" if is_refusal else "OK"
        name = "grpc_server_call_duration_seconds_count"
        method = "token_authority.v1.TokenService/IssueRtcToken"
        labels = f'grpc_method="{method}",grpc_status="{code}"'
        expected = 501 if is_refusal else 530
        assert await server.metric(f"{name}{{{labels}}}") == expected


async def test_the_file_is_rotated_under_load_without_a_lost_record(tmp_path: Path) -> None:
    text = SERVER + AUDIT + PROJECT + BY_PLACE
    ids: list[str] = []
    async with live(tmp_path, text) as server, aio.insecure_channel(server.address) as channel:

        async def load() -> None:
            for _ in range(150):
                answer = await stub(channel).IssueRtcToken(VALID)
                ids.append(answer.issued_token.token_id)

        loads = [asyncio.create_task(load()) for _ in range(4)]
        for number in (1, 2):
            await until(lambda number=number: len(ids) > 100 * number)  # type: ignore[misc]
            (tmp_path / "audit.jsonl").rename(tmp_path / f"audit.jsonl.{number}")
            server.hang_up()
            await until((tmp_path / "audit.jsonl").exists)
        await asyncio.gather(*loads)
    files = [tmp_path / name for name in ("audit.jsonl.1", "audit.jsonl.2", "audit.jsonl")]
    recorded = [
        row["token_id"]
        for file in files
        for row in map(json.loads, file.read_text().splitlines())
        if row["event"] == "issued"
    ]
    assert sorted(recorded) == sorted(ids)
    assert all(len(file.read_text().splitlines()) > 1 for file in files)
    assert (await run("audit", "verify", *map(str, files))).code == 0


FULL: Final = TESTS / "rpc" / "full_disk.py"


@pytest.mark.parametrize("disk", DISKS)
@pytest.mark.parametrize("fsync", ["always", "never"])
def test_no_token_leaves_without_its_record_on_a_full_disk(
    tmp_path: Path, fsync: str, disk: str
) -> None:
    (tmp_path / "disk").mkdir()
    ran = run_on(disk, tmp_path / "disk", FULL, fsync)
    assert ran.stdout == "full\nrecovered\n" + ("idle\n" if disk == "mounted" else ""), ran.stderr
    assert ran.returncode == 0
