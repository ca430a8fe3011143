"""`make release`: what it refuses, and what is in the folder that it fills."""

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from support.installing import BIN, ROOT, commit, commit_files, run

# The first test builds the release, and downloads what it installs.
pytestmark = pytest.mark.timeout(400)
NAME = "agora-token-authority"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
STRAYS = [
    *("key.txt", "tls.key", "tls.pem", "token-authority.toml", "audit.jsonl", "audit.jsonl.1"),
    *("app-certificate.txt", "whiteboard-sk.txt"),
]
"""What README.md and server/README.md leave in a checkout."""


def refused(repository: Path) -> list[str]:
    """Runs release/build.py, which must refuse; returns the lines it writes."""
    done = subprocess.run(
        [sys.executable, "release/build.py"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert not (repository / "dist").exists()
    return done.stderr.splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A commit of the working tree as it is."""
    return commit_files(tmp_path)


def test_placeholders_and_an_undated_changelog_are_refused(checkout: Path) -> None:
    project, changelog = checkout / "pyproject.toml", checkout / "CHANGELOG.md"
    text = re.sub(
        r'^(\w+) = "https://[^/]+/',
        r'\1 = "https://example.invalid/',
        project.read_text(),
        flags=re.MULTILINE,
    )
    project.write_text(text)
    heading = rf"^## {VERSION} - .*$"
    undated = f"## {VERSION} - unreleased"
    changelog.write_text(re.sub(heading, undated, changelog.read_text(), flags=re.MULTILINE))
    if run("git", "status", "--porcelain", folder=checkout):
        commit(checkout, "Not ready")
    *urls, date = refused(checkout)
    assert [re.sub(r"https://\S+", "URL", line) for line in urls] == [
        f"not for release: pyproject.toml: {name} in [project.urls] is a placeholder: URL"
        for name in ("Source", "Changelog")
    ]
    assert date == (
        f"not for release: CHANGELOG.md: no heading '## {VERSION} - YYYY-MM-DD': date the section "
        "of this version"
    )


@pytest.mark.parametrize("name", ["README.md", "server/new.py"])
def test_a_working_tree_with_changes_is_refused(checkout: Path, name: str) -> None:
    with (checkout / name).open("a") as file:
        file.write("\n")
    first, *listed = refused(checkout)
    assert first == "not released: the working tree has changes:"
    assert [line.split()[1] for line in listed] == [name]


def test_strays_of_the_guides_are_ignored_by_git_and_not_packed(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for name in STRAYS:
        for folder in ("", "client", "protos", "release", "server", "tests", "server/deploy/helm"):
            (checkout / folder / name).write_text("secret")
    ignored = run("git", "check-ignore", *STRAYS, folder=checkout).split()
    assert ignored == STRAYS
    # Nothing but the list in pyproject.toml keeps them out then.
    (checkout / ".gitignore").write_text("")
    out = tmp_path_factory.mktemp("sdist")
    build = (sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", out)
    run(*build, folder=checkout)
    assert packed(next(out.iterdir())) == tracked(checkout)


def packed(sdist: Path) -> set[str]:
    """Returns the names in an sdist, without its top folder."""
    with tarfile.open(sdist) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def tracked(repository: Path) -> set[str]:
    """Returns what an sdist of a repository must have."""
    names = set(run("git", "ls-files", folder=repository).splitlines())
    return {name for name in names if not name.startswith(".ci/")} | {"PKG-INFO"}


def test_the_sdist_has_every_tracked_file(release: Path, repository: Path) -> None:
    (sdist,) = release.glob("agora_token_authority-*.tar.gz")
    assert packed(sdist) == tracked(repository)


def test_the_folder_has_what_the_checksums_list(release: Path) -> None:
    names = {path.name for path in release.iterdir()} - {"SHA256SUMS"}
    assert names == {
        *("LICENSES.txt", "requirements.lock", f"{NAME}-{VERSION}.cdx.json"),
        f"agora_token_authority-{VERSION}-py3-none-any.whl",
        f"agora_token_authority-{VERSION}.tar.gz",
        f"token-authority-contract-{VERSION}.tar.gz",
    }
    lines = (release / "SHA256SUMS").read_text().splitlines()
    assert {line.split("  ")[1]: line.split("  ")[0] for line in lines} == {
        name: hashlib.sha256((release / name).read_bytes()).hexdigest() for name in names
    }


def test_a_wheel_and_an_sdist_built_elsewhere_are_the_same_bytes(
    release: Path, repository: Path, tmp_path: Path
) -> None:
    epoch = run("git", "log", "-1", "--format=%ct", folder=repository).strip()
    run("git", "clone", "--quiet", repository, tmp_path / "clone")
    run("chmod", "-R", "go-rwx", tmp_path / "clone")
    run(
        *(sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path / "out"),
        folder=tmp_path / "clone",
        SOURCE_DATE_EPOCH=epoch,
        TZ="Asia/Kathmandu",
    )
    built = list((tmp_path / "out").iterdir())
    assert len(built) == 2
    for path in built:
        assert path.read_bytes() == (release / path.name).read_bytes(), path.name


def test_the_bill_of_materials_has_every_installed_package(release: Path, installed: Path) -> None:
    text = (release / f"{NAME}-{VERSION}.cdx.json").read_text()
    bill = json.loads(text)
    rows = json.loads(
        run(BIN / "uv", "pip", "list", "--format", "json", "--python", installed / "python")
    )
    versions = {row["name"].lower(): row["version"] for row in rows}
    for name in ("pip", "setuptools"):
        versions.pop(name, None)
    listed = {
        component["name"].lower().replace("_", "-"): component["version"]
        for component in [bill["metadata"]["component"], *bill["components"]]
    }
    assert listed == {name.replace("_", "-"): number for name, number in versions.items()}
    assert bill["bomFormat"] == "CycloneDX"
    assert all(component["licenses"] for component in bill["components"])
    assert "file:" not in text


def test_each_package_has_its_licences_in_the_list(release: Path) -> None:
    bill = json.loads((release / f"{NAME}-{VERSION}.cdx.json").read_text())
    lines = dict(
        line.split(": ", 1) for line in (release / "LICENSES.txt").read_text().splitlines()
    )
    assert set(lines) == {f"{row['name']} {row['version']}" for row in bill["components"]}
    assert lines[f"grpcio {version('grpcio')}"] == "Apache-2.0"
    assert all(lines.values())


def test_the_version_is_the_same_everywhere(installed: Path) -> None:
    assert run(installed / "token-authority", "--version") == f"token-authority {VERSION}\n"
    chart = (ROOT / "server/deploy/helm/token-authority/Chart.yaml").read_text()
    assert re.findall(r'^(?:version|appVersion): "?([\d.]+)"?$', chart, re.MULTILINE) == [
        VERSION,
        VERSION,
    ]
    client = (ROOT / "client/token_authority_client/_version.py").read_text()
    assert f'VERSION: Final = "{VERSION}"\n' in client
    assert f"**Status:** {VERSION}," in (ROOT / "README.md").read_text()
    changelog = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (\d+\.\d+\.\d+) - ", changelog, re.MULTILINE)
    assert headings[0] == VERSION
