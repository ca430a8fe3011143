"""Standard streams that are always open. Standard library only, as `signals` is."""

import os
import sys

_MODES = (os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)


def open_standard_streams() -> None:
    """Opens the standard streams that the process was started without (`2>&-`).

    Otherwise the next file or connection gets the free descriptor, and receives what libraries
    write to it; Python has None as the stream, and print(file=None) writes to standard output.

    Input is empty then, and errors are discarded. Output is opened for reading, so that writing to
    it fails: a token that reaches nobody is no success.
    """
    for number, (name, mode) in enumerate(zip(("stdin", "stdout", "stderr"), _MODES, strict=True)):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, mode)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))
