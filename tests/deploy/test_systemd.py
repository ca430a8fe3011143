"""The systemd units, read only; `make systemd` runs them."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from support.serving import CONFIG, write_config
from token_authority_server import config

UNITS: Final = Path(__file__).parents[2] / "server/deploy/systemd"
SINGLE: Final = (UNITS / "token-authority.service").read_text()
TEMPLATE: Final = (UNITS / "token-authority@.service").read_text()
PROGRAM: Final = "/opt/token-authority/bin/token-authority"
MAX_EXPOSURE: Final = 2.0


def settings(unit: str) -> set[str]:
    return {line for line in unit.splitlines() if re.match(r"[A-Za-z]+=", line)}


def test_an_instance_differs_from_the_single_server_by_what_instances_need() -> None:
    assert settings(TEMPLATE) - settings(SINGLE) == {
        "Description=Agora token authority, instance %i",
        "PartOf=token-authority.target",
        "After=token-authority.target",
        "Conflicts=token-authority.service",
        "Environment=TOKEN_AUTHORITY__SERVER__REUSE_PORT=true",
        "Environment=TOKEN_AUTHORITY__SERVER__ADMIN_LISTEN=127.0.0.1:%i",
        "Environment=TOKEN_AUTHORITY__AUDIT__FILE=%S/token-authority/audit-%i.jsonl",
        "EnvironmentFile=-/etc/token-authority/instance-%i.env",
        "User=token-authority",
        "WantedBy=token-authority.target",
    }
    assert settings(SINGLE) - settings(TEMPLATE) == {
        "Description=Agora token authority",
        "WantedBy=multi-user.target",
    }


def test_the_environment_of_an_instance_overrides_the_configuration(tmp_path: Path) -> None:
    unit = TEMPLATE.replace("%i", "9465").replace("%S", "/var/lib")
    environment = dict(re.findall(r"^Environment=(\w+)=(.*)$", unit, re.MULTILINE))
    loaded = config.load(write_config(tmp_path, CONFIG), environment)
    assert loaded.server.reuse_port
    assert loaded.server.admin_listen == "127.0.0.1:9465"
    assert loaded.audit.file == Path("/var/lib/token-authority/audit-9465.jsonl")


@pytest.mark.needs("systemd-analyze")
@pytest.mark.parametrize(
    "unit", ["token-authority.service", "token-authority@9464.service", "token-authority.target"]
)
def test_systemd_accepts_the_units_and_finds_them_sandboxed(unit: str, tmp_path: Path) -> None:
    for file in UNITS.iterdir():
        # The program has to exist.
        (tmp_path / file.name).write_text(file.read_text().replace(PROGRAM, "/bin/true"))
    if "@" in unit:
        shutil.copy(tmp_path / "token-authority@.service", tmp_path / unit)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / unit],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    if unit.endswith(".service"):
        exposure = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", tmp_path / unit],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        found = re.search(r"Overall exposure level for .*: ([\d.]+)", exposure.stdout)
        assert found
        assert float(found[1]) <= MAX_EXPOSURE
