"""Signals from the first millisecond, and an end that nothing can delay.

Standard library only: it is imported before anything that takes time.
"""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGINT)


def end_while_starting() -> None:
    """Makes SIGTERM and SIGINT end the process at once, with 0, until `serve` handles them.

    Call it before anything that takes time is imported. Without a handler the kernel drops SIGTERM
    for PID 1 of a container. SIGHUP is ignored until then, SIGUSR1 and SIGUSR2 for good: their
    default is to end the process.

    Python itself takes some 20 ms before this runs. The image therefore starts it with SIGTERM
    blocked: the kernel keeps a blocked signal, for PID 1 too, and it arrives here.
    """
    for number in STOPPING:
        signal.signal(number, _end)
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


def _end(_number: int, _frame: FrameType | None) -> None:
    # Nothing has begun that would have to be finished; an exception could be caught by an import.
    os._exit(0)


class Deadline:
    """Ends the process at a set time, even if something hangs, e.g. a thread that never returns.

    Args:
        on_late: Called before it ends the process; must not block.
    """

    def __init__(self, on_late: Callable[[], None]) -> None:
        self._on_late = on_late

    def set(self, seconds: float) -> None:
        """Ends the process with 1 after some seconds, unless it has ended; the earliest counts."""
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        timer.start()

    def _end(self) -> None:
        try:
            self._on_late()
        finally:
            os._exit(1)
