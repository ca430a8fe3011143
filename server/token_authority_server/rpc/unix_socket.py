"""Unix sockets that nobody loses: gRPC alone would take the path from whoever listens there."""

import fcntl
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ELSEWHERE: Final = (
    "stop what is there, or listen elsewhere (serve --dev --listen, or server.listen in a file)"
)


class ListenError(Exception):
    """An address that cannot be listened on; the message says why and what to do."""


@contextmanager
def held(path: Path) -> Generator[None]:
    """Holds a path to listen on by the lock of a file beside it; removes the socket at the end.

    Raises:
        ListenError: Somebody listens there, something else is there, or the folder does not allow.
    """
    if path.exists() and not path.is_socket():
        raise ListenError(
            f"cannot listen on unix:{path}: a file or folder is in the way; {ELSEWHERE}"
        )
    lock_path = path.with_name(path.name + ".lock")
    try:
        lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ListenError(
            f"cannot listen on unix:{path}: {lock_path}: {error.strerror}; "
            "create the folder, or allow this user to write to it"
        ) from None
    with os.fdopen(lock):
        if not _is_free(lock, path):
            raise ListenError(f"cannot listen on unix:{path}: another server does; {ELSEWHERE}")
        try:
            yield
        finally:
            # Nobody else listened and nobody could since: a socket here is ours.
            if path.is_socket():
                path.unlink()


def _is_free(lock: int, path: Path) -> bool:
    """Takes the lock; then nobody of ours listens, and connecting shows whether anyone does."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) != 0


@contextmanager
def for_owner_and_group() -> Generator[None]:
    """Lets owner and group connect to the sockets that are made meanwhile, and nobody else."""
    previous = os.umask(0o117)
    try:
        yield
    finally:
        os.umask(previous)
