"""Files that are replaced while a server may read them."""

from pathlib import Path


def replace(path: Path, data: str | bytes) -> None:
    """Replaces a file at once: writes another one, and renames it."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(data.encode() if isinstance(data, str) else data)
    new.rename(path)
