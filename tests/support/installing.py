"""Installs the built wheel into new environments, and Agora's npm packages."""

import os
import shutil
import subprocess
import sys
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


def commit_files(folder: Path) -> Path:
    """Copies the files of the working tree into a repository of their own, with one commit."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in listed.rstrip("\0").split("\0"):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    run("git", "init", "--quiet", folder=folder)
    commit(folder, "The working tree")
    return folder


def commit(folder: Path, subject: str) -> None:
    """Commits every change in a repository."""
    run("git", "add", "--all", folder=folder)
    author = ("-c", "user.name=Test", "-c", "user.email=test@example.invalid")
    run("git", *author, "commit", "--quiet", "--message", subject, folder=folder)


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
