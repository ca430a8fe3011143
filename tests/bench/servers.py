"""Starts the servers of compare.py and instances.py, and loads them."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
from cpu import cpu_seconds  # type: ignore[import-not-found]  # beside this script
from subjects import (  # type: ignore[import-not-found]  # beside this script
    APP_ID,
    CERTIFICATE,
    Subject,
)

sys.path[:0] = [str(Path(__file__).parents[1])]

from support.memory import resident_mib  # noqa: E402  # the path has to be set first
from support.ports import free_port  # noqa: E402

START_SECONDS: Final = 30


@dataclass
class Running:
    """The processes of a server."""

    processes: "list[subprocess.Popen[bytes]]"
    url: str
    admins: list[str]
    """Where our server's instances have their metrics."""
    start_to_token_ms: float = 0

    @property
    def pids(self) -> list[int]:
        """The processes and their children."""
        found = [process.pid for process in self.processes]
        for pid in found:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            found += [int(child) for child in children]
        return found

    def cpu_seconds(self) -> float:
        """User and system time of all of them."""
        seconds: float = sum(map(cpu_seconds, self.pids))
        return seconds

    def rss_mib(self) -> float:
        """Resident memory of all of them."""
        return sum(map(resident_mib, self.pids))

    def tokens(self) -> float:
        """What our server has counted."""
        return sum(map(counted, self.admins))


def counted(admin: str) -> float:
    """Returns how many tokens an instance has counted."""
    with urllib.request.urlopen(f"http://{admin}/metrics", timeout=10) as page:
        text = page.read().decode()
    numbers = re.findall(
        r"^token_authority_tokens_issued_total\{[^}]*\} (\S+)$", text, re.MULTILINE
    )
    return sum(map(float, numbers))


@contextmanager
def running(subject: Subject, folder: Path) -> Generator[Running]:
    """Starts a server on a free port and waits for its first token."""
    port = free_port()
    command = list(subject.command)
    admins = [f"127.0.0.1:{free_port()}" for _ in range(subject.instances if subject.config else 0)]
    if subject.config:
        config = subject.config.with_name(f"{port}.toml")
        config.write_text(subject.config.read_text().replace("PORT", str(port)))
        command += [str(config), "--reuse-port"]
    scheme = "https" if subject.ca else "http"
    started = time.monotonic()
    with (folder / "log").open("wb") as log, ExitStack() as stack:
        server = Running([], f"{scheme}://127.0.0.1:{port}{subject.path}", admins)
        for number in range(subject.instances):
            environment = {
                **os.environ,
                "LISTEN": f"127.0.0.1:{port}",
                "APP_ID": APP_ID,
                "APP_CERTIFICATE": CERTIFICATE,
            }
            if subject.config:
                environment["TOKEN_AUTHORITY__SERVER__ADMIN_LISTEN"] = admins[number]
            if subject.ca:
                audit = str(subject.config.with_name(f"audit-{port}-{number}.jsonl"))
                environment["TOKEN_AUTHORITY__AUDIT__FILE"] = audit
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            server.processes.append(process)
        wait_for_first_token(subject, server, folder / "log")
        server.start_to_token_ms = (time.monotonic() - started) * 1000
        for admin in admins:
            wait_for_page(admin)
        yield server


def wait_for_first_token(subject: Subject, server: Running, log: Path) -> None:
    """Asks until there is an answer, and checks it."""
    deadline = time.monotonic() + START_SECONDS
    while not (answer := ask(subject, server)):
        assert all(process.poll() is None for process in server.processes), log.read_text()[-2000:]
        assert time.monotonic() < deadline, f"{subject.name} does not answer"
        time.sleep(0.02)
    # h2load counts gRPC errors as answers: here is a token, so there will be one each time.
    tokens = answer.count(b"007eJ")
    assert subject.is_echo or tokens == subject.tokens_per_call, answer


def wait_for_page(admin: str) -> None:
    """Waits until an instance is ready: it may be a later one than that which answered."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://{admin}/readyz", timeout=10):
                return
        except OSError:
            assert time.monotonic() < deadline, f"{admin} is not ready"
            time.sleep(0.02)


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
    credentials = grpc.ssl_channel_credentials(subject.ca) if subject.ca else None
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
    done = subprocess.run(
        [*command, server.url], capture_output=True, text=True, check=False, timeout=600
    )
    rate = re.search(r"finished in [\d.]+m?s, ([\d.]+) req/s", done.stdout)
    good = re.search(r"status codes: (\d+) 2xx", done.stdout)
    return {"done": float(good[1]) if good else 0, "per_second": float(rate[1]) if rate else 0}
