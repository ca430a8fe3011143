"""The servers that compare.py compares, and the requests that they are loaded with."""

import json
import re
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trustme

from token_authority.v1.batch_pb2 import BatchIssueTokensRequest
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest

HERE: Final = Path(__file__).parent
APP_ID: Final = "970ca35de60c44645bbae8a215061b33"
CERTIFICATE: Final = "5cfd2fd1755d40ecb72977518be15d3b"
CHANNEL: Final = "7d72365eb983485397e3e3f9d460bdda"
UID: Final = 2882341273
SERVICE: Final = "/token_authority.v1.TokenService/"
ISSUE: Final = f"{SERVICE}IssueRtcToken"
BATCHES: Final = (1, 10, 100, 500)


def rtc(uid: int = UID) -> IssueRtcTokenRequest:
    """The request of the comparison."""
    return IssueRtcTokenRequest(channel_name=CHANNEL, uid=uid, role=RTC_ROLE_PUBLISHER)


def framed(message: bytes) -> bytes:
    """A message as a gRPC body."""
    return b"\0" + struct.pack(">I", len(message)) + message


def batch(size: int) -> bytes:
    """A batch of RTC tokens, each for another user."""
    request = BatchIssueTokensRequest()
    for number in range(size):
        request.requests.add().rtc.CopyFrom(rtc(UID + number))
    return framed(request.SerializeToString())


@dataclass
class Subject:
    """A server, and the request it is loaded with."""

    name: str
    command: list[str]
    path: str
    body: bytes
    tokens_per_call: int = 1
    is_grpc: bool = True
    config: Path | None = None
    """The configuration of our server; None: another server."""
    instances: int = 1
    """How many of our server share the port."""
    api_key: str = ""
    ca: bytes = b""
    """What has signed the server's certificate; empty: plaintext."""
    is_echo: bool = False
    rounds: list[dict[str, float]] = field(default_factory=list)


def subjects(folder: Path) -> list[Subject]:
    """Returns every server of the comparison that is built."""
    plain = write_config(folder / "plain", deployed=False)
    full = write_config(folder / "full", deployed=True)
    return [
        *ours("plain", plain),
        *ours("fully deployed", full),
        *others(),
    ]


def ours(title: str, config: Path) -> list[Subject]:
    """Returns our server in one configuration: alone, as two instances, and with batches."""
    command = [sys.executable, "-m", "token_authority_cli", "serve", "--config"]
    ca = config.with_name("ca.pem")
    shared = {
        "config": config,
        "api_key": config.with_name("api-key").read_text(),
        "ca": ca.read_bytes() if ca.exists() else b"",
    }
    single = framed(rtc().SerializeToString())
    name = f"token authority, {title}"
    batches = f"{SERVICE}BatchIssueTokens"
    return [
        Subject(name, command, ISSUE, single, **shared),  # type: ignore[arg-type]  # by name
        Subject(f"{name}, two instances", command, ISSUE, single, instances=2, **shared),  # type: ignore[arg-type]  # by name
        *[
            Subject(f"{name}, batches of {size}", command, batches, batch(size), size, **shared)  # type: ignore[arg-type]  # by name
            for size in BATCHES
        ],
    ]


def others() -> list[Subject]:
    """Returns the peers that are built, and the echo."""
    single = framed(rtc().SerializeToString())
    rest = json.dumps({"channel": CHANNEL, "uid": UID, "expire": 3600}).encode()
    build, python, node = HERE / "peers/build", HERE / "peers/python", HERE / "peers/node"
    js = shutil.which("node")
    found = []
    if (build / "go-grpc").exists():
        found += [
            Subject("Go, gRPC, go-tokenbuilder", [str(build / "go-grpc")], ISSUE, single),
            Subject("Go, Gin, go-tokenbuilder", [str(build / "gin")], "/rtc", rest, is_grpc=False),
        ]
    if js and (node / "node_modules").exists():
        express = [js, str(node / "express.js")]
        found += [
            Subject("Node, gRPC, agora-token", [js, str(node / "grpc.js")], ISSUE, single),
            Subject("Node, Express, agora-token", express, "/rtc", rest, is_grpc=False),
        ]
    fastapi = [sys.executable, str(python / "fastapi_server.py")]
    echo = [sys.executable, str(python / "echo_server.py")]
    return [
        *found,
        Subject("Python, FastAPI, restated builder", fastapi, "/rtc", rest, is_grpc=False),
        Subject("Python, bare grpc.aio echo", echo, ISSUE, single, is_echo=True),
    ]


def write_config(folder: Path, *, deployed: bool) -> Path:
    """Writes a configuration: plaintext and no limits, or all that a production server has."""
    folder.mkdir(parents=True)
    (folder / "certificate").write_text(CERTIFICATE)
    identity, server, more = "local", "", ""
    (folder / "api-key").write_text("")
    if deployed:
        run = [sys.executable, "-m", "token_authority_cli", "api-key", "new"]
        made = subprocess.run(run, capture_output=True, text=True, check=True)
        (folder / "api-key").write_text(made.stdout.strip())
        identity = re.findall(r"api-key:sha256:\w+", made.stderr)[0]
        ca = trustme.CA()
        ca.cert_pem.write_to_path(folder / "ca.pem")
        certificate = ca.issue_cert("localhost", "127.0.0.1")
        certificate.cert_chain_pems[0].write_to_path(folder / "tls.pem")
        certificate.private_key_pem.write_to_path(folder / "tls.key")
        server = '[server.tls]\ncertificate = "tls.pem"\nprivate_key = "tls.key"\n'
        server += '[audit]\nfile = "audit.jsonl"\nrequired = true\n'
        more = 'rate_limit = "1000000/second"\nmax_in_flight = 500\n'
    text = f"""
[server]
listen = ["127.0.0.1:PORT"]
admin_listen = "127.0.0.1:ADMIN"
{server}
[log]
format = "json"
[projects.classroom.agora]
app_id = "{APP_ID}"
[[projects.classroom.agora.certificates]]
id = "cert-1"
secret = {{ file = "certificate" }}
state = "active"
[[callers]]
name = "lessons"
identities = ["{identity}"]
{more}
[[callers.grants]]
name = "lessons"
project = "classroom"
tokens = ["rtc"]
roles = ["publisher"]
channels = ["*"]
users = ["uid:*"]
max_ttl = "2h"
"""
    path = folder / "token-authority.toml"
    path.write_text(text)
    return path
