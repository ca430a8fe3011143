"""What importing the client imports: programs wait for it before they begin."""

import subprocess
import sys
from typing import Final

UNNEEDED: Final = ("cryptography", "importlib.metadata", "opentelemetry", "pydantic", "zipfile")
PROGRAM: Final = f"""
import sys
import token_authority_client

print([name for name in {UNNEEDED} if name in sys.modules])
"""


def test_the_client_imports_no_package_that_calls_do_not_need() -> None:
    # Coverage and other hooks of the test run may import more.
    command = [sys.executable, "-I", "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
