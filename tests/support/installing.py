"""Installs the built wheel into new environments, and Agora's npm packages."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
BIN: Final = Path(sys.executable).parent
NPM_FOLDER: Final = ROOT / "tests/npm"


def run(*command: str | Path, folder: Path = ROOT, **environment: str) -> str:
    """Runs a command, which must succeed, and returns its standard output."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def build_distributions(folder: Path) -> Mapping[str, Path]:
    """Builds the sdist, and the wheel from it, as a release does; returns them by suffix."""
    run(BIN / "pyproject-build", "--outdir", folder)
    return {"wheel": next(folder.glob("*.whl")), "sdist": next(folder.glob("*.tar.gz"))}


def install(folder: Path, requirement: str, *options: str | Path) -> Path:
    """Creates an environment with one requirement installed; returns its bin folder."""
    python = folder / "bin/python"
    run(BIN / "uv", "venv", "--quiet", "--python", sys.executable, folder)
    run(BIN / "uv", "pip", "install", "--quiet", "--python", python, *options, requirement)
    return folder / "bin"


def npm_install() -> None:
    """Installs the packages in tests/npm/package-lock.json, unless they are installed."""
    lock = NPM_FOLDER / "package-lock.json"
    stamp = NPM_FOLDER / "node_modules/.installed-lock"
    if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        run(BIN / "npm", "ci", "--ignore-scripts", folder=NPM_FOLDER, PATH=path)
        stamp.write_bytes(lock.read_bytes())
