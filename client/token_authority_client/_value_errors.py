"""Error texts for Python values that protobuf fields cannot hold."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

_BITS: Final[Mapping[int, int]] = {
    FieldDescriptor.CPPTYPE_INT32: 32,
    FieldDescriptor.CPPTYPE_INT64: 64,
}


def must_be(member: Any, value: object) -> str:
    """Returns what is allowed for a value that its field, of text or integers, cannot hold."""
    if member.cpp_type not in _BITS:
        return must_be_text(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"must be an integer of at most {_BITS[member.cpp_type]} bits"
    problem = f"must be an integer; got {type(value).__name__}"
    if isinstance(value, str) and member.name == "uid":
        text = repr(value if len(value) <= 40 else "…")
        return f"{problem} {text}: pass int(uid), or user_account={text}"
    return problem


def must_be_text(value: object) -> str:
    if isinstance(value, str):
        return "must be valid Unicode text"
    advice = ": decode it first" if isinstance(value, bytes) else ""
    return f"must be a str; got {type(value).__name__}{advice}"


def must_be_timedelta(value: object) -> str:
    """Returns what is allowed for a value that is not a lifetime."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        name = type(value).__name__
        return f"must be a timedelta; got {name} {value}: pass timedelta(seconds={value})"
    if isinstance(value, timedelta):
        return "must be a timedelta of at most 10000 years"
    return f"must be a timedelta; got {type(value).__name__}"
