"""What a reload changed, for the log and the audit trail."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

_NAMES_PER_RECORD: Final = 1000
"""Names in one record of the trail, whose length is limited, and in one line of the log."""


def for_log(changes: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Returns changes for the log, where a long list would delay calls; the trail has all."""
    return {
        name: found
        if len(found) <= _NAMES_PER_RECORD
        else [*found[:_NAMES_PER_RECORD], f"and {len(found) - _NAMES_PER_RECORD} more"]
        for name, found in changes.items()
    }


def for_trail(changes: Mapping[str, list[str]]) -> Iterator[dict[str, Any]]:
    """Yields the record of a change; several if it has too many names for one."""
    if changes and sum(map(len, changes.values())) <= _NAMES_PER_RECORD:
        yield {"event": "configuration", **changes}
        return
    for name, found in changes.items():
        for start in range(0, len(found), _NAMES_PER_RECORD):
            yield {"event": "configuration", name: found[start : start + _NAMES_PER_RECORD]}
