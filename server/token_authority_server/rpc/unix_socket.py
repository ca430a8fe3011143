"""Locks unix sockets: gRPC alone would take the path from a server that listens there."""

import errno
import fcntl
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ELSEWHERE: Final = (
    "free the address, or listen elsewhere (serve --dev --listen, or server.listen in a file)"
)

_UNPRIVILEGED: Final = 1024


class ListenError(Exception):
    """An address cannot be listened on; the message has the cause and what to do."""


@contextmanager
def held(path: Path) -> Generator[None]:
    """Locks a socket's path by a file next to it, and removes the socket at the end.

    Raises:
        ListenError: Another server listens there, the path is no socket, or the folder forbids it.
    """
    _check_path(path)
    lock_path = _lock_path(path)
    try:
        lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _cannot_lock(path, error.errno) from None
    with os.fdopen(lock):
        if not _is_free(lock, path):
            raise ListenError(
                f"cannot listen on unix:{path}: another server listens there; {ELSEWHERE}"
            )
        try:
            yield
        finally:
            # The lock was held all the time: a socket here is ours.
            if path.is_socket():
                path.unlink()


def check_listener(address: str) -> None:
    """Checks that this process could listen on an address, and does not occupy it.

    Another process may be listening there at this moment.

    Raises:
        ListenError: As the server, at its start.
    """
    if address.startswith("unix:"):
        path = Path(address.removeprefix("unix:"))
        _check_path(path)
        folder, lock_path = path.parent, _lock_path(path)
        if not folder.is_dir():
            raise _cannot_lock(path, errno.ENOENT)
        if not os.access(lock_path if lock_path.exists() else folder, os.W_OK):
            raise _cannot_lock(path, errno.EACCES)
        return
    if probe_address(address):
        raise cannot_listen(address)


def probe_address(address: str) -> OSError | None:
    """Returns why an `ADDRESS:PORT` can never be bound; a port that is in use now is no reason."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            # Any free port, so that the server can bind the real one in the meantime; but a
            # privileged port itself, since binding it may be forbidden.
            probe.bind((host, int(port) if int(port) < _UNPRIVILEGED else 0))
    except OSError as error:
        return None if error.errno == errno.EADDRINUSE else error
    return None


def cannot_listen(address: str) -> ListenError:
    """Returns the error for an address and port that cannot be bound."""
    causes = ["another process listens there", "the address is not one of this machine"]
    if 0 < int(address.rpartition(":")[2]) < _UNPRIVILEGED:
        causes.append("a port below 1024 requires the capability CAP_NET_BIND_SERVICE")
    return ListenError(f"cannot listen on {address}: {', or '.join(causes)}; {ELSEWHERE}")


def _check_path(path: Path) -> None:
    if path.exists() and not path.is_socket():
        raise ListenError(
            f"cannot listen on unix:{path}: a file or folder is in the way; {ELSEWHERE}"
        )


def _lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _cannot_lock(path: Path, number: int | None) -> ListenError:
    problem = os.strerror(number or errno.EIO)
    return ListenError(
        f"cannot listen on unix:{path}: {_lock_path(path)}: {problem}; "
        "create the folder, or allow this user to write to it"
    )


def _is_free(lock: int, path: Path) -> bool:
    """Acquires the lock, which excludes our servers, and connects, which finds any other."""
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
