"""Errors for Python values that the fields of requests cannot hold."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from token_authority_client._argument_names import argument_name
from token_authority_client._errors import FieldViolation, InvalidRequest

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
    """Returns what is allowed for a value that is not text."""
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


def invalid(field: str, reason: str, description: str) -> InvalidRequest:
    """Returns the error for one field; its text names the Python argument.

    Args:
        field: The field's path in the request message.
        reason: The violated rule.
        description: What is allowed. It follows the argument's name.
    """
    violation = FieldViolation(field, reason, description)
    return _invalid(violation, str(violation))


def _invalid(violation: FieldViolation, text: str) -> InvalidRequest:
    return InvalidRequest(
        f"invalid request: {text}",
        reason="INVALID_REQUEST",
        advice=text,
        metadata={"fields": violation.field},
        violations=[violation],
    )


def not_one_of(oneof: str, names: Sequence[str]) -> InvalidRequest:
    """Returns the error for mutually exclusive arguments that were passed together.

    Args:
        oneof: The path of the oneof in the request message.
        names: The arguments.
    """
    alternatives = ", ".join(names)
    prefix = argument_name(oneof).rpartition(".")[0]
    text = f"{prefix}: " if prefix else ""
    violation = FieldViolation(oneof, "ONE_OF", f"must be one of {alternatives}, not several")
    return _invalid(violation, f"{text}pass only one of {alternatives}")


def wrong_type(field: str, expected: str, value: object) -> InvalidRequest:
    """Returns the error for a value of another class.

    Args:
        field: The field's path in the request message.
        expected: The expected class with its article, e.g. "an RtmLogin".
        value: The value.
    """
    return invalid(field, "INVALID_VALUE", f"must be {expected}; got {type(value).__name__}")


def unfit(
    message_type: Callable[..., Message], path: str, fields: Mapping[str, Any]
) -> InvalidRequest:
    """Returns the error for the first value that its message cannot hold."""
    members = message_type().DESCRIPTOR.fields_by_name
    for name, value in fields.items():
        if not _fits(message_type, name, value):
            return invalid(path + name, "INVALID_VALUE", must_be(members[name], value))
    raise AssertionError("the fields are valid separately, but not together")


def _fits(message_type: Callable[..., Message], name: str, value: object) -> bool:
    try:
        message_type(**{name: value})
    except (TypeError, ValueError):
        return False
    return not isinstance(value, bytes | bool)
