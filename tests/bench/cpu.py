"""The CPU time of another process."""

import time


def cpu_seconds(pid: int) -> float:
    """Returns what a process and all its threads have used since its start, user and system.

    To the nanosecond: /proc counts in ticks of 10 ms. The clock's number is the one that
    clock_getcpuclockid(3) gives on Linux.
    """
    return time.clock_gettime((~pid << 3) | 2)
