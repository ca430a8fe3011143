"""What one RTC token costs here, and in servers around other libraries: `make bench-peers`.

    python tests/bench/compare.py [--rounds N] [--json FILE] [--only NAME …]

Every server runs on this machine, one after the other, in interleaved rounds. h2load, a native
client, loads each with the same request:
- CPU per token: user and system time of the server's processes, as the kernel accounts it, divided
  by the tokens that the server answered; the client's time is not in it.
- tokens/s: at saturation, 8 connections with 8 requests in flight each.
- p50 and p99: at half of that rate.
- RSS after the load, and the time from start to the first token.
The number of tokens that our server counted has to equal the number that was sent. Printed are
medians of the rounds with the smallest and largest; --json keeps every round.

What it does not show: a network, and a client that is not native.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
import trustme

from token_authority.v1.batch_pb2 import BatchIssueTokensRequest
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest

HERE: Final = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

from support.ports import free_port  # noqa: E402  # the path has to be set first

APP_ID: Final = "970ca35de60c44645bbae8a215061b33"
CERTIFICATE: Final = "5cfd2fd1755d40ecb72977518be15d3b"
CHANNEL: Final = "7d72365eb983485397e3e3f9d460bdda"
UID: Final = 2882341273
SERVICE: Final = "/token_authority.v1.TokenService/"
CONNECTIONS, STREAMS, SECONDS, HALF_SECONDS = 8, 8, 5, 4


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
    ours: bool = False
    api_key: str = ""
    tls: bool = False
    ca: bytes = b""
    is_echo: bool = False
    rounds: list[dict[str, float]] = field(default_factory=list)


@dataclass
class Running:
    """A server process."""

    process: "subprocess.Popen[bytes]"
    url: str
    admin: str
    start_to_token_ms: float

    @property
    def pids(self) -> list[int]:
        """The process and its children."""
        found = [self.process.pid]
        for pid in found:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            found += [int(child) for child in children]
        return found

    def cpu_seconds(self) -> float:
        """User and system time of all of them (see tests/bench/cpu.py)."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self.pids)

    def rss_mib(self) -> float:
        """Resident memory of all of them."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids)
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def tokens(self) -> float:
        """What our server has counted."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=10) as page:
            text = page.read().decode()
        numbers = re.findall(
            r"^token_authority_tokens_issued_total\{[^}]*\} (\S+)$", text, re.MULTILINE
        )
        return sum(map(float, numbers))


def subjects(folder: Path) -> list[Subject]:
    """Every server of the comparison that is built."""
    single = framed(rtc().SerializeToString())
    rest = json.dumps({"channel": CHANNEL, "uid": UID, "expire": 3600}).encode()
    build, node = HERE / "peers/build", shutil.which("node") or ""
    python = HERE / "peers/python"
    config = write_config(folder / "plain", deployed=False)
    full = write_config(folder / "full", deployed=True)
    ours = [sys.executable, "-m", "token_authority_cli", "serve", "--config"]
    key = (folder / "full/api-key").read_text()
    issue = f"{SERVICE}IssueRtcToken"
    found = [
        Subject("token authority", [*ours, str(config)], issue, single, ours=True),
        Subject(
            "token authority, fully deployed",
            [*ours, str(full)],
            issue,
            single,
            ours=True,
            api_key=key,
            tls=True,
            ca=(folder / "full/ca.pem").read_bytes(),
        ),
        *[
            Subject(
                f"token authority, batches of {size}",
                [*ours, str(config)],
                f"{SERVICE}BatchIssueTokens",
                batch(size),
                size,
                ours=True,
            )
            for size in (1, 10, 100, 500)
        ],
        Subject("Go, gRPC, go-tokenbuilder", [str(build / "go-grpc")], issue, single),
        Subject("Go, Gin, go-tokenbuilder", [str(build / "gin")], "/rtc", rest, is_grpc=False),
        Subject("Node, gRPC, agora-token", [node, str(HERE / "peers/node/grpc.js")], issue, single),
        Subject(
            "Node, Express, agora-token",
            [node, str(HERE / "peers/node/express.js")],
            "/rtc",
            rest,
            is_grpc=False,
        ),
        Subject(
            "Python, FastAPI, restated builder",
            [sys.executable, str(python / "fastapi_server.py")],
            "/rtc",
            rest,
            is_grpc=False,
        ),
        Subject(
            "Python, bare grpc.aio echo",
            [sys.executable, str(python / "echo_server.py")],
            issue,
            single,
            is_echo=True,
        ),
    ]
    return [one for one in found if Path(one.command[0]).exists()]


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


@contextmanager
def running(subject: Subject, folder: Path) -> Generator[Running]:
    """Starts a server on a free port and waits for its first token."""
    port, admin = free_port(), free_port()
    command = list(subject.command)
    if subject.ours:
        source = Path(command[-1])
        text = source.read_text().replace("PORT", str(port)).replace("ADMIN", str(admin))
        command[-1] = str(source.with_name(f"{port}.toml"))
        Path(command[-1]).write_text(text)
    environment = {
        **os.environ,
        "LISTEN": f"127.0.0.1:{port}",
        "APP_ID": APP_ID,
        "APP_CERTIFICATE": CERTIFICATE,
    }
    started = time.monotonic()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    scheme = "https" if subject.tls else "http"
    server = Running(process, f"{scheme}://127.0.0.1:{port}{subject.path}", f"127.0.0.1:{admin}", 0)
    try:
        for _ in range(400):
            answer = ask(subject, server)
            if answer:
                break
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            time.sleep(0.02)
        else:
            raise AssertionError(f"{subject.name} does not answer")
        # h2load counts gRPC errors as answers: here is a token, so there will be one each time.
        tokens = answer.count(b"007eJ")
        assert subject.is_echo or tokens == subject.tokens_per_call, answer
        server.start_to_token_ms = (time.monotonic() - started) * 1000
        yield server
    finally:
        process.terminate()
        process.wait(30)


def ask(subject: Subject, server: Running) -> bytes:
    """Returns the answer of one call; nothing while the server does not listen yet."""
    address = server.url.split("/")[2]
    if not subject.is_grpc:
        request = urllib.request.Request(
            server.url, subject.body, {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                data: bytes = answer.read()
                return data
        except OSError:
            return b""
    credentials = grpc.ssl_channel_credentials(subject.ca) if subject.tls else None
    metadata = (("authorization", f"Bearer {subject.api_key}"),) if subject.api_key else ()
    with (
        grpc.secure_channel(address, credentials)
        if credentials
        else grpc.insecure_channel(address) as channel
    ):
        method: Any = channel.unary_unary(subject.path)
        try:
            data = method(subject.body[5:], timeout=10, metadata=metadata)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE, error
            return b""
        return data


def load(subject: Subject, server: Running, folder: Path, options: list[str]) -> dict[str, float]:
    """Runs h2load; returns calls done and calls per second."""
    body = folder / "body"
    body.write_bytes(subject.body)
    headers = ["content-type: application/json"]
    if subject.is_grpc:
        headers = ["content-type: application/grpc", "te: trailers"]
    if subject.api_key:
        headers.append(f"authorization: Bearer {subject.api_key}")
    command = ["h2load", "-t", "1", "-d", str(body), *options]
    if not subject.is_grpc:
        command.append("--h1")
    for header in headers:
        command += ["-H", header]
    done = subprocess.run([*command, server.url], capture_output=True, text=True, check=False)
    rate = re.search(r"finished in [\d.]+m?s, ([\d.]+) req/s", done.stdout)
    good = re.search(r"status codes: (\d+) 2xx", done.stdout)
    return {"done": float(good[1]) if good else 0, "per_second": float(rate[1]) if rate else 0}


def measure(subject: Subject, folder: Path) -> dict[str, float]:
    """One round of one server."""
    streams = ["-c", str(CONNECTIONS), "-m", str(STREAMS if subject.is_grpc else 1)]
    with running(subject, folder) as server:
        # The same number of calls every time, so that the count can be compared.
        warm = load(subject, server, folder, ["-n", "400", *streams])
        counted = server.tokens() if subject.ours else 0
        speed = load(subject, server, folder, ["-n", "400", *streams])["per_second"]
        calls = max(400, int(speed * SECONDS))
        before = server.cpu_seconds()
        full = load(subject, server, folder, ["-n", str(calls), *streams])
        cpu = server.cpu_seconds() - before
        tokens = full["done"] * subject.tokens_per_call
        if subject.ours:
            answered = server.tokens() - counted
            sent = (400 + full["done"]) * subject.tokens_per_call
            assert answered == sent, f"{subject.name}: {sent} sent, {answered} counted"
        assert warm["done"] == 400
        assert full["done"] == calls, f"{subject.name}: {full['done']} of {calls} answered"
        log = folder / "times"
        log.unlink(missing_ok=True)
        per_client = max(1, int(full["per_second"] / 2 / CONNECTIONS))
        load(
            subject,
            server,
            folder,
            [*streams, "--rps", str(per_client), "-D", str(HALF_SECONDS), f"--log-file={log}"],
        )
        times = sorted(int(line.split()[2]) for line in log.read_text().splitlines())
        return {
            "cpu_us_per_token": cpu / tokens * 1e6,
            "tokens_per_second": full["per_second"] * subject.tokens_per_call,
            "p50_ms": times[len(times) // 2] / 1000,
            "p99_ms": times[len(times) * 99 // 100] / 1000,
            "rss_mib": server.rss_mib(),
            "start_ms": server.start_to_token_ms,
        }


COLUMNS: Final = {
    "cpu_us_per_token": "CPU per token, µs",
    "tokens_per_second": "tokens/s",
    "p50_ms": "p50, ms",
    "p99_ms": "p99, ms",
    "rss_mib": "RSS, MiB",
    "start_ms": "start to first token, ms",
}


def table(found: list[Subject]) -> str:
    """Medians with the smallest and largest round, as Markdown."""
    lines = [
        "| server | " + " | ".join(COLUMNS.values()) + " |",
        "|---|" + "---|" * len(COLUMNS),
    ]
    for subject in found:
        cells = []
        for name in COLUMNS:
            values = [one[name] for one in subject.rounds]
            digits = 1 if max(values) < 20 else 0
            low, middle, high = min(values), statistics.median(values), max(values)
            cells.append(f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})")
        lines.append(f"| {subject.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Runs the rounds and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = [
            one
            for one in subjects(folder)
            if not arguments.only or any(word in one.name for word in arguments.only)
        ]
        for number in range(arguments.rounds):
            for subject in found:
                subject.rounds.append(measure(subject, folder))
                print(f"round {number + 1}: {subject.name}", file=sys.stderr, flush=True)
    print(table(found))
    if arguments.json:
        rounds: dict[str, Any] = {subject.name: subject.rounds for subject in found}
        arguments.json.write_text(json.dumps(rounds, indent=1))


if __name__ == "__main__":
    main()
