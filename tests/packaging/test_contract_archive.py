"""The archive from `make contract` is reproducible and self-contained."""

import hashlib
import os
import shutil
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Final

import pytest

from support.installing import ROOT, run

VERSION: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
NAME: Final = f"token-authority-contract-{VERSION}"
TOOLS: Final = ROOT / ".venv-proto/bin"


def archive(folder: Path, repository: Path = ROOT, time_zone: str = "UTC") -> Path:
    """Packs the contract and returns the archive's path."""
    said = run(sys.executable, repository / "protos/archive.py", folder, TZ=time_zone)
    path = folder / f"{NAME}.tar.gz"
    assert said == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}\n"
    return path


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extracted archive."""
    folder = tmp_path_factory.mktemp("contract")
    run("tar", "-xzf", archive(folder), folder=folder)
    return folder / NAME


def test_another_checkout_at_another_time_packs_the_same_bytes(tmp_path: Path) -> None:
    other = tmp_path / "checkout"
    for name in ("protos", "tests/vectors"):
        shutil.copytree(ROOT / name, other / name, ignore=shutil.ignore_patterns(".third_party"))
    for name in ("LICENSE", "pyproject.toml", "client/REFERENCE.md"):
        (other / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, other / name)
    for path in other.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o700)
    first = archive(tmp_path / "first")
    second = archive(tmp_path / "second", other, "Asia/Kathmandu")
    assert first.read_bytes() == second.read_bytes()


def test_nothing_of_the_machine_is_in_it(tmp_path: Path) -> None:
    with tarfile.open(archive(tmp_path)) as packed:
        entries = packed.getmembers()
    assert {entry.name.partition("/")[0] for entry in entries} == {NAME}
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname, entry.mode) for entry in entries} == {
        (0, 0, 0, "", 0o644)
    }


def test_it_has_the_contract_the_vectors_and_the_licence(extracted: Path) -> None:
    names = {str(path.relative_to(extracted)) for path in extracted.rglob("*") if path.is_file()}
    sources = {path.name for path in (ROOT / "protos/token_authority/v1").glob("*.proto")}
    vectors = {path.name for path in (ROOT / "tests/vectors").glob("*.json")}
    assert len(sources) >= 13
    assert len(vectors) >= 6
    assert names == {
        *("LICENSE", "README.md", "REFERENCE.md"),
        *("token_authority.binpb", "token_authority.rules.binpb"),
        *("vectors/channel_keys/derive.js", "vectors/channel_keys/vectors.json"),
        *(f"token_authority/v1/{name}" for name in sources),
        *(f"vectors/{name}" for name in {*vectors, "README.md", "run.py"}),
    }
    for name in ("token_authority.binpb", "token_authority/v1/rtc.proto"):
        assert (extracted / name).read_bytes() == (ROOT / "protos" / name).read_bytes()


def test_stubs_come_from_it_alone(extracted: Path, tmp_path: Path) -> None:
    run(
        TOOLS / "python",
        *("-m", "grpc_tools.protoc", "--descriptor_set_in=token_authority.binpb"),
        f"--python_out={tmp_path}",
        *("token_authority/v1/rtc.proto", "google/rpc/status.proto"),
        folder=extracted,
    )
    assert (tmp_path / "token_authority/v1/rtc_pb2.py").exists()
    assert (tmp_path / "google/rpc/status_pb2.py").exists()


def test_an_update_is_compared_with_what_was_before(extracted: Path) -> None:
    run(
        *(TOOLS / "buf", "breaking", extracted / "token_authority.binpb"),
        *("--against", ROOT / "protos/released/v1.binpb"),
        folder=extracted,
    )
