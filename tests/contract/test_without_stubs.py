"""The commands of client/WITHOUT_STUBS.md, run against real servers.

buf and Envoy come with the environment for code generation (`make test` makes it). The commands
with grpcurl need Go to build it. The command with curl also runs with a stand-in for curl.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from contract.secured import API_KEY, KEYS, Secured, secured
from support.decoding import decode
from support.installing import ROOT
from support.keys import CERTIFICATE
from support.ports import free_port
from support.serving import running

TOOLS: Final = ROOT / ".venv-proto/bin"
ENVOY_CONFIG: Final = (ROOT / "client/envoy-json.yaml").read_text()
TEXT: Final = (ROOT / "client/WITHOUT_STUBS.md").read_text()
BLOCKS: Final = re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
CALLS: Final = [block for block in BLOCKS if "IssueRtcToken" in block and ":8080" not in block]
PLAINTEXT: Final = [block for block in CALLS if "127.0.0.1:50051" in block]
WITH_TLS: Final = [block for block in CALLS if "localhost:50051" in block]
(DESCRIBE,) = [block for block in BLOCKS if " describe " in block]
(JSON_CALL,) = [block for block in BLOCKS if ":8080" in block]
INVALID_ARGUMENT, UNAUTHENTICATED = 3, 16
METHOD: Final = "token_authority.v1.TokenService/IssueRtcToken"


@dataclass(frozen=True)
class Ran:
    """Result of a block."""

    code: int
    out: str
    err: str

    @property
    def issued(self) -> dict[str, Any]:
        """The token that it requested, checked."""
        assert self.code == 0, self.err
        issued: dict[str, Any] = json.loads(self.out)["issuedToken"]
        decoded = decode(issued["token"])
        assert decoded.verifies(CERTIFICATE)
        (service,) = decoded.fields["services"]
        assert (service["channel_name"], service["uid"]) == ("lesson-1", "7")
        return issued


async def run(block: str, **environment: str) -> Ran:
    """Runs a block unchanged, in the top folder of the repository."""
    path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-eu",
        "-c",
        block,
        cwd=ROOT,
        env={**os.environ, "PATH": path, "TOKEN_AUTHORITY_API_KEY": API_KEY, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


def exit_code(block: str, grpc_code: int) -> int:
    """Returns the exit code that a block's tool has for a gRPC code."""
    return 64 + grpc_code if block.startswith("grpcurl") else 8 * grpc_code


def refused_by_rule(ran: Ran) -> bool:
    """Whether the answer has the violation of an invalid uid, as text or in base64."""
    return "google.rpc.BadRequest" in ran.out + ran.err and "(to admit anyone" in ran.out + ran.err


def marked(blocks: list[str]) -> list[Any]:
    """Returns blocks as parameters; building grpcurl takes Go."""
    go = pytest.mark.needs("go")
    return [
        pytest.param(block, marks=go if block.startswith("grpcurl") else ()) for block in blocks
    ]


@pytest.fixture(scope="session", autouse=True)
def tools() -> None:
    """Checks that buf and Envoy are installed."""
    assert (TOOLS / "buf").exists(), "run 'make test', or 'make .venv-proto/proto.stamp' before"


@pytest.fixture
def tool(block: str) -> None:
    """Builds grpcurl for a block that runs it; with an empty cache that compiles grpc-go."""
    if not block.startswith("grpcurl"):
        return
    script = ROOT / "tests/contract/grpcurl.sh"
    done = subprocess.run([script, TOOLS], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        pytest.skip(f"grpcurl cannot be built: {done.stderr}")


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncGenerator[Secured]:
    async with secured(tmp_path) as server:
        yield server


def test_every_way_is_documented() -> None:
    assert len(PLAINTEXT) == len(WITH_TLS) == 4
    for blocks in (PLAINTEXT, WITH_TLS):
        assert sum("protos/token_authority.binpb" in block for block in blocks) * 2 == len(blocks)


@pytest.mark.timeout(700)
@pytest.mark.usefixtures("tool")
@pytest.mark.parametrize("block", marked(PLAINTEXT))
async def test_a_call_in_plaintext(block: str) -> None:
    # Through the image it must work where there is no reflection.
    with_image = "protos/token_authority.binpb" in block
    async with running(KEYS, with_reflection=not with_image) as server:
        block = block.replace("127.0.0.1:50051", server.address)
        assert (await run(block)).issued["keyId"] == "cert-2"
        refused = await run(block.replace('"uid": 7', '"uid": 0'))
        misspelt = await run(block.replace('"uid"', '"uId"'))
    assert refused.code == exit_code(block, INVALID_ARGUMENT)
    assert refused_by_rule(refused)
    assert misspelt.code not in (0, exit_code(block, INVALID_ARGUMENT))
    assert "uId" in misspelt.err
    if block.startswith("grpcurl"):
        assert "Whom the token is for. Required." in (await run(DESCRIBE)).out


@pytest.mark.timeout(700)
@pytest.mark.usefixtures("tool")
@pytest.mark.parametrize("block", marked(WITH_TLS))
async def test_a_call_with_tls_and_an_api_key(block: str, guarded: Secured) -> None:
    block = block.replace("localhost:50051", guarded.target)
    trusting = {"TOKEN_AUTHORITY_CA": str(guarded.ca)}
    assert (await run(block, **trusting)).issued["keyId"] == "cert-2"
    refused = await run(block.replace('"uid": 7', '"uid": 0'), **trusting)
    assert refused.code == exit_code(block, INVALID_ARGUMENT)
    assert refused_by_rule(refused)
    other_key = await run(block, **trusting, TOKEN_AUTHORITY_API_KEY="another")
    assert other_key.code == exit_code(block, UNAUTHENTICATED)
    wrong_ca = await run(block, TOKEN_AUTHORITY_CA=str(guarded.wrong_ca))
    assert wrong_ca.code != 0
    # Looking for the service by reflection, buf does not say what went wrong.
    assert "certificate" in wrong_ca.err or "failed to find service" in wrong_ca.err
    assert "token" not in wrong_ca.out


async def test_the_image_reads_the_details_that_buf_prints_in_base64() -> None:
    (shown,) = re.findall(r"^```json\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    (block,) = [block for block in BLOCKS if "buf convert" in block]
    async with running(KEYS) as server:
        call = next(block for block in PLAINTEXT if "--schema" in block)
        call = call.replace("127.0.0.1:50051", server.address).replace('"uid": 7', '"uid": 0')
        refused = json.loads((await run(call)).err)
    values = {detail["type"]: detail["value"] for detail in refused["details"]}
    assert block.split()[1].rstrip("=") == values["google.rpc.BadRequest"].rstrip("=")
    assert json.loads((await run(block)).out) == json.loads(shown)


@asynccontextmanager
async def envoy(upstream: Secured, ca: Path) -> AsyncGenerator[int]:
    """Runs Envoy with the documented configuration; yields the port that it listens on."""
    port = free_port()
    config = ENVOY_CONFIG
    for old, new in (
        ("port_value: 8080", f"port_value: {port}"),
        ("port_value: 50051", f"port_value: {upstream.target.rpartition(':')[2]}"),
        ("filename: ca.pem", f"filename: {ca}"),
    ):
        assert config.count(old) == 1
        config = config.replace(old, new)
    path = ca.with_name("envoy.yaml")
    path.write_text(config)
    process = await asyncio.create_subprocess_exec(
        TOOLS / "envoy",
        *("-c", path, "--log-level", "error", "--concurrency", "1", "--disable-hot-restart"),
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            except ConnectionRefusedError:
                assert process.returncode is None, "Envoy ended"
                await asyncio.sleep(0.1)
        yield port
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 30)


@pytest.fixture(params=[pytest.param("curl", marks=pytest.mark.needs("curl")), "stand-in"])
def curl(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What to put before a block: it puts a stand-in into PATH, or nothing."""
    if request.param == "curl":
        return ""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "curl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/tests/contract/curl.py "$@"\n')
    program.chmod(0o755)
    return f"PATH={folder}:$PATH\n"


async def test_envoy_translates_json(guarded: Secured, curl: str) -> None:
    async with envoy(guarded, guarded.ca) as port:
        call = curl + JSON_CALL.replace("8080", str(port))
        in_url = f"{curl}curl --silent --fail http://127.0.0.1:{port}/{METHOD}?uid=7"
        assert (await run(call)).issued["keyId"] == "cert-2"
        refused = await run(call.replace('"uid": 7', '"uid": 0'))
        dropped = await run(call.replace('"role"', '"ttI": "9s", "role"'))
        no_key = await run(call, TOKEN_AUTHORITY_API_KEY="another")
        in_a_url = await run(in_url)
    assert refused.code == 22
    info, request = json.loads(refused.out)["details"]
    assert info["reason"] == "INVALID_REQUEST"
    assert [row["field"] for row in request["fieldViolations"]] == ["uid"]
    assert dropped.issued
    assert (no_key.code, json.loads(no_key.out)["code"]) == (22, UNAUTHENTICATED)
    assert in_a_url.code == 22


async def test_envoy_trusts_no_other_authority(guarded: Secured, curl: str) -> None:
    async with envoy(guarded, guarded.wrong_ca) as port:
        answer = await run(curl + JSON_CALL.replace("8080", str(port)))
    assert answer.code == 22
    assert "issuedToken" not in answer.out
