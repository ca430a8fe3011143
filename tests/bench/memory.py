"""What the resident memory of a server consists of, after its start and after 5,000 calls.

    python tests/bench/memory.py

Imports packages in the order in which they need each other, and prints what each adds; a package
that another one has imported already adds little. Then the memory of a server process, plain and
fully deployed.
"""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import authentication  # type: ignore[import-not-found]  # beside this script
import trustme

sys.path[:0] = [str(Path(__file__).parents[1])]

from support.memory import resident_mib  # noqa: E402  # the path has to be set first

CALLS: Final = 5000
PACKAGES: Final = (
    "asyncio",
    "uvloop",
    "google.protobuf.descriptor_pool",
    "grpc.aio",
    "grpc_reflection.v1alpha.reflection",
    "cryptography.x509",
    "jwt",
    "prometheus_client",
    "pydantic",
    "limits",
    "protovalidate",
    "token_authority_server.inspection",
    "token_authority_server.config",
    "token_authority_server.process.serve",
    "token_authority_cli.server",
)
# For a process that has imported nothing else.
IMPORTS: Final = """
import importlib, os, sys

def mib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

before = mib()
print(f"{before:5.1f} MiB  the interpreter")
for name in sys.argv[1:]:
    importlib.import_module(name)
    now = mib()
    print(f"{now - before:5.1f} MiB  {name}")
    before = now
print(f"{before:5.1f} MiB  in all")
"""


async def main() -> None:
    """Prints the memory of server processes."""
    titles = {"plain": "plain", "and TLS": "fully deployed"}
    with tempfile.TemporaryDirectory() as folder:
        for name, title in titles.items():
            text = authentication.VARIANTS[name]
            server = authentication.Server(Path(folder) / title, text, trustme.CA())
            before = resident_mib(server.pid)
            await server.load(calls=CALLS)
            after = resident_mib(server.pid)
            print(f"{title}: {before:.0f} MiB after the start, {after:.0f} after {CALLS} calls")
            await server.stop()


if __name__ == "__main__":
    subprocess.run([sys.executable, "-c", IMPORTS, *PACKAGES], check=True)
    asyncio.run(main())
