"""Gives every parser of untrusted input mutated and random input, and looks for defects.

    python tests/fuzz/run.py [--count 1000000] [--seed N] [--target NAME] [--steps 300]

prints the inputs of each target, their outcomes, the slowest and the memory; then it takes random
steps with a live server (machine.py). It exits with 1, and shows the input, on an exception, an
outcome that must not be, a text with a secret, or an input that takes too long. The same seed makes
the same inputs.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz import calls, credentials, files, machine, texts
from fuzz.outcomes import Target
from support.memory import resident_mib

# Many times what the worst input takes on a slow machine.
MAX_SECONDS: Final = 1.0
MAX_GROWTH_MIB: Final = 64


class Result(NamedTuple):
    """What a target did with its inputs."""

    inputs: int
    outcomes: Counter[str]
    slowest_ms: float
    defect: str
    """The traceback and the input; "" for none."""


def all_targets(folder: Path) -> list[Target]:
    """Returns every target; some write their input to a file of a folder."""
    return [*calls.targets(), *credentials.targets(), *files.targets(folder), *texts.targets()]


def fuzz(target: Target, count: int, seed: int) -> Result:
    """Gives a target a number of inputs, or fewer if one shows a defect."""
    chance = random.Random(f"{seed} {target.name}")  # noqa: S311
    outcomes, slowest = Counter[str](), 0.0
    for number in range(count):
        given = target.draw(chance)
        started = time.process_time()
        try:
            outcomes[target.attempt(given)] += 1
            seconds = time.process_time() - started
            assert seconds < MAX_SECONDS, f"took {seconds:.3f} s"
        except Exception:  # noqa: BLE001  # whatever it is, it is what is looked for
            defect = f"{target.name}: {traceback.format_exc()}\n{given!r:.4000}"
            return Result(number + 1, outcomes, slowest * 1000, defect)
        slowest = max(slowest, seconds)
    return Result(count, outcomes, slowest * 1000, "")


def fuzz_all(count: int, seed: int, only: str = "") -> Iterator[tuple[str, Result]]:
    """Divides a number of inputs among the targets; yields the name and result of each."""
    with tempfile.TemporaryDirectory() as folder:
        targets = [one for one in all_targets(Path(folder)) if only in one.name]
        shares = sum(target.share for target in targets)
        for target in targets:
            yield target.name, fuzz(target, -(-count * target.share // shares), seed)


def main(arguments: Sequence[str]) -> int:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description="Fuzzes every parser of untrusted input.")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--target", default="", help="only targets whose name has this text")
    parser.add_argument("--steps", type=int, default=300, help="of the live server")
    options = parser.parse_args(arguments)
    print(f"seed: {options.seed}")
    # Imports, caches and the first inputs of each target are no growth.
    for _ in fuzz_all(5_000, options.seed, options.target):
        pass
    before, total, defects = resident_mib(), 0, 0
    for name, result in fuzz_all(options.count, options.seed, options.target):
        total += result.inputs
        outcomes = ", ".join(f"{outcome} {n}" for outcome, n in result.outcomes.most_common())
        print(f"{name}: {result.inputs} inputs, slowest {result.slowest_ms:.1f} ms: {outcomes}")
        sys.stdout.flush()
        if result.defect:
            defects += 1
            print(f"DEFECT: {result.defect}")
    growth = resident_mib() - before
    print(f"{total} inputs, {defects} targets with a defect; memory {before:.0f} {growth:+.0f} MiB")
    if options.steps:
        print(asyncio.run(machine.walk(options.steps, options.seed)))
    return 1 if defects or growth > MAX_GROWTH_MIB else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
