"""What programs wait for before they begin: CPU time of the client's import, and of the help.

    python tests/bench/imports.py

Whole processes, user and system time, in turn; the bare interpreter and the floor beside them:
what a program with gRPC and the generated stubs imports anyway. Bytecode is cached, as pip and uv
leave it: without, the same import takes a fifth longer.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from typing import Final

ROUNDS: Final = 20
STUBS: Final = ", ".join(
    [
        f"token_authority.v1.{service}_service_pb2_grpc"
        for service in ("token", "inspection", "authority", "encryption")
    ]
)
COMMANDS: Final = {
    "python": ["-c", "pass"],
    "import grpc.aio": ["-c", "import grpc.aio"],
    "import grpc.aio and the generated stubs": ["-c", f"import grpc.aio, {STUBS}"],
    "import token_authority_client": ["-c", "import token_authority_client"],
    "token-authority --help": ["-m", "token_authority_cli", "--help"],
    "token-authority issue rtc --help": ["-m", "token_authority_cli", "issue", "rtc", "--help"],
}


def cpu_ms(arguments: list[str], environment: dict[str, str]) -> float:
    """Runs a process to its end; returns the milliseconds of CPU it took, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def main() -> None:
    """Prints medians, and the least: other work on the machine makes rounds slower only."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for command in COMMANDS.values():
            cpu_ms(command, environment)
        rounds = [
            {name: cpu_ms(command, environment) for name, command in COMMANDS.items()}
            for _ in range(ROUNDS)
        ]
    for name in COMMANDS:
        times = [one[name] for one in rounds]
        print(f"{name}: {statistics.median(times):.0f} ms of CPU, at least {min(times):.0f}")


if __name__ == "__main__":
    main()
