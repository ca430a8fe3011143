"""Packs the contract for those who work elsewhere, into token-authority-contract-VERSION.tar.gz.

    python protos/archive.py FOLDER

The same sources give the same bytes, whoever packs them and whenever: files stand in the order of
their names, and neither times nor owners nor modes are taken from the disk. (Another zlib may
compress the same bytes in another way.) Prints the SHA-256 and the path. Needs nothing but Python
3.11.
"""

import gzip
import hashlib
import io
import sys
import tarfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Where files stand in the archive, and which files of the repository they are.
CONTENTS = {
    "": ["LICENSE", "client/REFERENCE.md", "protos/README.md", "protos/*.binpb"],
    "token_authority/v1/": ["protos/token_authority/v1/*.proto"],
    "vectors/": ["tests/vectors/README.md", "tests/vectors/run.py", "tests/vectors/*.json"],
}


def version() -> str:
    """Returns the version of the project."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def contents() -> dict[str, bytes]:
    """Returns what goes in, by name.

    Raises:
        FileNotFoundError: A pattern of CONTENTS has no file.
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
    """Returns a .tar.gz of files, under one folder."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in sorted(files.items()):
            # Of root, without a time; only the mode has to be chosen.
            entry = tarfile.TarInfo(f"{top}/{name}")
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(tar.getvalue(), mtime=0)


def main(folder: Path) -> None:
    """Writes the archive into a folder, and says which it is."""
    name = f"token-authority-contract-{version()}"
    data = packed(name, contents())
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.tar.gz"
    path.write_bytes(data)
    sys.stdout.write(f"{hashlib.sha256(data).hexdigest()}  {path}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
