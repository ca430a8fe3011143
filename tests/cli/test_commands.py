import subprocess
import sys

import pytest

from support.commands import run
from token_authority_cli.commands import HELP, MODULES


async def test_the_overview_has_every_command_and_every_exit_code() -> None:
    ran = await run("--help")
    for name, text in HELP.items():
        assert f" {name} " in ran.out or f" {name}\n" in ran.out
        assert " ".join(text.split()) in " ".join(ran.out.split())
    assert [line.split()[0] for line in ran.out.partition("exit codes:\n")[2].splitlines()] == [
        "0",
        *"234567",
        "1",
    ]


@pytest.mark.parametrize("name", HELP)
async def test_every_command_prints_its_own_help(name: str) -> None:
    ran = await run(name, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"usage: token-authority {name} ")
    assert MODULES.keys() == HELP.keys()


def test_the_overview_imports_nothing_that_takes_time() -> None:
    code = (
        "import sys; sys.argv = ['token-authority', '--help']\n"
        "from token_authority_cli.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert not {'grpc', 'google', 'asyncio', 'ssl'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30, capture_output=True)
