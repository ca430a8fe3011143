"""Errors of the request itself: it violates the contract or is too large."""

from collections.abc import Sequence
from typing import Final

from token_authority_server.errors.refusal import FieldViolation, Reason, Refusal

# The message names this many violations; the details have more, a batch can have thousands.
_MAX_IN_MESSAGE: Final = 5


def invalid_request(violations: Sequence[FieldViolation]) -> Refusal:
    """The request violates the contract, field by field."""
    named = violations[:_MAX_IN_MESSAGE]
    sentences = [f"{violation.field} {violation.description}" for violation in named]
    if len(violations) > len(named):
        sentences.append(f"and {len(violations) - len(named)} more")
    return Refusal(
        Reason.INVALID_REQUEST,
        "invalid request",
        "; ".join(sentences),
        metadata={
            "fields": ",".join([violation.field for violation in named]),
            "violation_count": str(len(violations)),
        },
        violations=violations,
    )


def undecodable_request(message_name: str) -> Refusal:
    """The request's bytes cannot be decoded as the method's message."""
    return Refusal(
        Reason.INVALID_REQUEST,
        f"the request is not a valid {message_name}",
        "generate the stubs from this server's version of the contract",
        metadata={"message": message_name},
    )


def unknown_fields(message_name: str) -> Refusal:
    """The request has fields that this server's version of the contract does not define."""
    return Refusal(
        Reason.INVALID_REQUEST,
        f"unknown fields in {message_name}",
        "update the server, or unset the fields that its version of the contract does not define",
        metadata={"message": message_name},
    )


def oversized_issue_request(max_bytes: int) -> Refusal:
    """The request for one token exceeds its size limit."""
    return _oversized(
        "the request for one token",
        max_bytes,
        "list fewer RTM resources, or distribute them over several tokens",
    )


def oversized_request(max_bytes: int) -> Refusal:
    """The request exceeds `max_request_bytes`."""
    return _oversized(
        "the request",
        max_bytes,
        "send fewer entries per batch; for InspectToken, send the token alone; or raise "
        "max_request_bytes on the server",
    )


def _oversized(what: str, max_bytes: int, advice: str) -> Refusal:
    return Refusal(
        Reason.INVALID_REQUEST,
        f"{what} is larger than {max_bytes} bytes",
        advice,
        metadata={"max_bytes": str(max_bytes)},
    )


def missing_request(max_bytes: int) -> Refusal:
    """The client ended the call without a message, or grpc rejected the message as too large."""
    return Refusal(
        Reason.INVALID_REQUEST,
        "the call has no request message",
        "send exactly one message",
        detail=f"no message, or one far larger than {max_bytes} bytes",
    )


def overdue_request(seconds: float) -> Refusal:
    """The request message did not arrive in time."""
    return Refusal(
        Reason.INVALID_REQUEST,
        f"the request message did not arrive within {seconds:g} s",
        "send the message with the call, or retry on a faster connection",
        metadata={"seconds": f"{seconds:g}"},
    )


def undecodable_compression() -> Refusal:
    """The request message is compressed and cannot be decompressed."""
    return Refusal(
        Reason.INVALID_REQUEST,
        "the compressed request message cannot be decompressed",
        "send it uncompressed, or as gzip or deflate",
    )
