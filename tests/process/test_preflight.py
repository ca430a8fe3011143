"""check-config fails where serve does, with the same line and exit code 2, and leaves no trace."""

import os
from pathlib import Path
from typing import Final

import pytest

from support.commands import run
from support.serving import CONFIG, serving, write_config

AUDIT: Final = '[audit]\nfile = "{}"\n'


def listening(address: str) -> str:
    return CONFIG.replace('listen = ["127.0.0.1:0"]', f'listen = ["{address}"]')


def administered(address: str) -> str:
    return CONFIG.replace("[server]\n", f'[server]\nadmin_listen = "{address}"\n')


def auditing(path: str) -> str:
    return CONFIG + f'[audit]\nfile = "{path}"\n'


STOPS: Final = {
    "no folder for the audit file": (auditing("gone/audit.jsonl"), "No such file or directory"),
    "a folder for the audit file": (auditing("folder"), "Is a directory"),
    "a FIFO for the audit file": (auditing("fifo"), "is not a regular file"),
    "another file for the audit file": (auditing("cert"), "does not end with audit records"),
    "a file for the audit folder": (auditing("cert/audit.jsonl"), "Not a directory"),
    "a secret that is missing": (CONFIG.replace('"cert" }', '"gone" }'), "cannot read "),
    "a secret that is a folder": (CONFIG.replace('"cert" }', '"folder" }'), "Is a directory"),
    "a secret that is a FIFO": (CONFIG.replace('"cert" }', '"fifo" }'), "Not a regular file"),
    "an address that is none": (listening("127.0.0.1"), 'must be "ADDRESS:PORT"'),
    "an address of another machine": (
        listening("127.0.0.1:0")
        .replace('listen = ["127.0.0.1:0"]', 'listen = ["192.0.2.1:50051"]\nallow_plaintext = true')
        .replace('identities = ["local"]', f'identities = ["api-key:sha256:{"ab" * 32}"]'),
        "cannot listen on 192.0.2.1:50051: ",
    ),
    "an admin address of another machine": (
        administered("192.0.2.1:9464"),
        "cannot listen on 192.0.2.1:9464: Cannot assign",
    ),
    "no folder for a socket": (listening("unix:FOLDER/gone/s"), "No such file or directory"),
    "a file for a socket": (listening("unix:FOLDER/cert"), "a file or folder is in the way"),
}


@pytest.mark.parametrize("what", STOPS)
async def test_what_stops_serve_stops_check_config(tmp_path: Path, what: str) -> None:
    text, expected = STOPS[what]
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    path = str(write_config(tmp_path, text.replace("FOLDER", str(tmp_path))))
    before = sorted(tmp_path.iterdir())
    checked = await run("check-config", path)
    assert sorted(tmp_path.iterdir()) == before
    served = await run("serve", "--config", path)
    assert (checked.code, checked.out) == (2, "")
    assert (served.code, served.err) == (2, checked.err)
    (line,) = checked.err.splitlines()
    assert expected in line


async def test_a_configuration_that_is_a_fifo_stops_both(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "token-authority.toml")
    path = str(tmp_path / "token-authority.toml")
    for command in (["check-config", path], ["serve", "--config", path]):
        ran = await run(*command)
        assert ran.code == 2
        assert ran.err == f"token-authority: {path}: cannot be read: Not a regular file\n"


async def test_check_config_passes_beside_the_server_that_runs(tmp_path: Path) -> None:
    path = write_config(tmp_path, auditing("audit.jsonl"))
    before = sorted(tmp_path.iterdir())
    assert (await run("check-config", str(path))).code == 0
    assert sorted(tmp_path.iterdir()) == before
    async with serving("--config", str(path)) as server:
        fixed = auditing("audit.jsonl").replace("127.0.0.1:0", server.address)
        path.write_text(fixed)
        assert (await run("check-config", str(path))).code == 0
        assert await server.stop() == 0
