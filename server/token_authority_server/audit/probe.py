"""Checks whether a file can be appended to, without changing its content."""

import ctypes
import errno
import os
from collections.abc import Callable
from typing import Any, Final

_KEEP_SIZE: Final = 1
"""FALLOC_FL_KEEP_SIZE: reserve blocks beyond the end, and leave the size as it is."""
_UNSUPPORTED: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV})


def _fallocate() -> Callable[..., int] | None:
    # Not os.posix_fallocate, which makes the file longer.
    found: Any = getattr(ctypes.CDLL(None, use_errno=True), "fallocate", None)
    if found is None or ctypes.sizeof(ctypes.c_long) < 8:
        return None
    found.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long)
    found.restype = ctypes.c_int
    call: Callable[..., int] = found
    return call


_FALLOCATE: Final = _fallocate()


def check_room(fd: int, size_bytes: int) -> None:
    """Reserves blocks after the end of a file; its content and size do not change.

    That needs what the next write needs: free blocks, quota, and a writable file system. A write
    of no bytes succeeds on a full disk, and a test file in the same folder needs the right to
    create files, which a server may not have.

    Args:
        fd: The file, open for writing.
        size_bytes: How much room there must be.

    Raises:
        OSError: A write would fail.
    """
    if _FALLOCATE is not None:
        end = os.fstat(fd).st_size
        if _FALLOCATE(fd, _KEEP_SIZE, end, size_bytes) == 0:
            return
        number = ctypes.get_errno()
        if number not in _UNSUPPORTED:
            raise OSError(number, os.strerror(number))
    # NFS before 4.2 and some FUSE file systems cannot reserve: ask how much is free.
    status = os.fstatvfs(fd)
    if status.f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    if status.f_bavail * status.f_frsize < size_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
