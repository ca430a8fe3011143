import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2

from support.clients import answering
from support.commands import Ran, run
from support.serving import serving
from support.tcp import tcp_server
from support.tls import pem_files
from token_authority.v1 import authority_pb2 as pb
from token_authority.v1.issued_token_pb2 import Decision
from token_authority.v1.rtc_pb2 import IssueRtcTokenRequest, IssueRtcTokenResponse

SERVING = health_pb2.HealthCheckResponse.SERVING
STEPS = ["resolve", "connect", "tls", "health", "caller", "clock", "token"]


def answers(skew_seconds: float = 0, refuse: str = "") -> Any:
    """Answers each method of a server that is well, or not quite."""

    async def call(data: bytes, context: Any) -> bytes:
        if refuse:
            await context.abort(grpc.StatusCode[refuse], "no")
        if not data:
            return pb.GetAuthorityInfoResponse(
                caller="lessons",
                identity="local",
                grants=[pb.Grant(name="teach", tokens=["rtc"], channels=["lesson-*"])],
                server_time={"nanos": 0, "seconds": int(time.time() + skew_seconds)},  # type: ignore[arg-type]
            ).SerializeToString()
        request = IssueRtcTokenRequest.FromString(data)
        assert (request.channel_name, request.validate_only) == ("lesson-doctor", True)
        decision = Decision(caller="lessons", grant="teach", key_id="cert-2")
        return IssueRtcTokenResponse(decision=decision).SerializeToString()

    return call


async def doctor(*options: str) -> tuple[Ran, dict[str, dict[str, Any]]]:
    ran = await run("doctor", *options, "--json")
    assert ran.err == ""
    steps = json.loads(ran.out)["steps"]
    assert [step["name"] for step in steps] == STEPS[: len(steps)]
    return ran, {step["name"]: step for step in steps}


async def test_a_server_that_is_well() -> None:
    async with serving("--dev", "--listen", "127.0.0.1:0") as server:
        ran = await run("doctor", "--target", server.address)
    assert ran.code == 0, ran.out
    lines = ran.out.splitlines()
    assert [line.split()[1] for line in lines] == STEPS
    assert lines[1].endswith(f"  {server.address}")
    assert lines[3].startswith("ok       health")


async def test_every_step_over_tls(tmp_path: Path) -> None:
    ca = trustme.CA()
    certificate = ca.issue_cert("localhost")
    pem_files(tmp_path, ca)
    credentials = grpc.ssl_server_credentials(
        [(certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())]
    )
    async with answering(answers(), credentials) as target:
        ran, steps = await doctor("--target", target, "--ca", f"{tmp_path}/ca.pem")
        assert ran.code == 0
        assert steps["tls"]["detail"].startswith("TLSv1.3, localhost until ")
        assert steps["health"]["status"] == "skipped"
        assert steps["caller"]["detail"] == "lessons, by local; grants: teach"
        assert steps["clock"]["status"] == "ok"
        assert steps["token"]["detail"] == (
            "IssueRtcToken is allowed by grant teach, would be signed by cert-2"
        )
        assert all(step["seconds"] >= 0 for step in steps.values())
        ran, steps = await doctor("--target", target)
        assert (ran.code, list(steps)[-1]) == (7, "tls")
        assert "requires TLS" in steps["tls"]["detail"]
        assert "--ca" in steps["tls"]["advice"]


@pytest.mark.parametrize(
    ("options", "code", "step", "detail"),
    [
        (["--target", "ta.invalid:1"], 7, "resolve", "the name ta.invalid has no address"),
        (["--target", "127.0.0.1:1"], 7, "connect", "nothing listens at 127.0.0.1:1"),
        (["--target", "unix:/nowhere/ta.sock"], 7, "connect", "cannot be opened"),
    ],
)
async def test_the_first_step_that_fails_is_the_last(
    options: list[str], code: int, step: str, detail: str
) -> None:
    ran, steps = await doctor(*options)
    assert (ran.code, list(steps)[-1]) == (code, step)
    assert steps[step]["status"] == "failed"
    assert detail in steps[step]["detail"]
    assert steps[step]["advice"]
    ran = await run("doctor", *options)
    assert ran.code == code
    assert steps[step]["advice"] in ran.out


@pytest.mark.parametrize(
    ("refusal", "code"), [("UNAUTHENTICATED", 3), ("PERMISSION_DENIED", 4), ("INTERNAL", 1)]
)
async def test_a_refused_caller_is_named_as_such(refusal: str, code: int) -> None:
    async with answering(answers(refuse=refusal)) as target:
        ran, steps = await doctor("--target", target)
    assert (ran.code, list(steps)[-1]) == (code, "caller")


@pytest.mark.parametrize(("skew", "word"), [(60, "ahead"), (-60, "behind")])
async def test_clocks_that_differ(skew: float, word: str) -> None:
    async with answering(answers(skew_seconds=skew)) as target:
        ran, steps = await doctor("--target", target)
    assert (ran.code, list(steps)[-1]) == (1, "clock")
    assert word in steps["clock"]["detail"]
    assert "NTP" in steps["clock"]["advice"]


@asynccontextmanager
async def healthy(status: Any) -> AsyncGenerator[str]:
    """A server whose health says so, and that has nothing else."""
    server = grpc.aio.server()
    answer = health_pb2.HealthCheckResponse(status=status).SerializeToString()

    async def check(_: bytes, __: Any) -> bytes:
        return answer

    handler: Any = grpc.unary_unary_rpc_method_handler(check)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


async def test_a_server_that_does_not_serve_yet() -> None:
    async with healthy(health_pb2.HealthCheckResponse.NOT_SERVING) as target:
        ran, steps = await doctor("--target", target)
    assert (ran.code, list(steps)[-1]) == (7, "health")
    assert "is not serving" in steps["health"]["detail"]


async def test_a_server_that_is_something_else() -> None:
    async with healthy(SERVING) as target:
        ran, steps = await doctor("--target", target)
    assert (ran.code, list(steps)[-1]) == (1, "token")
    assert "is a token authority and not older" in steps["token"]["advice"]


@pytest.mark.parametrize("answer", [b"<!DOCTYPE HTML>\n<html>", b""], ids=["a page", "nothing"])
async def test_a_port_where_something_else_than_grpc_answers(answer: bytes) -> None:
    async def turn_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)

    async with tcp_server(turn_away) as address:
        ran, steps = await doctor("--target", address)
    assert (ran.code, list(steps)[-1]) == (7, "health")
    assert steps["health"]["detail"] == f"{address} answers, but not with gRPC"
    assert steps["health"]["advice"] == "correct the port: it may be that of admin_listen"


async def test_options_that_cannot_be_used_are_code_2() -> None:
    for options in (["--target", "nowhere"], ["--token-file", "/nowhere/key"]):
        ran = await run("doctor", *options)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.count("\n") == 1
