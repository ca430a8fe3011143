"""Which functions a piece of code calls."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def functions_called() -> Generator[list[str]]:
    """Yields a list that gets the name of each function that this thread calls in the block.

    Resumed coroutines and functions that are not written in Python count too.
    """
    names: list[str] = []

    def note(frame: FrameType, event: str, function: Any) -> None:
        if event == "call":
            names.append(frame.f_code.co_name)
        elif event == "c_call":
            names.append(function.__name__)

    sys.setprofile(note)
    try:
        yield names
    finally:
        sys.setprofile(None)
