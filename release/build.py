"""Builds a release from the last commit into dist/agora-token-authority-VERSION/.

    python release/build.py [--draft]

Needs the environment of tests/requirements.lock and git. The folder gets the wheel, the sdist, the
archive of the contract, the locked requirements of the server, an SBOM (CycloneDX), the licences of
all dependencies, and SHA256SUMS over all of them. Wheel and sdist are built twice, without build
isolation, and must be identical. With --draft, what a release refuses is printed, and the folder is
built all the same; a working tree with changes is always refused.
"""

import argparse
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
NAME: Final = "agora-token-authority"
BIN: Final = Path(sys.executable).parent
# Of packages whose metadata name a licence that is no SPDX identifier, which the tool leaves out.
SPDX: Final = {"protobuf": "BSD-3-Clause"}
_PLACEHOLDER: Final = re.compile(r"https?://([^/]+\.)?(example(\.\w+)?|invalid)(/|$)")


def run(*command: str | Path, folder: Path = ROOT, **environment: str) -> str:
    """Runs a command and returns its standard output.

    Raises:
        SystemExit: The command failed; what it wrote is shown.
    """
    done = subprocess.run(  # noqa: S603  # fixed programs
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def obstacles(project: dict[str, Any], changelog: str) -> Iterator[str]:
    """Yields each reason why this commit must not be released.

    Args:
        project: The [project] table of pyproject.toml.
        changelog: The text of CHANGELOG.md.
    """
    for name, url in project["urls"].items():
        if _PLACEHOLDER.match(url):
            yield f"pyproject.toml: {name} in [project.urls] is a placeholder: {url}"
    version = re.escape(project["version"])
    if not re.search(rf"^## {version} - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        yield (
            f"CHANGELOG.md: no heading '## {project['version']} - YYYY-MM-DD': date the section of "
            "this version"
        )


def export(folder: Path) -> Path:
    """Writes the files of the last commit into a folder and returns it."""
    packed = subprocess.run(
        ["git", "archive", "HEAD"],  # noqa: S607  # git of this machine
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder)  # noqa: S202  # our own files; filter= needs Python 3.11.4
    return folder


def build(source: Path, folder: Path, epoch: str) -> dict[str, bytes]:
    """Builds the sdist, and the wheel from it, and returns them by name.

    Args:
        source: The files of the commit.
        folder: Where to write both.
        epoch: The time of all files in them, in seconds since 1970.
    """
    run(
        *(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder),
        folder=source,
        SOURCE_DATE_EPOCH=epoch,
    )
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def bill_of_materials(source: Path, wheel: Path, folder: Path, epoch: str) -> dict[str, Any]:
    """Installs the locked server and the wheel; returns a CycloneDX SBOM of what is installed.

    Everything comes from wheels whose hashes are in server/requirements.lock.
    """
    python = folder / "bin/python"
    run(BIN / "uv", "venv", "--quiet", "--python", sys.executable, folder)
    install = (BIN / "uv", "pip", "install", "--quiet", "--python", python)
    lock = source / "server/requirements.lock"
    run(*install, "--require-hashes", "--only-binary", ":all:", "--requirement", lock)
    run(*install, "--no-deps", "--no-index", wheel)
    text = run(
        *(BIN / "cyclonedx-py", "environment", "--output-reproducible"),
        *("--pyproject", source / "pyproject.toml", python),
        SOURCE_DATE_EPOCH=epoch,
    )
    bill: dict[str, Any] = json.loads(text)
    for component in (bill["metadata"]["component"], *bill["components"]):
        # Where the wheel was on this machine.
        references = component.get("externalReferences", [])
        component["externalReferences"] = [
            reference for reference in references if not reference["url"].startswith("file:")
        ]
        if component["name"] in SPDX and not component.get("licenses"):
            component["licenses"] = [{"license": {"id": SPDX[component["name"]]}}]
    return bill


def licences(bill: dict[str, Any]) -> str:
    """Returns a line for each component of an SBOM: name, version and licences.

    Raises:
        SystemExit: The package of a component names no licence.
    """
    lines: list[str] = []
    for component in bill["components"]:
        names = sorted({_licence(row) for row in component.get("licenses", [])})
        title = f"{component['name']} {component['version']}"
        if not names:
            raise SystemExit(f"no licence is known of {title}")
        lines.append(f"{title}: {', '.join(names)}\n")
    return "".join(sorted(lines, key=str.lower))


def _licence(row: dict[str, Any]) -> str:
    if "expression" in row:
        return str(row["expression"])
    # The name may be a classifier: "License :: OSI Approved :: MIT License".
    return str(row["license"].get("id") or row["license"]["name"].rpartition(" :: ")[2])


def assemble(folder: Path, version: str) -> None:
    """Writes every file of the release into an empty folder.

    Raises:
        SystemExit: Two builds differ, or a step failed.
    """
    epoch = run("git", "log", "-1", "--format=%ct").strip()
    with tempfile.TemporaryDirectory() as temporary:
        here = Path(temporary)
        source = export(here / "source")
        built = build(source, here / "first", epoch)
        if built != build(export(here / "again"), here / "second", epoch):
            raise SystemExit("two builds of this commit differ")
        for name, data in built.items():
            (folder / name).write_bytes(data)
        run(sys.executable, "protos/archive.py", folder, folder=source)
        shutil.copyfile(source / "server/requirements.lock", folder / "requirements.lock")
        (wheel,) = folder.glob("*.whl")
        bill = bill_of_materials(source, wheel, here / "venv", epoch)
    (folder / f"{NAME}-{version}.cdx.json").write_text(json.dumps(bill, indent=2) + "\n")
    (folder / "LICENSES.txt").write_text(licences(bill))
    sums = "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
    )
    (folder / "SHA256SUMS").write_text(sums)


def main() -> None:
    """Checks the commit, builds the release and prints its checksums."""
    parser = argparse.ArgumentParser(description="Build a release of the last commit.")
    parser.add_argument("--draft", action="store_true", help="build what a release would refuse")
    draft = parser.parse_args().draft
    changed = run("git", "status", "--porcelain")
    if changed:
        raise SystemExit(f"not released: the working tree has changes:\n{changed.rstrip()}")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = list(obstacles(project, (ROOT / "CHANGELOG.md").read_text()))
    if found:
        sys.stderr.write("".join(f"not for release: {reason}\n" for reason in found))
        if not draft:
            raise SystemExit(1)
    folder = ROOT / "dist" / f"{NAME}-{project['version']}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    assemble(folder, project["version"])
    sys.stdout.write((folder / "SHA256SUMS").read_text())


if __name__ == "__main__":
    main()
