"""Targets of the fuzzer, and what each of them checks."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from fuzz.mutating import Chance
from support.granting import API_KEY
from support.keys import SECRETS
from token_authority_server.audit.record import body_of
from token_authority_server.errors import Code, Refusal
from token_authority_server.rpc import status

# gRPC clients refuse trailers of more than 8 KiB, base64 included, by default.
_MAX_DETAILS: Final = 6 * 1024
_HIDDEN: Final = (*SECRETS, API_KEY)


class Target(NamedTuple):
    """A parser of untrusted input."""

    name: str
    draw: Callable[[Chance], Any]
    """Makes an input."""
    attempt: Callable[[Any], str]
    """Parses it, and returns the outcome; raises on a defect."""
    share: int
    """Its weight when inputs are divided among targets: lower where an input takes long."""


def check_shown(text: str, max_length: int = 20_000) -> None:
    """Raises AssertionError if a text for users or logs is too long or has a secret."""
    assert len(text) <= max_length
    assert not any(secret in text for secret in _HIDDEN)


def check_printed(text: str, max_length: int = 200_000) -> None:
    """Does the same for text on a terminal, where no character may control it."""
    check_shown(text, max_length)
    odd = {char for char in text if not char.isprintable() and char != "\n"}
    assert not odd, f"control characters in the output: {odd}"


def refused(refusal: Refusal) -> str:
    """Checks a refusal as it goes to the caller, the log and the audit trail."""
    assert refusal.reason.code is not Code.INTERNAL
    assert len(status.details(refusal)) <= _MAX_DETAILS
    # Raises for a token, and for what JSON cannot hold.
    body_of({"event": "refused", **refusal.audit_fields}, 0)
    check_shown(
        f"{refusal.message} {refusal.detail} {refusal.metadata} {refusal.violations} "
        f"{refusal.audit_fields}",
        200_000,
    )
    return refusal.reason.value
