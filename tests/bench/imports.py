"""How long programs wait for us before they begin: the client's import, and the help.

    python tests/bench/imports.py

Whole processes, timed in turn; the bare interpreter beside them.
"""

import statistics
import subprocess
import sys
import time
from typing import Final

ROUNDS: Final = 9
COMMANDS: Final = {
    "python": ["-c", "pass"],
    "import grpc.aio": ["-c", "import grpc.aio"],
    "import token_authority_client": ["-c", "import token_authority_client"],
    "token-authority --help": ["-m", "token_authority_cli", "--help"],
    "token-authority issue rtc --help": ["-m", "token_authority_cli", "issue", "rtc", "--help"],
}


def seconds(arguments: list[str]) -> float:
    """Runs a process to its end; returns how long it took."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Prints medians."""
    rounds = [{name: seconds(command) for name, command in COMMANDS.items()} for _ in range(ROUNDS)]
    for name in COMMANDS:
        print(f"{name}: {statistics.median(one[name] for one in rounds) * 1000:.0f} ms")


if __name__ == "__main__":
    main()
