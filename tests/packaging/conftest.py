"""One release, built from the working tree, and an installation of it."""

import os
import re
import sys
from pathlib import Path

import pytest

from support.documents import blocks, section
from support.installing import BIN, ROOT, commit, commit_files, run


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working tree as a commit that can be released: real URLs, and a date in CHANGELOG.md."""
    folder = commit_files(tmp_path_factory.mktemp("repository"))
    project = folder / "pyproject.toml"
    project.write_text(project.read_text().replace("//example.invalid/", "//git.company.net/"))
    changelog = folder / "CHANGELOG.md"
    dated = re.sub(r"- unreleased$", "- 2026-12-01", changelog.read_text(), flags=re.MULTILINE)
    changelog.write_text(dated)
    commit(folder, "Release")
    return folder


@pytest.fixture(scope="session")
def release(repository: Path) -> Path:
    """The folder that `make release` fills."""
    run(sys.executable, "release/build.py", folder=repository)
    (folder,) = (repository / "dist").iterdir()
    return folder


@pytest.fixture(scope="session")
def wheel(release: Path) -> Path:
    """The released wheel."""
    (path,) = release.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def installed(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new environment with the release, installed as OPERATIONS.md says."""
    opt = tmp_path_factory.mktemp("opt")
    guide = (ROOT / "server/OPERATIONS.md").read_text()
    script = blocks("sh", section(guide, "1. Install (two minutes)"))[0]
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"  # the same python3 as of these tests
    run("sh", "-ec", script.replace("/opt/", f"{opt}/"), folder=release, PATH=path)
    return opt / "token-authority/bin"
