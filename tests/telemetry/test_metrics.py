"""Metrics: children, values read at a scrape, and labels that clients cannot choose."""

import re
from typing import Any, Final

import pytest

from support import granting
from support.serving import PATH, Running, refused, running
from token_authority.v1 import batch_pb2
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.whiteboard_pb2 import (
    WHITEBOARD_ROLE_WRITER,
    IssueWhiteboardTokenRequest,
    WhiteboardRoomScope,
)
from token_authority_server.telemetry.metrics import Metrics

VALID: Final = IssueRtcTokenRequest(
    project="classroom", channel_name="lesson-1", uid=7, role=RTC_ROLE_PUBLISHER
)
METHOD: Final = "token_authority.v1.TokenService/IssueRtcToken"
EVIL: Final = 'x"}\nevil{a="b'
_NAME: Final = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_SAMPLE: Final = re.compile(
    rf'({_NAME})(\{{({_NAME}="(\\.|[^"\\\n])*",?)*\}})? [-+0-9.eInfNa]+', re.ASCII
)


def value(metrics: Metrics, sample: str) -> float | None:
    """Returns a sample's value by its name and labels; None if there is none."""
    for line in metrics.exposition().decode().splitlines():
        if line.startswith(f"{sample} "):
            return float(line.rpartition(" ")[2])
    return None


def series(metrics: Metrics) -> set[str]:
    """Returns names and labels of all samples."""
    lines = metrics.exposition().decode().splitlines()
    return {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}


async def test_calls_have_the_names_of_grpc_and_of_client_spans(server: Running) -> None:
    await server.stub.IssueRtcToken(VALID)
    await refused(server.stub.IssueRtcToken(IssueRtcTokenRequest()))
    metrics, method = server.metrics, f'grpc_method="{METHOD}"'
    assert value(metrics, f"grpc_server_call_started_total{{{method}}}") == 2
    name = "grpc_server_call_duration_seconds_count"
    assert value(metrics, f'{name}{{{method},grpc_status="OK"}}') == 1
    assert value(metrics, f'{name}{{{method},grpc_status="INVALID_ARGUMENT"}}') == 1


async def test_tokens_are_counted_by_type_and_project_and_batches_by_size(server: Running) -> None:
    whiteboard = IssueWhiteboardTokenRequest(
        project="classroom",
        room=WhiteboardRoomScope(room_uuid="4a50cb3b6a0c4b5e9a1d1c1f0e6d7c8b"),
        role=WHITEBOARD_ROLE_WRITER,
    )
    entries = [batch_pb2.IssueTokenRequest(rtc=VALID)] * 3
    entries.append(batch_pb2.IssueTokenRequest(whiteboard=whiteboard))
    await server.stub.BatchIssueTokens(batch_pb2.BatchIssueTokensRequest(requests=entries))
    await server.stub.IssueRtcToken(VALID)
    labels = 'caller="tester",project="classroom",token_type='
    name = "token_authority_tokens_issued_total"
    assert value(server.metrics, f'{name}{{{labels}"rtc"}}') == 4
    assert value(server.metrics, f'{name}{{{labels}"whiteboard.room"}}') == 1
    size = "token_authority_batch_size"
    assert value(server.metrics, f"{size}_sum") == 4
    assert value(server.metrics, f'{size}_bucket{{le="2.0"}}') == 0
    assert value(server.metrics, f'{size}_bucket{{le="5.0"}}') == 1


async def test_nothing_that_a_client_sends_becomes_a_label() -> None:
    row = granting.caller(granting.grant(), identities=[granting.API_KEY_IDENTITY])
    known = (("authorization", f"Bearer {granting.API_KEY}"),)
    async with running(who=granting.callers(row)) as server:
        before = series(server.metrics)
        for number in range(40):
            odd = f"odd-{number}"
            hostile = IssueRtcTokenRequest(
                project=odd, channel_name=odd, user_account=odd, role=RTC_ROLE_PUBLISHER
            )
            metadata = (
                ("x-request-id", odd),
                ("traceparent", f"00-{number + 1:032x}-{number + 1:016x}-01"),
                ("authorization", f"Bearer {odd}"),
            )
            await refused(server.stub.IssueRtcToken(hostile, metadata=metadata))
            await refused(server.stub.IssueRtcToken(hostile, metadata=(*known, *metadata[:2])))
            for path in (f"/{odd}/Mint", f"{PATH}{odd}", "/token_authority.v1.TokenService/"):
                call: Any = server.channel.unary_unary(path)
                await refused(call(b"", metadata=known))
            await refused(server.stub.IssueRtcToken(VALID, metadata=(("authorization", EVIL[0]),)))
        text = server.metrics.exposition().decode()
        grown = series(server.metrics) - before
    assert "odd-" not in text
    methods = set(re.findall(r'grpc_method="([^"]*)"', text))
    assert methods - {METHOD} <= {"other"} | {
        name for name in methods if name.startswith("token_authority.v1.")
    }
    # One method and "other", each with a counter and a histogram per status, and the refusals.
    assert len(grown) < 80
    for line in text.splitlines():
        assert line.startswith("# ") or _SAMPLE.fullmatch(line), line


def test_series_of_removed_callers_and_projects_end() -> None:
    metrics = Metrics()
    for caller, project in (("a", "p"), ("b", "p"), ("a", "q")):
        metrics.issued(caller, project, "rtc")
        metrics.refused(caller, "GRANT_MISSING")
    metrics.refused("", "CREDENTIAL_MISSING")
    metrics.keep({"a"}, {"p"})
    kept = {name for name in series(metrics) if "caller=" in name}
    assert kept == {
        'token_authority_tokens_issued_total{caller="a",project="p",token_type="rtc"}',
        'token_authority_refusals_total{caller="a",reason="GRANT_MISSING"}',
        'token_authority_refusals_total{caller="",reason="CREDENTIAL_MISSING"}',
    }
    metrics.issued("b", "p", "rtc")
    again = 'token_authority_tokens_issued_total{caller="b",project="p",token_type="rtc"}'
    assert value(metrics, again) == 1


@pytest.mark.parametrize("result", [None, 3.5])
def test_a_value_that_is_unknown_has_no_sample(result: float | None) -> None:
    metrics = Metrics()
    assert value(metrics, "token_authority_redis_up") is None
    metrics.redis_up.watch(lambda: result)
    assert value(metrics, "token_authority_redis_up") == result


def test_reloads_leave_the_time_of_the_last_success() -> None:
    metrics = Metrics()
    name = "token_authority_configuration_last_reload"
    loaded = value(metrics, f"{name}_success_timestamp_seconds")
    assert (value(metrics, f"{name}_successful"), bool(loaded)) == (1, True)
    metrics.reload_failed()
    assert value(metrics, f"{name}_successful") == 0
    assert value(metrics, f"{name}_success_timestamp_seconds") == loaded
    metrics.reloaded()
    assert value(metrics, f"{name}_successful") == 1
    reloads = "token_authority_configuration_reloads_total"
    assert value(metrics, f'{reloads}{{outcome="ok"}}') == 1
    assert value(metrics, f'{reloads}{{outcome="failed"}}') == 1
