"""The import rules of pyproject.toml cover every package of the server, and violations fail."""

import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from support.installing import BIN, ROOT

SERVER: Final = "token_authority_server"
RULES: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
BREACH: Final = "Only rpc imports gRPC BROKEN"


def contract(name: str) -> dict[str, Any]:
    (found,) = [row for row in RULES["contracts"] if row["name"] == name]
    return dict(found)


def parts(folder: Path) -> set[str]:
    """Returns the names of the packages and modules in a folder."""
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    return packages | {path.stem for path in folder.glob("*.py")} - {"__init__"}


def test_only_rpc_may_import_grpc() -> None:
    listed = contract("Only rpc imports gRPC")["source_modules"]
    expected = parts(ROOT / "server" / SERVER) - {"rpc"}
    assert listed == sorted(f"{SERVER}.{part}" for part in expected)


def test_no_generated_grpc_module_is_allowed() -> None:
    """The generated `_pb2_grpc` modules import grpc: each is forbidden too."""
    forbidden = contract("Only rpc imports gRPC")["forbidden_modules"]
    generated = parts(ROOT / "client/token_authority/v1")
    assert {name for name in forbidden if name.endswith("_pb2_grpc")} == {
        f"token_authority.v1.{name}" for name in generated if name.endswith("_pb2_grpc")
    }


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of everything that the import rules cover."""
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    for package in RULES["root_packages"]:
        (source,) = (path for path in ROOT.glob(f"*/{package}") if (path / "__init__.py").exists())
        shutil.copytree(source, tmp_path / package)
    return tmp_path


def lint(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [BIN / "lint-imports", "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_rules_are_kept(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("module", ["errors/__init__", "families/whiteboard", "process/reload"])
def test_grpc_outside_of_rpc_breaks_the_rules(copy: Path, module: str) -> None:
    path = copy / SERVER / f"{module}.py"
    path.write_text(path.read_text() + "\nimport grpc\n")
    done = lint(copy)
    assert done.returncode == 1
    assert BREACH in done.stdout
    assert f"{SERVER}.{module.replace('/', '.').removesuffix('.__init__')} -> grpc" in done.stdout


def test_a_new_package_breaks_the_rules(copy: Path) -> None:
    package = copy / SERVER / "novelty"
    package.mkdir()
    (package / "__init__.py").touch()
    done = lint(copy)
    assert done.returncode == 1
    assert "each package imports only from the ones below BROKEN" in done.stdout
