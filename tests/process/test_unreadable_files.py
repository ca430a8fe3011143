"""Files that cannot be read, hang, or are being written: no change is missed, nothing stops."""

import asyncio
import gc
import os
import resource
import socket
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Final

import pytest
from grpc import aio

from process.test_reload import configure, key_id, stub
from support.keys import CERTIFICATE, OLD_CERTIFICATE, Moments
from support.live import BEARER, BY_KEY, BY_PLACE, LOG, PROJECT, SERVER, caller, live
from support.replacing import replace
from support.serving import no_trail, refused, write_config
from support.waiting import until
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority_server.access.callers import Caller
from token_authority_server.authorization import PolicySnapshot
from token_authority_server.config import ConfigFile, Settings
from token_authority_server.config.callers import CallerSettings
from token_authority_server.config.files import ReadProgress
from token_authority_server.config.load import Attempt
from token_authority_server.process import background, reload
from token_authority_server.process.reload import Reloader
from token_authority_server.telemetry.health import DegradedComponents
from token_authority_server.telemetry.log import make_logger
from token_authority_server.telemetry.metrics import Metrics

NAME: Final = "token-authority.toml"
VALID: Final = IssueRtcTokenRequest(channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER)
GOOD: Final = SERVER + PROJECT + BY_KEY
REVOKED: Final = SERVER + PROJECT + caller(f"api-key:sha256:{'ab' * 32}")


@contextmanager
def no_descriptors(pid: int) -> Iterator[None]:
    """Lets a process open no file until the end of the block."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (4, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("interval", ["50ms", "0s"])
async def test_a_revocation_that_could_not_be_read_is_applied_later(
    tmp_path: Path, interval: str
) -> None:
    text = GOOD.replace("50ms", interval)
    async with live(tmp_path, text) as server, aio.insecure_channel(server.address) as channel:
        assert await key_id(channel, BEARER) == "cert-1"
        with no_descriptors(server.process.pid):
            configure(server, REVOKED.replace("50ms", interval))
            server.hang_up()
            await until(lambda: server.events("degraded"))
            (line,) = server.events("degraded")
            path = tmp_path / "token-authority.toml"
            assert line["problem"] == f"not reloaded: {path}: cannot be read: Too many open files"
            assert await key_id(channel, BEARER) == "cert-1"
        # The file does not change any more, and nobody sends SIGHUP again.
        await server.reloaded(1)
        call = stub(channel).IssueRtcToken(VALID, metadata=BEARER)
        assert (await refused(call)).reason == "CREDENTIAL_INVALID"
        await until(lambda: server.events("recovered"))


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def unix_socket(path: Path) -> None:
    # A path may have 107 bytes: bound by its name alone.
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(before)


def read_error(path: Path) -> None:
    # Its first page cannot be read: EIO, as from a disk or a mount that fails (ESTALE is the same).
    # The memory of the tests, because a server's own is closed to an ordinary user.
    path.symlink_to(f"/proc/{os.getpid()}/mem")


ODD: Final = {
    "fifo": (fifo, "Not a regular file"),
    "folder": (folder, "Is a directory"),
    "socket": (unix_socket, "No such device or address"),
    "read error": (read_error, "Input/output error"),
    "link to itself": (lambda path: path.symlink_to(path.name), "Too many levels"),
}


@pytest.mark.parametrize("name", ["token-authority.toml", "cert"])
@pytest.mark.parametrize("kind", ODD)
async def test_what_is_not_a_file_degrades_by_name_and_blocks_nothing(
    tmp_path: Path, kind: str, name: str
) -> None:
    make, problem = ODD[kind]
    async with live(tmp_path, GOOD) as server, aio.insecure_channel(server.address) as channel:
        (tmp_path / name).rename(tmp_path / "kept")
        make(tmp_path / name)
        server.hang_up()
        await until(lambda: any(problem in line["problem"] for line in server.events("degraded")))
        reported = (await server.health())["degraded"]["configuration"]
        assert f"{tmp_path / name}: {problem}" in reported.replace("cannot be read: ", "")
        assert await key_id(channel, BEARER) == "cert-1"
        if kind == "folder":
            (tmp_path / name).rmdir()
        (tmp_path / "kept").rename(tmp_path / name)
        await until(lambda: server.events("recovered"))


async def test_a_server_stops_while_its_configuration_is_a_fifo(tmp_path: Path) -> None:
    async with live(tmp_path, GOOD) as server:
        (tmp_path / "token-authority.toml").unlink()
        fifo(tmp_path / "token-authority.toml")
        await until(lambda: server.events("degraded"))
        assert await server.stop() == 0


def write_slowly(path: Path, text: str, cuts: tuple[int, ...]) -> float:
    """Writes a file in place, in pieces; returns the longest pause between two of them."""
    longest, last = 0.0, time.monotonic()
    with path.open("w") as file:
        for start, end in zip((0, *cuts), (*cuts, len(text)), strict=True):
            file.write(text[start:end])
            file.flush()
            longest = max(longest, time.monotonic() - last)
            last = time.monotonic()
            time.sleep(0.06)
    return longest


@pytest.mark.parametrize("interval", ["50ms", "0s"])
async def test_a_half_written_file_is_not_applied(tmp_path: Path, interval: str) -> None:
    """Every piece is valid, and the shorter ones allow more."""
    server_table = SERVER.replace("50ms", interval)
    text = server_table + LOG + PROJECT + BY_PLACE
    end = 'max_ttl = "1h"\ndefault_ttl = "30m"\n'
    whole = text + end
    cuts = (len(text), len(text) + end.index("default"))
    async with live(tmp_path, server_table + PROJECT + BY_PLACE) as server:
        for _ in range(10):
            before = len(server.events("configuration reloaded"))
            threading.Timer(0.03, server.hang_up).start()
            longest = await asyncio.to_thread(write_slowly, server.folder / NAME, whole, cuts)
            await server.reloaded(before + 1)
            await asyncio.sleep(0.5)
            reloads = len(server.events("configuration reloaded")) - before
            if longest < 0.15:
                break
        assert longest < 0.15, "this machine is too busy to write a file in time"
        # A SIGHUP may arrive when the last piece is there already, and be a reload of its own.
        assert reloads <= 2
        assert not server.events("degraded")
        async with aio.insecure_channel(server.address) as channel:
            issued = await stub(channel).IssueRtcToken(VALID)
        life = issued.issued_token.expire_time.seconds - issued.issued_token.issue_time.seconds
        assert life == 1800


class HangingFile(ConfigFile):
    """A configuration on a mount that does not answer until it is let go."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, {})
        self.answers = threading.Event()
        self.reads = 0

    def read(self, progress: ReadProgress) -> Attempt:
        self.reads += 1
        with progress.reading(self.path):
            self.answers.wait(30)
        return super().read(progress)


async def test_a_hung_mount_degrades_by_name_and_piles_up_no_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "_PATIENCE_SECONDS", 0.1)
    path = write_config(tmp_path, SERVER.replace("50ms", "10ms") + PROJECT + BY_PLACE)
    file = HangingFile(path)
    file.answers.set()
    settings = await asyncio.to_thread(file.load)
    output = StringIO()
    logger = make_logger("json", "info", output)
    metrics = Metrics()
    degraded = DegradedComponents(logger, metrics)
    policies = [settings.policy()]

    def apply(_: Settings, policy: PolicySnapshot) -> PolicySnapshot:
        policies.append(policy)
        return policies[-2]

    reloader = Reloader(
        file,
        settings,
        apply,
        degraded,
        logger,
        no_trail(),
        metrics,
        Moments(),
    )
    file.answers.clear()
    (tmp_path / "cert").write_text(OLD_CERTIFICATE)
    running = asyncio.create_task(reloader.run())
    reloader.reload_now()
    try:
        await until(lambda: "earlier reads still hang" in degraded.failing.get("configuration", ""))
        assert f"{path}: cannot be read: no answer for 0.1 s" in output.getvalue()
        await asyncio.sleep(0.5)
        threads = [one for one in threading.enumerate() if one.name == background.THREAD_NAME]
        assert len(threads) == reload._MAX_HUNG == file.reads - 1
        assert all(thread.daemon for thread in threads)
        file.answers.set()
        await until(lambda: not degraded.failing)
        assert len(policies) >= 2
        assert OLD_CERTIFICATE not in output.getvalue()
        assert CERTIFICATE not in output.getvalue()
    finally:
        running.cancel()


async def test_a_process_ends_although_a_read_hangs() -> None:
    """Neither the loop nor the interpreter waits for the thread."""
    script = (
        "import asyncio, time\n"
        "from token_authority_server.process.background import Job, ReadError\n"
        "from pathlib import Path\n"
        "def hang(progress):\n"
        "    with progress.reading(Path('/mnt/config')):\n"
        "        time.sleep(60)\n"
        "async def main():\n"
        "    try:\n"
        "        await Job(hang).result(0.1)\n"
        "    except ReadError as error:\n"
        "        print(error)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 30)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    assert out == b"/mnt/config: cannot be read: no answer for 0.1 s\n"


async def test_a_change_of_the_content_during_the_wait_is_judged_anew(tmp_path: Path) -> None:
    """The certificate is rotated in two files: neither alone is applied."""
    text = SERVER + PROJECT.replace("cert-1", "key-1") + BY_PLACE
    async with live(tmp_path, text) as server, aio.insecure_channel(server.address) as channel:
        replace(tmp_path / "cert", "not 32 hex digits")
        replace(tmp_path / "cert", OLD_CERTIFICATE)
        await server.reloaded(1)
        assert server.events("configuration reloaded")[0]["keys"] == ["classroom/key-1: active"]
        assert not server.events("degraded")
        assert await key_id(channel) == "key-1"


def reloader_of(file: ConfigFile, settings: Settings) -> Reloader:
    """Makes one whose server takes what it is given."""
    logger = make_logger("json", "info", StringIO())
    metrics = Metrics()

    def apply(_: Settings, policy: PolicySnapshot) -> PolicySnapshot:
        return policy

    degraded = DegradedComponents(logger, metrics)
    return Reloader(file, settings, apply, degraded, logger, no_trail(), metrics, Moments())


async def test_a_rejected_configuration_leaves_the_event_loop_nothing_to_free(
    tmp_path: Path,
) -> None:
    text = SERVER + PROJECT + BY_PLACE
    path = write_config(tmp_path, text)
    file = ConfigFile(path, {})
    reloader = reloader_of(file, await asyncio.to_thread(file.load))

    def rows() -> int:
        kinds = (CallerSettings, Caller, PolicySnapshot)
        return sum(isinstance(one, kinds) for one in gc.get_objects())

    request = '{ rtc = { channel_name = "c", uid = 7, role = "RTC_ROLE_PUBLISHER" } }'
    test = f'[[tests]]\ncaller = "tester"\nrequest = {request}\nexpect = "GRANT_MISSING"\n'
    path.write_text(text + test)
    gc.collect()
    gc.disable()
    try:
        before = rows()
        loaded = await asyncio.to_thread(reloader._load, ReadProgress())
        assert "expected GRANT_MISSING, got allow" in str(loaded.error)
        assert rows() == before
    finally:
        gc.enable()


async def test_what_calls_and_a_reload_leave_is_collected(tmp_path: Path) -> None:
    """Objects that refer to each other, as each call of grpc.aio leaves some."""

    class Left:
        def __init__(self) -> None:
            self.itself = self

    file = ConfigFile(write_config(tmp_path, SERVER + PROJECT + BY_PLACE), {})
    reloader = reloader_of(file, await asyncio.to_thread(file.load))
    gc.disable()
    try:
        left = weakref.ref(Left())
        await reloader._reload()
        gc.collect()
        assert left() is None
    finally:
        gc.enable()
        gc.unfreeze()
