"""Violations of the contract as sentences about Python arguments.

The contract's `channel_name`, `services[0].rtc.login_ttl` and `room.room_uuid` are `channel`,
`services[0].login` and `room` in Python.
"""

import re
from collections.abc import Sequence
from typing import Final

_RULES: Final = tuple(
    [
        (re.compile(pattern), replacement)
        for pattern, replacement in (
            (r"^(requests\[\d+\])\.\w+", r"\1"),
            (r"(services\[\d+\])\.\w+", r"\1"),
            (r"^expected\.", ""),
            (r"\bpermissions\.permissions\b", "permissions"),
            (r"\bchannel_name$", "channel"),
            (r"\b(room|task)\.\1_uuid$", r"\1"),
            (r"\b(room_user|user)\.(?=\w+$)", ""),
            (r"(?<=\w)_ttl$", ""),
        )
    ]
)
_ONE_OF: Final = "must be set: one of "


def argument_name(path: str) -> str:
    """Returns the Python argument of a field's path, e.g. `channel` for `channel_name`."""
    for pattern, replacement in _RULES:
        path = pattern.sub(replacement, path)
    return path


def sentence(path: str, description: str) -> str:
    """Returns what is wrong with the argument of a field, and what is allowed."""
    name = argument_name(path)
    if not description.startswith(_ONE_OF):
        return f"{name} {description}"
    members = description.removeprefix(_ONE_OF).split(", ")
    prefix, _, oneof = name.rpartition(".")
    where = f"{prefix}: " if prefix else ""
    return f"{where}{_alternatives(oneof, members)} is required"


def _alternatives(oneof: str, members: Sequence[str]) -> str:
    """Returns the arguments of which one has to be given."""
    if oneof == "subject":
        return "user_uuid or app" if "room_user" in members else "user_id or app"
    *names, last = [argument_name(member) for member in members]
    return f"{', '.join(names)} or {last}"
