"""The lock files: pinned by hash, for any registry, with the grpcio that pyproject.toml allows."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCKS = [
    ROOT / "server/requirements.lock",
    ROOT / "tests/requirements.lock",
    ROOT / "protos/requirements.lock",
    ROOT / "release/requirements.lock",
]


def requirements(lock: Path) -> list[str]:
    text = re.sub(r"^ *#.*\n", "", lock.read_text(), flags=re.MULTILINE)
    return text.replace("\\\n", "").splitlines()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.parent.name)
def test_every_requirement_has_a_version_and_hashes_and_no_registry(lock: Path) -> None:
    lines = requirements(lock)
    assert len(lines) > 5
    for line in lines:
        assert re.match(r"[\w.\[\],-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line
        assert "://" not in line


@pytest.mark.parametrize("lock", LOCKS[:2], ids=lambda lock: lock.parent.name)
def test_grpcio_is_held_below_1_84_where_older_ones_have_wheels(lock: Path) -> None:
    (grpcio,) = [
        requirement
        for line in requirements(lock)
        if (requirement := Requirement(line.partition(" --hash")[0])).name == "grpcio"
        and (requirement.marker is None or requirement.marker.evaluate({"python_version": "3.14"}))
    ]
    (pinned,) = grpcio.specifier
    assert [int(part) for part in pinned.version.split(".")[:2]] < [1, 84]
