"""The recipes of server/SECRETS.md: files arrive as each store writes them, under live calls."""

import asyncio
import os
import re
import tomllib
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from support.documents import blocks, run, section
from support.keys import APP_ID, CERTIFICATE, OLD_CERTIFICATE
from support.live import BY_PLACE, SERVER, Live, live
from support.ports import free_port
from support.replacing import replace
from support.waiting import until
from token_authority_client import AsyncTokenAuthorityClient

ROOT: Final = Path(__file__).parents[2]
TEXT: Final = (ROOT / "server/SECRETS.md").read_text()
FIRST, SECOND = "certificate-2026", "certificate-2027"
PROJECT: Final = f'[projects.classroom.agora]\napp_id = "{APP_ID}"\n'
(ROTATED,) = blocks("toml", TEXT)
"""The certificates after a rotation."""
_NEW, _OLD = ROTATED.split("\n\n")
BEFORE: Final = _OLD.replace("verify_only", "active")
"""The certificates before it."""


def configuration(certificates: str, secrets: str = "secrets/", server: str = SERVER) -> str:
    """Returns a configuration with its secrets in a folder."""
    return server + PROJECT + certificates.replace("secrets/", secrets) + BY_PLACE


@asynccontextmanager
async def calls(server: str, *, wait_for_ready: bool = False) -> AsyncGenerator[list[str]]:
    """Issues tokens without a pause until the block ends; yields the ids of the keys.

    A call that fails fails the block.
    """
    signed: list[str] = []
    done = asyncio.Event()

    async def issue() -> None:
        async with AsyncTokenAuthorityClient(
            server, timeout=20, wait_for_ready=wait_for_ready
        ) as client:
            while not done.is_set():
                token = await client.issue_rtc_token(channel="c", uid=1, role="publisher")
                signed.append(token.key_id)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(issue()) for _ in range(2)]
        await until(lambda: len(signed) > 10 or any(task.done() for task in tasks))
        try:
            yield signed
            count = len(signed)
            await until(lambda: len(signed) > count + 12 or any(task.done() for task in tasks), 30)
        finally:
            done.set()
    assert {*signed[-10:]} == {SECOND}
    assert {*signed} == {FIRST, SECOND}


async def rotate(server: Live, secrets: str = "secrets/") -> None:
    """Changes the configuration to the rotated one and waits for it."""
    replace(server.folder / "token-authority.toml", configuration(ROTATED, secrets))
    await server.reloaded(1)


async def test_a_file_that_vault_agent_renders_is_taken(tmp_path: Path) -> None:
    (template,) = blocks("hcl", TEXT)
    settings = dict(re.findall(r'^  (\w+) +=\s+"?(.*?)"?$', template, re.MULTILINE))
    destination = Path(settings["destination"])
    assert destination.parent == Path("/etc/token-authority/secrets")
    assert f".{destination.name.replace('-', '_')} }}}}" in settings["contents"]
    folder = tmp_path / "secrets"
    folder.mkdir()

    def render(name: str, text: str) -> None:
        """As consul-template's renderer: a temporary file beside it, mode, rename."""
        temporary = folder / "2087654321"
        temporary.write_text(text)
        temporary.chmod(int(settings["perms"], 8))
        temporary.rename(folder / name)

    render(FIRST, CERTIFICATE)
    async with live(tmp_path, configuration(BEFORE)) as server, calls(server.address):
        render(destination.name, OLD_CERTIFICATE)
        await rotate(server)


async def test_what_vault_agent_writes_for_a_missing_field_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    replace(tmp_path / f"secrets/{FIRST}", CERTIFICATE)
    async with live(tmp_path, configuration(BEFORE)) as server, calls(server.address):
        replace(tmp_path / f"secrets/{SECOND}", "<no value>")
        path = tmp_path / "token-authority.toml"
        replace(path, configuration(ROTATED))
        await until(lambda: server.events("degraded"))
        assert "no value" not in server.output
        replace(tmp_path / f"secrets/{SECOND}", OLD_CERTIFICATE)
        await server.reloaded(1)


def swap(folder: Path, version: str, files: dict[str, str]) -> None:
    """Changes a mounted folder as the kubelet does: by one rename of the link `..data`."""
    data = folder / f"..{version}"
    data.mkdir(parents=True)
    for name, text in files.items():
        (data / name).write_text(text)
    (folder / "..data_tmp").symlink_to(data.name)
    (folder / "..data_tmp").rename(folder / "..data")
    for name in files:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")


@pytest.mark.parametrize("first", ["secret", "configuration"])
async def test_a_mounted_secret_and_a_mounted_configuration_arrive_in_any_order(
    tmp_path: Path, first: str
) -> None:
    name = yaml.safe_load(blocks("yaml", section(TEXT, "Kubernetes Secrets"))[0])["secrets"][0]
    secret, config = tmp_path / "secrets" / name["name"], tmp_path / "config"
    path = f"{secret}/"
    shown = re.search(r'file = "/etc/token-authority/secrets/([^"]+)"', TEXT)
    assert shown
    assert shown[1] == f"{name['name']}/{SECOND}"
    swap(secret, "2026_11_01", {FIRST: CERTIFICATE})
    swap(config, "2026_11_01", {"token-authority.toml": configuration(BEFORE, path)})
    # The file that `live` writes becomes the mounted one.
    (tmp_path / "token-authority.toml").symlink_to("config/token-authority.toml")
    before = configuration(BEFORE, path)
    async with live(tmp_path, before) as server, calls(server.address):
        after = configuration(ROTATED, path)
        if first == "configuration":
            swap(config, "2026_11_02", {"token-authority.toml": after})
            await until(lambda: server.events("degraded"))
        swap(secret, "2026_11_02", {FIRST: CERTIFICATE, SECOND: OLD_CERTIFICATE})
        if first == "secret":
            swap(config, "2026_11_02", {"token-authority.toml": after})
        await server.reloaded(1)


def test_the_operator_fills_the_secret_that_the_chart_mounts() -> None:
    (external,) = yaml.safe_load_all(blocks("yaml", section(TEXT, "External Secrets Operator"))[0])
    (mounted,) = yaml.safe_load_all(blocks("yaml", section(TEXT, "Kubernetes Secrets"))[0])
    values: dict[str, Any] = yaml.safe_load(
        (ROOT / "server/deploy/helm/token-authority/values.yaml").read_text()
    )
    assert mounted.keys() <= values.keys()
    assert [row["name"] for row in mounted["secrets"]] == [external["spec"]["target"]["name"]]
    keys = [row["secretKey"] for row in external["spec"]["data"]]
    assert f"secrets/{keys[0]}" in [
        row["secret"]["file"]
        for row in tomllib.loads(ROTATED)["projects"]["classroom"]["agora"]["certificates"]
    ]


async def test_credentials_of_systemd_change_with_a_restart_that_fails_no_call(
    tmp_path: Path,
) -> None:
    (unit,) = blocks("ini", TEXT)
    loaded = re.findall(r"^LoadCredentialEncrypted=([\w-]+):", unit, re.MULTILINE)
    assert loaded == [SECOND]
    assert f'file = "$CREDENTIALS_DIRECTORY/{SECOND}"' in TEXT
    server = SERVER.replace(":0", f":{free_port()}", 1)
    credentials = str(tmp_path / "credentials")

    def start(certificates: str, secrets: dict[str, str]) -> str:
        """Fills the folder of the credentials anew, and returns the configuration."""
        folder = tmp_path / "credentials"
        if folder.exists():
            folder.chmod(0o700)
        folder.mkdir(exist_ok=True)
        for name, text in secrets.items():
            (folder / name).unlink(missing_ok=True)
            (folder / name).write_text(text)
            (folder / name).chmod(0o400)
        folder.chmod(0o500)
        return configuration(certificates, "$CREDENTIALS_DIRECTORY/", server)

    async with AsyncExitStack() as servers:
        one = start(BEFORE, {FIRST: CERTIFICATE})
        old = await servers.enter_async_context(
            live(tmp_path, one, CREDENTIALS_DIRECTORY=credentials)
        )
        async with calls(old.address, wait_for_ready=True):
            assert await old.stop() == 0
            two = start(ROTATED, {FIRST: CERTIFICATE, SECOND: OLD_CERTIFICATE})
            await servers.enter_async_context(
                live(tmp_path, two, CREDENTIALS_DIRECTORY=credentials)
            )


FETCH: Final = blocks("sh", TEXT)[0]
COMMANDS: Final = [
    re.search(r"^fetch \S+ (.*)$", FETCH, re.MULTILINE)[1],  # type: ignore[index]
    *re.findall(
        r"^\| [^|]+ \| `(.*)` \|$", section(TEXT, "KMS and password managers"), re.MULTILINE
    ),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda line: line.split(maxsplit=1)[0])
async def test_what_a_command_prints_becomes_the_file(tmp_path: Path, command: str) -> None:
    program, target = tmp_path / command.split(maxsplit=1)[0], tmp_path / SECOND
    for body, text in [
        ("exit 1", None),
        ("exit 0", None),
        (f"echo {OLD_CERTIFICATE}", f"{OLD_CERTIFICATE}\n"),
        ("echo half; exit 1", f"{OLD_CERTIFICATE}\n"),
    ]:
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o700)
        await fetch(tmp_path, command)
        assert (target.read_text() if target.exists() else None) == text
    assert target.stat().st_mode & 0o777 == 0o640


async def fetch(folder: Path, command: str) -> None:
    """Runs the script of the guide, with another command, in a folder that has its program."""
    script = FETCH.replace("/etc/token-authority/secrets", str(folder))
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    await run("sh", "-c", script.replace(COMMANDS[0], command), PATH=path)


async def test_a_fetched_file_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    replace(folder / FIRST, CERTIFICATE)
    async with live(tmp_path, configuration(BEFORE)) as server, calls(server.address):
        await fetch(folder, f"echo {OLD_CERTIFICATE}")
        await rotate(server)
