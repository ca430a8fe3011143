"""gRPC's own log: where only one side uses TLS, nothing but our error is printed."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from support.clients import answering
from support.serving import command

PROGRAM = """
import asyncio, os, sys
from token_authority_client import (
    AsyncTokenAuthorityClient, TokenAuthorityClient, TokenAuthorityError
)
assert "GRPC_VERBOSITY" not in os.environ

async def call():
    async with AsyncTokenAuthorityClient(timeout=0.5) as client:
        await client.issue_chat_token(app=True)

def call_blocking():
    with TokenAuthorityClient(timeout=0.5) as client:
        client.issue_chat_token(app=True)

for attempt in (call_blocking, lambda: asyncio.run(call())):
    try:
        attempt()
    except TokenAuthorityError as error:
        print(error.reason)
"""
ISSUE = (*command(), "issue", "rtc", "--channel", "c", "--uid", "7", "--role", "publisher")


async def never(_: bytes, __: Any) -> bytes:
    raise AssertionError


async def ran(*arguments: str, **environment: str) -> tuple[str, str]:
    """Runs a program without the environment of the tests; returns its output and its errors."""
    clean = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**clean, **environment},
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return out.decode(), err.decode()


@pytest.mark.parametrize("by_server", [False, True], ids=["client", "server"])
async def test_tls_on_one_side_prints_no_lines_of_grpc(tmp_path: Path, by_server: bool) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    leaf = ca.issue_cert("localhost")
    pair = (leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes())
    credentials = grpc.ssl_server_credentials([pair]) if by_server else None
    reason = "TLS_REQUIRED" if by_server else "TLS_NOT_SPOKEN"
    async with answering(never, credentials) as target:
        environment = {"TOKEN_AUTHORITY_TARGET": target}
        if not by_server:
            environment["TOKEN_AUTHORITY_CA"] = str(tmp_path / "ca.pem")
        assert await ran(sys.executable, "-c", PROGRAM, **environment) == (f"{reason}\n" * 2, "")
        out, err = await ran(*ISSUE, "--timeout", "500ms", **environment)
    assert out == ""
    assert err.startswith("token-authority: ")
    assert err.count("\n") == 1
