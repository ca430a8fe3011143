"""Creates files that only their owner may read."""

import os
from pathlib import Path


def create_private_file(path: Path, data: bytes) -> None:
    """Creates a file with mode 0600; removes it again if it cannot be written.

    Raises:
        FileExistsError: It exists.
        OSError: It cannot be created or written.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
    except OSError:
        path.unlink(missing_ok=True)
        raise
