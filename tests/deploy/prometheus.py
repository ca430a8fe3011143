"""Fires every alert in Debian's Prometheus, with real servers and real faults: `make prometheus`.

It starts servers, Prometheus with server/deploy/alerts.yaml (a copy with short times), breaks what
the servers need, and prints when each alert fires and its summary. It also runs every query of the
dashboard and of server/METRICS.md. It ends with 1 if an alert does not fire within two minutes, or
a query fails or has no result. Needs Debian's package `prometheus`.
"""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Generator, Iterable
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import faults  # type: ignore[import-not-found]  # noqa: E402  # beside this script

from support.ports import free_port  # noqa: E402  # the path has to be set first

SERVER: Final = HERE.parents[1] / "server"
RULES: Final = SERVER / "deploy/alerts.yaml"
AT_THE_END: Final = ("TokenAuthorityDown", "TokenAuthorityAbsent")
SECONDS: Final = 120
_SHORTER: Final = (
    (r"for: \w+", "for: 1s"),
    (r"\[(1h|15m|5m)\]", "[20s]"),
    ("> 1800", "> 3"),
)


class Prometheus:
    """A Prometheus that scrapes each second."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/api/v1/"

    def get(self, path: str, **parameters: str) -> Any:
        """Returns the data of an answer of its API."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}{path}?{query}", timeout=10) as answer:
            return json.load(answer)["data"]

    def firing(self) -> dict[str, str]:
        """Returns the summary of each alert that fires."""
        alerts = self.get("alerts")["alerts"]
        return {
            alert["labels"]["alertname"]: alert["annotations"]["summary"]
            for alert in alerts
            if alert["state"] == "firing"
        }


@contextmanager
def prometheus(folder: Path, targets: list[str]) -> Generator[Prometheus]:
    """Runs Prometheus for the targets."""
    text = RULES.read_text()
    for pattern, short in _SHORTER:
        assert re.search(pattern, text), pattern
        text = re.sub(pattern, short, text)
    (folder / "alerts.yaml").write_text(text)
    jobs = [{"job_name": "token-authority", "static_configs": [{"targets": targets}]}]
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["alerts.yaml"],
        "scrape_configs": jobs,
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            found = Prometheus(port)
            for _ in range(100):
                if process.poll() is not None:
                    raise SystemExit((folder / "log").read_text())
                try:
                    found.get("alerts")
                    break
                except OSError:
                    time.sleep(0.1)
            yield found
        finally:
            process.terminate()


class Watch:
    """Prints each alert once, when it fires."""

    def __init__(self, found: Prometheus) -> None:
        self._found = found
        self._started = time.monotonic()
        self.fired: dict[str, str] = {}

    async def look(self, wanted: Iterable[str]) -> bool:
        """Returns whether all of some alerts have fired."""
        for name, summary in (await asyncio.to_thread(self._found.firing)).items():
            if name not in self.fired:
                self.fired[name] = summary
                print(f"{time.monotonic() - self._started:6.1f} s  {name}: {summary}", flush=True)
                assert "no value" not in summary
                assert "error" not in summary
        return set(wanted) <= self.fired.keys()

    async def until_scraped(self, count: int) -> None:
        """Waits until all servers are scraped and none is missed any more."""
        for _ in range(SECONDS):
            found = self._found.get("query", query="token_authority_build_info")["result"]
            if len(found) == count and not self._found.firing().keys() & set(AT_THE_END):
                return
            await asyncio.sleep(1)
        raise SystemExit(f"not all of {count} servers are scraped")

    async def until(self, wanted: Iterable[str], *steps: faults.Step) -> None:
        """Repeats steps until some alerts have fired."""
        end = time.monotonic() + SECONDS
        while not await self.look(wanted):
            if time.monotonic() > end:
                raise SystemExit(f"not fired: {sorted(set(wanted) - self.fired.keys())}")
            for step in steps:
                await step()
            await asyncio.sleep(0.5)


def queries() -> dict[str, list[str]]:
    """Returns the queries of the documentation and of the dashboard, ready to run."""
    page = (SERVER / "METRICS.md").read_text()
    rows = [line.split("|")[-2].strip(" `") for line in page.splitlines() if line[:3] == "| `"]
    panels = json.loads((SERVER / "deploy/dashboard.json").read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    documented = [re.sub(r"\[(5m|1h)\]", "[20s]", query) for query in rows]
    return {
        "METRICS.md": documented,
        "dashboard.json": [
            query.replace("$__rate_interval", "20s")
            .replace("$job", ".*")
            .replace("$instance", ".*")
            for query in expressions
        ],
    }


def run_queries(found: Prometheus) -> None:
    """Runs every query; each has to have a result, unless it looks for a fault."""
    for name, texts in queries().items():
        empty = [text for text in texts if not found.get("query", query=text)["result"]]
        print(f"{name}: {len(texts)} queries, {len(texts) - len(empty)} with a result")
        if wrong := [text for text in empty if not re.search(r"(> 0|== 0)$", text)]:
            raise SystemExit("without a result: " + "\n".join(wrong))


async def main() -> None:
    """Fires every alert."""
    if not shutil.which("prometheus"):
        raise SystemExit("prometheus is not installed: apt-get install prometheus")
    groups = yaml.safe_load(RULES.read_text())["groups"]
    alerts = [rule["alert"] for group in groups for rule in group["rules"]]
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / one for one in "abcdep"]
        for folder in folders:
            folder.mkdir()
        async with AsyncExitStack() as first:
            # One that is stopped before the others.
            down = AsyncExitStack()
            await first.enter_async_context(down)
            everything, fail, load = await first.enter_async_context(
                faults.everything_fails(folders[0])
            )
            few, hold = await down.enter_async_context(faults.small(folders[1]))
            closed, close, repeat = await first.enter_async_context(faults.unwritable(folders[2]))
            slow, stall, idle = await first.enter_async_context(faults.stalled(folders[3]))
            ending = await first.enter_async_context(faults.expired(folders[4]))
            servers = (everything, few, closed, slow, ending)
            found = first.enter_context(prometheus(folders[5], [one.admin for one in servers]))
            watch = Watch(found)
            await load()
            await watch.until_scraped(len(servers))
            for step in (fail, close, stall):
                await step()
            rest = [alert for alert in alerts if alert not in AT_THE_END]
            await watch.until(rest, load, hold, repeat, idle)
            run_queries(found)
            await down.aclose()
            await watch.until(AT_THE_END[:1])
            for server in servers:
                if server.process.returncode is None:
                    server.process.kill()
                    await server.process.wait()
            await watch.until(AT_THE_END)
            print(f"all {len(alerts)} alerts have fired")


if __name__ == "__main__":
    asyncio.run(main())
