"""Reads the lifetimes of single privileges."""

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.duration_pb2 import Duration

from token_authority_server.errors import FieldViolation
from token_authority_server.families.expiration import duration_ms
from token_authority_server.families.terms import SECONDS


def privilege_ttls_ms(
    message: Any, fields: Iterable[str], prefix: str, violations: list[FieldViolation]
) -> dict[str, int]:
    """Returns the lifetimes that a message sets for single privileges, by field path.

    Args:
        message: The message.
        fields: Its fields with lifetimes.
        prefix: The path of the message, with a final dot.
        violations: Receives what is wrong.
    """
    found: dict[str, int] = {}
    for field in fields:
        if message.HasField(field):
            path = prefix + field
            found[path] = duration_ms(getattr(message, field), path, SECONDS, violations)
    return found


def privilege_seconds(message: Any, fields: Mapping[str, int]) -> dict[int, int]:
    """Returns privilege -> lifetime in seconds, for the fields that are set."""
    return {
        privilege: getattr(message, field).seconds
        for field, privilege in fields.items()
        if message.HasField(field)
    }


def at_most(privileges: Mapping[int, int], ttl_s: int) -> dict[int, int]:
    """Returns the privileges with no lifetime above the token's, which a grant may have clamped."""
    return {privilege: min(seconds, ttl_s) for privilege, seconds in privileges.items()}


def login_seconds(ttl: Duration, ttl_s: int) -> int:
    """Returns the lifetime of a login: its own if set, and at most the token's."""
    return min(ttl.seconds or ttl_s, ttl_s)
