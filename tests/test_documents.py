"""What the documents say is true: their commands run, and print what they show."""

import ast
import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.decoding import decode
from support.ports import free_port
from support.serving import command, serving
from token_authority_cli.commands import EXIT_CODES
from token_authority_server.errors import Reason

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCUMENTS = [README, *[(ROOT / name).read_text() for name in ("ARCHITECTURE.md", "CHANGELOG.md")]]
ADDRESS = "127.0.0.1:50051"
TLS_ADDRESS = "localhost:50051"
SECRETS = {"APP_CERTIFICATE_2026": "ab" * 16, "WHITEBOARD_SK": "made-up"}
"""What the configuration in server/deploy asks for."""


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    """The text under a heading, up to the next one."""
    return re.split(r"^#+ ", README.split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


EXAMPLES = [block for block in blocks("python") if ADDRESS in block]
"""Those that ask a development server. Each is followed by what it prints."""


def shape(text: str) -> str:
    """Blots out what differs from run to run: tokens, ids, times."""
    text = re.sub(r"007eJ[\w+/=]+", "007…", text)
    text = re.sub(r"\b[0-9a-f]{32}\b", "…", text)
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "…", text)


async def run(*arguments: str, **environment: str) -> str:
    """Runs a command; returns what a terminal would show."""
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment},
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    return output.decode()


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
async def test_a_python_example_prints_what_the_readme_shows(number: int) -> None:
    async with serving("--dev", "--listen", "127.0.0.1:0") as server:
        code = EXAMPLES[number].replace(ADDRESS, server.address)
        printed = await run(sys.executable, "-c", code)
    assert shape(printed) == shape(blocks("text")[number])


@pytest.mark.parametrize("example", blocks("console"))
async def test_a_console_example_prints_what_the_readme_shows(example: str) -> None:
    first, _, shown = example.partition("\n")
    program, *arguments = first.removeprefix("$ ").split()
    assert program == "token-authority"
    async with serving("--dev", "--listen", "127.0.0.1:0") as server:
        printed = await run(*command(), *arguments, TOKEN_AUTHORITY_TARGET=server.address)
    assert shape(printed) == shape(shown)


def test_every_python_example_is_run() -> None:
    assert len(EXAMPLES) == len(blocks("text"))
    (over_tls,) = [block for block in blocks("python") if block not in EXAMPLES]
    assert over_tls in blocks("python", section("A server with TLS and an API key, to try"))


async def test_the_configuration_to_begin_with_needs_the_secrets_that_the_readme_sets(
    tmp_path: Path,
) -> None:
    _, copy, export, check, _ = blocks("sh", section("With your own keys"))[0].splitlines()
    await run("sh", "-c", f"cd {ROOT} && {copy[:-1]}{tmp_path}")
    script = f"cd {tmp_path} && {export} && {on_this_installation(check)}"
    assert "caller lesson-service" in await run("sh", "-c", script)
    for name in SECRETS:
        assert f"{name}=" in export


async def test_a_server_with_tls_and_an_api_key_is_made_and_asked_as_the_readme_says(
    tmp_path: Path,
) -> None:
    text = section("A server with TLS and an API key, to try")
    make, ask = [on_this_installation(block) for block in blocks("sh", text)]
    (settings,) = blocks("toml", text)
    (example,) = blocks("python", text)
    identities = (await run("sh", "-c", f"cd {tmp_path} && {make}")).splitlines()[-1]
    assert identities.startswith(text.split("the line `", 1)[1].split("…", 1)[0])
    port = free_port()
    config = (ROOT / "server/deploy/token-authority.toml").read_text()
    config = config.replace('identities = ["local"]', identities)
    config = config.replace(f'# listen = ["{ADDRESS}"]', f'listen = ["127.0.0.1:{port}"]')
    (tmp_path / "token-authority.toml").write_text(f"{config}\n{settings}")
    (tmp_path / "example.py").write_text(example.replace(TLS_ADDRESS, f"localhost:{port}"))
    async with serving("--config", f"{tmp_path}/token-authority.toml", environment=SECRETS):
        asked = await run(
            "sh", "-c", f"cd {tmp_path} && {ask}".replace(TLS_ADDRESS, f"localhost:{port}")
        )
        assert "key:      certificate-2026" in asked
        printed = await run("sh", "-c", f"cd {tmp_path} && {sys.executable} example.py")
    assert printed == "certificate-2026\n"


def on_this_installation(script: str) -> str:
    return re.sub(r"^token-authority ", f"{' '.join(command())} ", script, flags=re.MULTILINE)


def test_the_tokens_in_the_readme_are_real() -> None:
    tokens = re.findall(r"^007\S+", README, re.MULTILINE)
    assert len(tokens) == 2
    rights = [decode(token).fields["services"][0]["privileges"] for token in tokens]
    assert rights == [{1: 3600, 2: 3600, 3: 3600, 4: 3600}, {1: 90}]


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for text in DOCUMENTS for name in re.findall(r"`?make ([a-z-]+)`?\n?", text)}
    assert {"run", "demo", "test", "check"} <= named & targets
    assert named & {"run", "demo", "test", "check", "bench", "proto", "lock"} <= targets


def test_every_linked_file_exists() -> None:
    for text in DOCUMENTS:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
            assert (ROOT / target).exists(), target


def test_the_table_of_refusals_is_complete_and_right() -> None:
    rows = re.findall(r"^\| ([A-Z_]+) \| ([A-Z_]+) \|", README, re.MULTILINE)
    assert {reason: code for code, reason in rows} == {
        reason.value: reason.code.value for reason in Reason
    }


def test_the_table_of_exit_codes_is_that_of_the_command_line() -> None:
    rows = re.findall(r"^\| (\d) \| (.+) \|$", README, re.MULTILINE)
    assert rows == [(str(exit_code.code), exit_code.meaning) for exit_code in EXIT_CODES]


def test_the_first_python_example_is_three_lines() -> None:
    example = blocks("python")[0]
    assert len([line for line in example.splitlines() if line]) == 3
    ast.parse(example)
