"""Locks unix sockets: gRPC alone would take the path from a server that listens there."""

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
    """An address cannot be listened on; the message says why and what to do."""


@contextmanager
def held(path: Path) -> Generator[None]:
    """Locks a socket's path by a file beside it, and removes the socket at the end.

    Raises:
        ListenError: Another server listens there, the path is no socket, or the folder forbids it.
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
            # The lock was held all the time: a socket here is ours.
            if path.is_socket():
                path.unlink()


def _is_free(lock: int, path: Path) -> bool:
    """Takes the lock, which excludes our servers, and connects, which finds any other."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) != 0


@contextmanager
def for_owner_and_group() -> Generator[None]:
    """Creates sockets that only owner and group may connect to, while the block runs."""
    previous = os.umask(0o117)
    try:
        yield
    finally:
        os.umask(previous)
