"""Runs the tests against mutants of the server, and lists the mutants that no test notices.

`make mutants` tries a sample of every package below; advisory. A mutant is one small change, made
in a copy of the sources. README.md beside this file lists survivors and how to read them.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from mutants.mutations import Mutant, mutants

ROOT: Final = Path(__file__).parents[2]
SERVER: Final = Path("server/token_authority_server")
# The tests of a package, the fastest and likeliest first; a mutant must survive all of them.
TESTS: Final = {
    "formats": (["formats"], ["vectors/test_vectors.py", "families", "inspection"]),
    "families": (["families"], ["rpc/test_grants.py", "rpc/test_methods.py", "contract"]),
    "access": (["access"], ["config", "rpc/test_grants.py", "cli/test_keys_audit.py"]),
    "limits": (["limits"], ["rpc/test_limits.py", "rpc/test_batch.py"]),
    "config": (
        ["config"],
        [
            *("cli/test_deny.py", "cli/test_configuration.py", "process/test_explain.py"),
            *("process/test_preflight.py", "process/test_denied_file.py", "process/test_reload.py"),
        ],
    ),
    "audit": (["audit"], ["cli/test_audit.py", "cli/test_keys_audit.py", "rpc/test_grants.py"]),
    "identity": (["identity"], ["rpc/test_authentication.py", "rpc/test_credentials.py", "config"]),
    "keyring": (["keyring"], ["config", "rpc/test_authority_service.py", "test_authority.py"]),
    "inspection": (["inspection"], ["rpc/test_exposed_secrets.py", "cli/test_inspect.py"]),
    "errors": (
        ["rpc/test_reasons.py", "rpc/test_status.py"],
        [
            *("access", "rpc/test_grants.py", "rpc/test_limits.py", "rpc/test_authentication.py"),
            *("rpc/test_request_body.py", "rpc/test_channel_keys.py", "rpc/test_server.py"),
        ],
    ),
}
_SECONDS: Final = 600


class Site(NamedTuple):
    """A mutant and its module."""

    path: Path
    mutant: Mutant

    def __str__(self) -> str:
        before, after = [" ".join(text.split()) for text in self.mutant[1:3]]
        return f"{self.path}:{self.mutant.line}: {before}  →  {after}"


def sites(package: str) -> Iterator[Site]:
    """Yields the mutants of a package."""
    for path in sorted((ROOT / SERVER / package).rglob("*.py")):
        for mutant in mutants(path.read_text()):
            yield Site(path.relative_to(ROOT), mutant)


def survives(copy: Path, runs: Sequence[list[str]], site: Site) -> bool:
    """Whether every test passes with a mutant in a copy of the sources."""
    original = (copy / site.path).read_text()
    (copy / site.path).write_text(site.mutant.source)
    try:
        return all(passes(copy, paths) for paths in runs)
    finally:
        (copy / site.path).write_text(original)


def passes(copy: Path, paths: list[str], seconds: float = _SECONDS) -> bool:
    """Whether tests pass; a run that takes too long fails."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"),
            *(f"tests/{path}" for path in paths),
        ],
        cwd=copy,
        env={
            **os.environ,
            "PYTHONPATH": f"{copy}/client:{copy}/server",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False


def copied() -> Path:
    """Copies what the tests read; links what no mutant changes."""
    copy = Path(tempfile.mkdtemp(prefix="mutants-"))
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    for name in (".git", ".venv", ".venv-proto"):
        if (ROOT / name).exists():
            (copy / name).symlink_to(ROOT / name)
    return copy


def main() -> None:
    """Tries a sample of mutants of each package, as many at once as there are jobs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="*", default=list(TESTS), metavar="PACKAGE")
    parser.add_argument("--count", type=int, default=15, help="mutants of each package")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--match", default="", help="only mutants whose line has this text")
    parser.add_argument("--quick", action="store_true", help="only a package's own tests")
    options = parser.parse_args()
    runs = {package: TESTS[package][: 1 if options.quick else 2] for package in options.packages}
    chosen: list[tuple[str, Site]] = []
    for package in options.packages:
        found = [site for site in sites(package) if options.match in str(site)]
        sample = random.Random(options.seed).sample(found, min(options.count, len(found)))  # noqa: S311
        print(f"{package}: {len(sample)} of {len(found)} mutants", flush=True)
        chosen += [(package, site) for site in sample]
    started = time.monotonic()
    copies = [copied() for _ in range(options.jobs)]
    tests = sorted({path for package in runs for paths in runs[package] for path in paths})
    if not passes(copies[0], tests, 3 * _SECONDS):
        sys.exit("the tests fail, or take too long, without a mutant")

    def attempt(one: tuple[str, Site]) -> bool:
        copy = copies.pop()
        try:
            survived = survives(copy, runs[one[0]], one[1])
        finally:
            copies.append(copy)
        print(f"{'SURVIVED' if survived else 'killed'} {one[1]}", flush=True)
        return survived

    try:
        with ThreadPoolExecutor(options.jobs) as executor:
            survivors = sum(executor.map(attempt, chosen))
    finally:
        for copy in copies:
            shutil.rmtree(copy)
    seconds = time.monotonic() - started
    print(f"{survivors} of {len(chosen)} mutants survived (seed {options.seed}, {seconds:.0f} s)")


if __name__ == "__main__":
    main()
