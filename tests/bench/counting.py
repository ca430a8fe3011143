"""Guards the hot paths against growing slower: counts what the interpreter executes.

    python tests/bench/counting.py [--update]

Counted are the bytecode instructions and the calls, of Python and of C functions, on the event
loop's thread. Unlike times they are the same on every machine with the same Python version and lock
file; unlike machine instructions (callgrind), they do not depend on how Python, zlib and OpenSSL
were built. They do not show what a C function costs: `profiling.py` does.

Compares with `counts.json`, which has the counts of each Python version, and fails if one has grown
by more than 5 %. --update writes new counts: commit them with the change that explains them.
"""

import argparse
import asyncio
import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Final

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.hot_paths import HotPath, hot_paths

FILE: Final = Path(__file__).with_name("counts.json")
PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
TOLERANCE: Final = 0.05
WARM_UP: Final = 3

Counts = dict[str, int]
"""`instructions` and `calls`."""


class Discard(io.TextIOBase):
    """A log that nobody reads."""

    def write(self, text: str) -> int:
        """Drops a line."""
        return len(text)


async def run(path: HotPath) -> None:
    """Runs a hot path once; a refusal is an outcome like any other."""
    with contextlib.suppress(ConnectionAbortedError):
        await path()


async def count(path: HotPath) -> Counts:
    """Counts what one run executes, after some runs that fill caches."""
    for _ in range(WARM_UP):
        await run(path)
    instructions = calls = 0

    def on_instruction(_: FrameType, event: str, __: object) -> Any:
        nonlocal instructions
        instructions += event == "opcode"
        return on_instruction

    def on_frame(frame: FrameType, _: str, __: object) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return on_instruction

    def on_call(_: FrameType, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    await _observed(path, sys.settrace, on_frame)
    await _observed(path, sys.setprofile, on_call)
    return {"instructions": instructions, "calls": calls}


async def _observed(path: HotPath, install: Callable[[Any], None], hook: object) -> None:
    install(hook)
    try:
        await run(path)
    finally:
        install(None)


async def count_all() -> dict[str, Counts]:
    """Counts every hot path."""
    with tempfile.TemporaryDirectory() as folder:
        paths, trail = await hot_paths(Discard(), Path(folder))
        found = {name: await count(path) for name, path in paths.items()}
        await asyncio.to_thread(trail.close)
    for kind in ("", ", deployed"):
        small, large = found.pop(f"batch of 1{kind}"), found.pop(f"batch of 21{kind}")
        found[f"batch entry{kind}"] = {name: (large[name] - small[name]) // 20 for name in small}
    return found


def compare(known: Mapping[str, Counts], found: Mapping[str, Counts]) -> list[str]:
    """Returns a sentence for each hot path that has grown, is unknown or is no longer counted."""
    problems = [f"{name}: not in {FILE.name}" for name in found if name not in known]
    for name, before in known.items():
        now = found.get(name)
        if now is None:
            problems.append(f"{name}: no longer counted")
            continue
        problems += [
            f"{name}: {now[kind]} {kind}, {now[kind] / before[kind] - 1:+.1%} (was {before[kind]})"
            for kind in before
            if now[kind] > before[kind] * (1 + TOLERANCE)
        ]
    return problems


def main() -> None:
    """Compares, or updates the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--update", action="store_true", help=f"write {FILE.name}")
    update = parser.parse_args().update
    known = json.loads(FILE.read_text())
    found = uvloop.run(count_all())
    for name, now in found.items():
        before = known.get(PYTHON, {}).get(name, {})
        both = [f"{now[kind]} {kind} (was {before.get(kind, 'unknown')})" for kind in now]
        print(f"{name:22} {', '.join(both)}")
    if update:
        FILE.write_text(json.dumps({**known, PYTHON: found}, indent=1, sort_keys=True) + "\n")
    elif PYTHON not in known:
        print(f"{FILE.name} has no counts for Python {PYTHON}: nothing compared")
    elif problems := compare(known[PYTHON], found):
        advice = "If that is intended, run `make bench-check UPDATE=1` and commit the file."
        sys.exit("\n".join(["", *problems, advice]))


if __name__ == "__main__":
    main()
