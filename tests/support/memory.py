"""Memory of processes, as the kernel accounts it."""

from pathlib import Path


def resident_mib(process: int | str = "self", field: str = "VmRSS") -> float:
    """Returns the resident memory of a process in MiB.

    Args:
        process: Its id.
        field: "VmRSS" for what it has now, "VmHWM" for the most that it had.

    Raises:
        LookupError: The process has ended.
    """
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(field)
