"""The documents are true: their commands run and print what they show."""

import ast
import re
import sys
from pathlib import Path

import pytest

from support.decoding import decode
from support.documents import blocks, dangling, documents, run, section, shape
from support.ports import free_port
from support.serving import command, serving
from token_authority_cli.commands import EXIT_CODES
from token_authority_server.errors import Reason

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CLIENT = (ROOT / "client/README.md").read_text()
INSPECT = (ROOT / "client/INSPECT.md").read_text()
SERVER = (ROOT / "server/README.md").read_text()
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
ERRORS = (ROOT / "client/ERRORS.md").read_text()
ADDRESS = "127.0.0.1:50051"
TLS_ADDRESS = "localhost:50051"


EXAMPLES = [block for block in blocks("python", README, CLIENT) if ADDRESS in block]
"""Those that call a development server. Each is followed by its output."""
OUTPUTS = blocks("text", README, CLIENT)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
async def test_a_python_example_prints_what_its_document_shows(number: int) -> None:
    async with serving("--dev", "--listen", "127.0.0.1:0") as server:
        code = EXAMPLES[number].replace(ADDRESS, server.address)
        printed = await run(sys.executable, "-c", code)
    assert shape(printed) == shape(OUTPUTS[number])


@pytest.mark.parametrize("example", blocks("console", README, CLIENT, INSPECT))
async def test_a_console_example_prints_what_its_document_shows(example: str) -> None:
    first, _, shown = example.partition("\n")
    program, *arguments = first.removeprefix("$ ").split()
    assert program == "token-authority"
    async with serving("--dev", "--listen", "127.0.0.1:0") as server:
        printed = await run(*command(), *arguments, TOKEN_AUTHORITY_TARGET=server.address)
    assert shape(printed) == shape(shown)


def test_every_python_example_is_run() -> None:
    assert len(EXAMPLES) == len(OUTPUTS)
    (over_tls,) = blocks("python", SERVER)
    assert over_tls in blocks("python", section(SERVER, "TLS and an API key"))


async def test_the_first_configuration_is_valid_with_the_secrets_that_the_guide_creates(
    tmp_path: Path,
) -> None:
    config = await first_configuration(tmp_path)
    checked = await run("sh", "-c", on_this_installation(f"token-authority check-config {config}"))
    assert "caller lesson-service" in checked
    assert [path.stat().st_mode & 0o777 for path in tmp_path.glob("*.txt")] == [0o600, 0o600]


async def first_configuration(folder: Path) -> Path:
    """Runs the commands of "Your own keys" in a folder, up to check-config."""
    lines = blocks("sh", section(SERVER, "Your own keys"))[0].splitlines()
    assert lines[0] == "pip install '.[server]'"
    assert lines[-2:] == [
        "token-authority check-config token-authority.toml",
        "token-authority serve --config token-authority.toml",
    ]
    commands = on_this_installation("\n".join(lines[1:-2]))
    await run("sh", "-ec", f"cd {folder}\n{commands}")
    return folder / "token-authority.toml"


def test_the_guide_names_every_placeholder_of_the_configuration() -> None:
    sample = (ROOT / "server/deploy/token-authority.toml").read_text()
    app_ids = re.findall(r'^app_id = "(\w+)"', sample, re.MULTILINE)
    keys = re.findall(r'^access_key = "([\w-]+)"', sample, re.MULTILINE)
    table = section(SERVER, "Your own keys")
    assert all(f"| `{value}` |" in table for value in [*app_ids, *keys])


async def test_a_server_with_tls_and_an_api_key_is_created_and_called_as_the_guide_says(
    tmp_path: Path,
) -> None:
    text = section(SERVER, "TLS and an API key")
    make, ask = [on_this_installation(block) for block in blocks("sh", text)]
    (settings,) = blocks("toml", text)
    (example,) = blocks("python", text)
    identities = (await run("sh", "-c", f"cd {tmp_path} && {make}")).splitlines()[-1]
    assert identities.startswith(text.split("the line `", 1)[1].split("…", 1)[0])
    port = free_port()
    config = (await first_configuration(tmp_path)).read_text()
    config = config.replace('identities = ["local"]', identities)
    config = config.replace(f'# listen = ["{ADDRESS}"]', f'listen = ["127.0.0.1:{port}"]')
    (tmp_path / "token-authority.toml").write_text(f"{config}\n{settings}")
    (tmp_path / "example.py").write_text(example.replace(TLS_ADDRESS, f"localhost:{port}"))
    async with serving("--config", f"{tmp_path}/token-authority.toml"):
        asked = await run(
            "sh", "-c", f"cd {tmp_path} && {ask}".replace(TLS_ADDRESS, f"localhost:{port}")
        )
        assert "key:      certificate-2026" in asked
        printed = await run("sh", "-c", f"cd {tmp_path} && {sys.executable} example.py")
    assert printed == "certificate-2026\n"


async def test_a_server_with_mtls_is_created_and_called_as_the_guide_says(tmp_path: Path) -> None:
    text = section(SERVER, "mTLS")
    make, ask = [on_this_installation(block) for block in blocks("sh", text)]
    (settings,) = blocks("toml", text)
    listen, identities = re.findall(r"`((?:mtls_listen|identities) = [^`]+)`", text)
    server_certificate = blocks("sh", section(SERVER, "TLS and an API key"))[0]
    await run("sh", "-ec", f"cd {tmp_path}\n{on_this_installation(server_certificate)}\n{make}")
    port = str(free_port())
    config = (await first_configuration(tmp_path)).read_text()
    for before, after in (
        ('identities = ["local"]', identities),
        ("# mtls_listen = []", listen.replace("50052", port)),
        (f'# listen = ["{ADDRESS}"]', 'listen = ["127.0.0.1:0"]'),
    ):
        assert before in config
        config = config.replace(before, after)
    (tmp_path / "token-authority.toml").write_text(f"{config}\n{settings}")
    async with serving("--config", f"{tmp_path}/token-authority.toml"):
        asked = await run("sh", "-c", f"cd {tmp_path} && {ask}".replace("50052", port))
    assert "key:      certificate-2026" in asked


def on_this_installation(script: str) -> str:
    return re.sub(r"^token-authority ", f"{' '.join(command())} ", script, flags=re.MULTILINE)


def test_the_tokens_in_the_readme_are_real() -> None:
    tokens = re.findall(r"^007\S+", README, re.MULTILINE)
    assert len(tokens) == 2
    rights = [decode(token).fields["services"][0]["privileges"] for token in tokens]
    assert rights == [{1: 3600, 2: 3600, 3: 3600, 4: 3600}, {1: 90}]


def test_the_table_of_refusals_is_complete_and_right() -> None:
    rows = re.findall(r"^\| ([A-Z_]+) \| ([A-Z_]+) \|", ERRORS, re.MULTILINE)
    assert {reason: code for code, reason in rows} == {
        reason.value: reason.code.value for reason in Reason
    }


def test_the_table_of_the_clients_reasons_is_complete() -> None:
    sources = [path.read_text() for path in (ROOT / "client/token_authority_client").glob("_*.py")]
    pattern = r'"((?:NOTHING|NAME|NO|TLS|CLIENT|PROCESS|PROXY|SOCKET|UNUSABLE)_[A-Z_]+)"'
    used = {reason for text in sources for reason in re.findall(pattern, text)}
    listed = re.findall(r"^\| `\w+` \| ([A-Z_]+) \|", ERRORS, re.MULTILINE)
    assert sorted(listed) == sorted(used)


def test_the_table_of_exit_codes_is_that_of_the_command_line() -> None:
    rows = re.findall(r"^\| (\d) \| (.+) \|$", CLIENT, re.MULTILINE)
    assert rows == [(str(exit_code.code), exit_code.meaning) for exit_code in EXIT_CODES]


def test_the_first_python_example_is_three_lines() -> None:
    example = blocks("python", README)[0]
    assert len([line for line in example.splitlines() if line]) == 3
    ast.parse(example)


def test_readme_and_architecture_are_short() -> None:
    for name, lines, words in (("README.md", 150, 1200), ("ARCHITECTURE.md", 150, 3000)):
        text = (ROOT / name).read_text()
        assert (text.count("\n") <= lines, len(text.split()) <= words) == (True, True), name


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_reference_of_a_document_leads_nowhere(document: Path) -> None:
    assert list(dangling(document.read_text(), document.parent)) == []


def test_a_reference_that_leads_nowhere_is_found() -> None:
    text = (
        "# A heading\n[a](README.md) [b](#a-heading) [c](client/README.md#errors) `make test`\n"
        "`tests/test_documents.py::test_the_first_python_example_is_three_lines`\n"
        "[d](NOWHERE.md) [e](#another-heading) [f](client/README.md#nothing)\n"
        "`make believe`\n```sh\nmake nothing\n```\n"
        "`tests/test_nothing.py` `tests/test_documents.py::test_nothing`\n"
    )
    assert list(dangling(text, ROOT)) == [
        "no such file: NOWHERE.md",
        "no such heading: #another-heading",
        "no such heading: client/README.md#nothing",
        "no such make target: believe",
        "no such make target: nothing",
        "no such test file: tests/test_nothing.py",
        "no such test: tests/test_documents.py::test_nothing",
    ]


def decisions() -> list[str]:
    return [
        paragraph
        for paragraph in section(ARCHITECTURE, "Decisions").split("\n\n")
        if paragraph.startswith("**")
    ]


def test_every_decision_names_a_test() -> None:
    assert len(decisions()) > 20
    for decision in decisions():
        named = re.findall(r"`(tests/[\w/]+\.py)`", decision)
        assert named, decision
        assert all((ROOT / path).is_file() for path in named), decision
