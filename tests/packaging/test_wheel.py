"""The built wheel: installed, called, and its tokens verified by Agora's own code."""

import asyncio
import json
import os
import subprocess
import zipfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from support.installing import BIN, NPM_FOLDER, install, npm_install, run
from support.keys import CERTIFICATE, SECRET_KEY
from support.serving import write_config

# The first test builds the release, and downloads what it installs.
pytestmark = pytest.mark.timeout(400)
HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packaging")


@pytest.fixture(scope="module")
def client_bin(folder: Path, wheel: Path) -> Path:
    """The wheel without extras, with the oldest dependencies that it allows."""
    return install(folder / "client", str(wheel), "--resolution", "lowest")


@pytest.fixture(scope="module")
def server_bin(installed: Path) -> Path:
    """The wheel with the server, with the locked dependencies."""
    return installed


@pytest.fixture
async def address(server_bin: Path, tmp_path: Path) -> AsyncGenerator[str]:
    """Runs a server from the installed wheel; yields its address."""
    path = write_config(tmp_path)
    process = await asyncio.create_subprocess_exec(
        server_bin / "token-authority", "serve", "--config", path, stderr=subprocess.PIPE, cwd="/"
    )
    assert process.stderr
    line = await asyncio.wait_for(process.stderr.readline(), 30)
    yield json.loads(line)["listen"][0]
    process.terminate()
    await process.communicate()
    assert process.returncode == 0


def test_the_wheel_has_the_packages_their_types_and_the_rules(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    packages = [
        "token_authority",
        "token_authority_client",
        "token_authority_cli",
        "token_authority_testing",
    ]
    for package in [*packages, "token_authority_server"]:
        assert f"{package}/py.typed" in names
    assert "token_authority_server/token_authority.rules.binpb" in names
    assert "token_authority_cli/inspect_page.html" in names
    sample = zipfile.ZipFile(wheel).read("token_authority_server/token-authority.toml")
    assert sample == (ROOT / "server/deploy/token-authority.toml").read_bytes()
    assert "token_authority/v1/token_service_pb2_grpc.pyi" in names
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {*packages, "token_authority_server"}


def test_without_extras_nothing_of_the_server_is_installed(client_bin: Path) -> None:
    listed = json.loads(
        run(BIN / "uv", "pip", "list", "--format", "json", "--python", client_bin / "python")
    )
    versions = {row["name"]: row["version"] for row in listed}
    versions.pop("agora-token-authority")
    # The minimum versions in pyproject.toml, and their dependencies.
    assert versions.pop("grpcio") == "1.78.0"
    assert versions.pop("protobuf") == "6.31.1"
    assert versions.keys() == {"googleapis-common-protos", "typing-extensions"}


async def test_without_extras_the_server_says_what_to_install(client_bin: Path) -> None:
    for arguments in (["serve", "--dev"], ["check-config", "x"]):
        process = await asyncio.create_subprocess_exec(
            client_bin / "token-authority", *arguments, stderr=subprocess.PIPE
        )
        _, stderr = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 1
        assert b"pip install 'agora-token-authority[server]'" in stderr
        assert stderr.count(b"\n") == 1


async def issue_all(client_bin: Path, address: str) -> list[dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        client_bin / "python", HERE / "issue_all.py", address, stdout=subprocess.PIPE, cwd="/"
    )
    stdout, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    return [json.loads(line) for line in stdout.splitlines()]


async def verify(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Verifies tokens with Agora's packages in Node.js."""
    process = await asyncio.create_subprocess_exec(
        BIN / "node",
        NPM_FOLDER / "verify.js",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "NODE_NO_WARNINGS": "1"},
    )
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    stdout, _ = await asyncio.wait_for(process.communicate(lines.encode()), 60)
    return [json.loads(line) for line in stdout.splitlines()]


def secrets_for(issued: dict[str, Any]) -> dict[str, Any]:
    """Returns the token and the secrets that a verifier needs."""
    token, arguments = issued["token"], issued["arguments"]
    if token.startswith("NETLESS"):
        return {"token": token, "secret_key": SECRET_KEY}
    known: dict[str, Any] = {"token": token, "certificate": CERTIFICATE}
    if token.startswith("006"):
        user = arguments.get("uid", arguments.get("user_account", ""))
        # 006 has the RTM user in place of RTC's channel.
        known |= {"channel": arguments.get("channel", arguments.get("user_id")), "uid": user}
    return known


async def test_agoras_own_packages_verify_tokens_from_the_installed_wheel(
    client_bin: Path, address: str
) -> None:
    npm_install()
    issued = await issue_all(client_bin, address)
    assert len(issued) == 83
    answers = await verify([secrets_for(row) for row in issued])
    assert len(answers) == len(issued)
    for row, answer in zip(issued, answers, strict=True):
        assert answer.get("verified") is True, (row, answer)
        check_fields(row, answer["fields"])


def check_fields(row: dict[str, Any], fields: dict[str, Any]) -> None:
    """Checks that Agora's packages read the requested values in a token."""
    arguments = row["arguments"]
    if "builder" in row:
        builder = row["builder"]
        assert fields["services"] == builder["services"], builder["name"]
        assert fields["expire"] == builder["expire"]
    elif row["token"].startswith("NETLESS"):
        assert fields["role"] == str(["admin", "writer", "reader"].index(arguments["role"]))
        assert fields.get("uuid") == arguments.get("room", arguments.get("task"))
        assert ("expireAt" in fields) != arguments.get("non_expiring", False)
    elif "user_id" in arguments:
        assert fields["privileges"] == {"1000": fields["ts"] - 86400 + 60}
    else:
        rights = {"publisher": "1234", "subscriber": "1", None: "13"}[arguments.get("role")]
        if row["token"].startswith("006"):
            assert "".join(fields["privileges"]) == rights
            return
        rtc = fields["services"][0]
        assert "".join(rtc["privileges"]) == rights
        assert rtc["channel_name"] == arguments.get("channel", "*")
        assert rtc["uid"] == str(arguments.get("uid", arguments.get("user_account", "")))
        assert [service["type"] for service in fields["services"][1:]] == (
            [2] if "rtm" in arguments else []
        )


async def test_agoras_own_packages_do_not_verify_with_another_secret(
    client_bin: Path, address: str
) -> None:
    npm_install()
    issued = await issue_all(client_bin, address)
    other = [
        {**secrets_for(row), "certificate": "0" * 32, "secret_key": "another"} for row in issued
    ]
    assert not any(answer.get("verified") for answer in await verify(other))


async def test_the_installed_command_line_issues_a_token(client_bin: Path, address: str) -> None:
    process = await asyncio.create_subprocess_exec(
        client_bin / "token-authority",
        *["issue", "rtc", "--channel", "c", "--uid", "1", "--role", "publisher"],
        *["--target", address],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    stdout, _ = await asyncio.wait_for(process.communicate(), 30)
    (answer,) = await verify([{"token": stdout.decode().strip(), "certificate": CERTIFICATE}])
    assert answer["verified"]
