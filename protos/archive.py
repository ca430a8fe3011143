"""Packs the contract for other repositories into token-authority-contract-VERSION.tar.gz.

    python protos/archive.py FOLDER

The archive is reproducible: files are sorted by name, and times, owners and modes are constants.
(Another zlib may compress the same bytes differently.) Prints the SHA-256 and the path. Needs only
Python 3.11.
"""

import gzip
import hashlib
import io
import sys
import tarfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Folders of the archive, and the files of the repository that go there.
CONTENTS = {
    "": ["LICENSE", "client/REFERENCE.md", "protos/README.md", "protos/*.binpb"],
    "token_authority/v1/": ["protos/token_authority/v1/*.proto"],
    "vectors/": [
        "tests/vectors/README.md",
        "tests/vectors/run.py",
        "tests/vectors/*.json",
    ],
    "vectors/channel_keys/": ["tests/vectors/channel_keys/*"],
}


def version() -> str:
    """Returns the version of the project."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def contents() -> dict[str, bytes]:
    """Returns the files of the archive by name.

    Raises:
        FileNotFoundError: A pattern of CONTENTS matches no file.
    """
    found: dict[str, bytes] = {}
    for folder, patterns in CONTENTS.items():
        for pattern in patterns:
            paths = list(ROOT.glob(pattern))
            if not paths:
                raise FileNotFoundError(pattern)
            found |= {folder + path.name: path.read_bytes() for path in paths}
    return found


def packed(top: str, files: dict[str, bytes]) -> bytes:
    """Returns a .tar.gz with the files in one folder."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in sorted(files.items()):
            # TarInfo's defaults are root and time 0; only the mode needs a value.
            entry = tarfile.TarInfo(f"{top}/{name}")
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(tar.getvalue(), mtime=0)


def main(folder: Path) -> None:
    """Writes the archive into a folder, and prints its SHA-256 and path."""
    name = f"token-authority-contract-{version()}"
    data = packed(name, contents())
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.tar.gz"
    path.write_bytes(data)
    sys.stdout.write(f"{hashlib.sha256(data).hexdigest()}  {path}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
