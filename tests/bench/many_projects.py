"""What an inspection costs beside many projects: microseconds of CPU per InspectToken.

    python tests/bench/many_projects.py [PROJECTS]

The caller may inspect one of the projects. The cost must not grow with the others.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.granting import caller, callers, everything
from support.keys import APP_ID, Moments
from support.serving import no_limits, no_trail
from token_authority_server.authority import Authority
from token_authority_server.authorization import PolicySnapshot
from token_authority_server.identity.call_context import CallContext
from token_authority_server.inspection import Expected
from token_authority_server.keyring import AppCertificate, Keyring, KeyState, Project, Secret

ROUNDS: Final = 50


def authority(projects: int) -> Authority:
    """Returns an authority with one App Certificate per project."""
    keys = [
        Project(f"p{number}", (AppCertificate("c", KeyState.ACTIVE, APP_ID, secret(number)),))
        for number in range(projects)
    ]
    who = callers(caller(everything("p0")))
    return Authority(PolicySnapshot(Keyring(keys), who), Moments(), no_limits(), no_trail())


def secret(number: int) -> Secret:
    """Returns an App Certificate."""
    return Secret(f"{number:032x}")


async def inspect(server: Authority) -> float:
    """Returns the CPU time of one inspection, in microseconds."""
    context = CallContext(server._policy.callers.by_name["tester"], "local", "here", "InspectToken")
    await server.inspect(context, "not a token", Expected())
    start = time.process_time()
    for _ in range(ROUNDS):
        await server.inspect(context, "not a token", Expected())
    return (time.process_time() - start) / ROUNDS * 1e6


def main() -> None:
    """Prints the cost of an inspection, and of the snapshot."""
    for projects in (1, int(sys.argv[1]) if len(sys.argv) > 1 else 10_000):
        start = time.process_time()
        server = authority(projects)
        built = (time.process_time() - start) * 1e3
        cost = asyncio.run(inspect(server))
        print(
            f"{projects:>7} projects: {cost:9.0f} µs per inspection, {built:6.0f} ms to build all"
        )


if __name__ == "__main__":
    main()
