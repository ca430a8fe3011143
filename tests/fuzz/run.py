"""Gives every parser of untrusted input mutated and random input, and looks for defects.

    python tests/fuzz/run.py [--count 1060000] [--seed N] [--target NAME] [--steps 300] [--jobs 2]

prints the inputs of each target, their outcomes, the slowest and the memory, and takes random steps
with a live server (machine.py). It exits with 1, and shows the input, on an exception, an outcome
that must not be, an ERROR in the log, a text with a secret, or an input that takes too long. The
same seed makes the same inputs, in any number of processes. README.md lists parsers and targets.
"""

import argparse
import asyncio
import logging
import os
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final, NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz import calls, commands, credentials, files, machine, peers, responses, texts
from fuzz.outcomes import Target
from support.memory import resident_mib

# Many times what the worst input takes on a slow machine.
MAX_SECONDS: Final = 1.0
MAX_GROWTH_MIB: Final = 64
# Of each target: with several, no process waits long for the last one.
_PIECES: Final = 4
_WARM_UP: Final = 5_000


class Result(NamedTuple):
    """What a target did with its inputs."""

    inputs: int
    outcomes: Counter[str]
    slowest_ms: float
    defect: str
    """The traceback and the input; "" for none."""

    def joined(self, other: "Result") -> "Result":
        """Returns the results of both."""
        return Result(
            self.inputs + other.inputs,
            self.outcomes + other.outcomes,
            max(self.slowest_ms, other.slowest_ms),
            self.defect or other.defect,
        )


class _Errors(logging.Handler):
    """Keeps what is logged as an error, e.g. by asyncio or grpc."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a message."""
        self.messages.append(record.getMessage())


_ERRORS: Final = _Errors()


def all_targets(folder: Path) -> list[Target]:
    """Returns every target; some write their input to a file of a folder."""
    return [
        *calls.targets(),
        *credentials.targets(),
        *files.targets(folder),
        *commands.targets(folder),
        *peers.targets(),
        *responses.targets(),
        *texts.targets(),
    ]


def fuzz(target: Target, count: int, seed: str) -> Result:
    """Gives a target a number of inputs, or fewer if one shows a defect."""
    logging.getLogger().addHandler(_ERRORS)
    chance = random.Random(f"{seed} {target.name}")  # noqa: S311
    outcomes, slowest = Counter[str](), 0.0
    for number in range(count):
        given = target.draw(chance)
        started = time.process_time()
        try:
            outcomes[target.attempt(given)] += 1
            seconds = time.process_time() - started
            assert seconds < MAX_SECONDS, f"took {seconds:.3f} s"
            assert not _ERRORS.messages, f"logged: {_ERRORS.messages}"
        except Exception:  # noqa: BLE001  # whatever it is, it is what is looked for
            defect = f"{target.name}: {traceback.format_exc()}\n{given!r:.4000}"
            return Result(number + 1, outcomes, slowest * 1000, defect)
        slowest = max(slowest, seconds)
    return Result(count, outcomes, slowest * 1000, "")


def fuzz_all(targets: Sequence[Target], count: int, seed: str) -> Iterator[tuple[str, Result]]:
    """Divides a number of inputs among targets; yields the name and result of each."""
    shares = sum(target.share for target in targets)
    for target in targets:
        yield target.name, fuzz(target, -(-count * target.share // shares), seed)


class _Process:
    """The targets of a process of the pool, and its memory before and after."""

    targets: Final[dict[str, Target]] = {}
    folder: tempfile.TemporaryDirectory[str]
    before_mib = 0.0

    @classmethod
    def begin(cls, only: str, seed: int) -> None:
        """Makes the targets and warms them up: what imports and caches take is no growth."""
        cls.folder = tempfile.TemporaryDirectory()
        for target in all_targets(Path(cls.folder.name)):
            if only in target.name:
                cls.targets[target.name] = target
        for _ in fuzz_all(list(cls.targets.values()), _WARM_UP, f"{seed} warm-up"):
            pass
        cls.before_mib = resident_mib()

    @classmethod
    def run(cls, piece: tuple[str, int, str]) -> tuple[Result, float, float]:
        """Returns the result of some inputs of a target, and the memory before and after."""
        name, count, seed = piece
        return fuzz(cls.targets[name], count, seed), cls.before_mib, resident_mib()


def main(arguments: Sequence[str]) -> int:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description="Fuzzes every parser of untrusted input.")
    parser.add_argument("--count", type=int, default=1_060_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--target", default="", help="only targets whose name has this text")
    parser.add_argument("--steps", type=int, default=300, help="of the live server")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args(arguments)
    started = time.monotonic()
    print(f"seed: {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        targets = [one for one in all_targets(Path(folder)) if options.target in one.name]
    shares = _PIECES * sum(target.share for target in targets)
    pieces = [
        (target.name, -(-options.count * target.share // shares), f"{options.seed} {piece}")
        for target in targets
        for piece in range(_PIECES)
    ]
    total, defects, growth = 0, 0, 0.0
    # Not forked: threads of targets would be missing.
    with ProcessPoolExecutor(
        options.jobs, get_context("spawn"), _Process.begin, (options.target, options.seed)
    ) as pool:
        done = pool.map(_Process.run, pieces)
        for target in targets:
            result = Result(0, Counter(), 0, "")
            for _ in range(_PIECES):
                found, before, after = next(done)
                result = result.joined(found)
                growth = max(growth, after - before)
            total += result.inputs
            outcomes = ", ".join(f"{outcome} {n}" for outcome, n in result.outcomes.most_common())
            slowest = f"slowest {result.slowest_ms:.1f} ms"
            print(f"{target.name}: {result.inputs} inputs, {slowest}: {outcomes}", flush=True)
            if result.defect:
                defects += 1
                print(f"DEFECT: {result.defect}")
    memory = f"memory {before:.0f} {growth:+.0f} MiB"
    print(f"{total} inputs, {defects} targets with a defect; {memory} in {options.jobs} processes")
    if options.steps:
        print(asyncio.run(machine.walk(options.steps, options.seed)))
    print(f"{time.monotonic() - started:.0f} s")
    return 1 if defects or growth > MAX_GROWTH_MIB else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
