"""Hides the memory of the process, which has signing keys, from other processes of its user."""

import ctypes
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def forbid_dumps() -> None:
    """Turns off core dumps and ptrace by processes of the same user (Linux: PR_SET_DUMPABLE).

    A core dump would write every signing key to a disk, and a debugger of the same user could read
    them. On other systems this does nothing.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
