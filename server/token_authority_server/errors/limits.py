"""Errors of limits: rates, batch sizes and concurrent calls."""

from typing import Final

from token_authority_server.errors.refusal import Reason, Refusal

# A call takes a few milliseconds, a large batch some hundred.
_IN_FLIGHT_RETRY_SECONDS: Final = 0.1


def rate_limited(
    caller: str, rate: str, tokens: int, retry_after_seconds: float, *, limit: str = "rate limit"
) -> Refusal:
    """A rate limit of the caller would be exceeded; nothing is charged."""
    return Refusal(
        Reason.RATE_LIMITED,
        f"{limit} exceeded for caller '{caller}': {rate} ({tokens} requested)",
        f"retry in {retry_after_seconds:.3f} s",
        metadata={
            "caller": caller,
            "rate": rate,
            "tokens": str(tokens),
            "retry_after_seconds": f"{retry_after_seconds:.3f}",
        },
        subject=f"callers/{caller}",
        retry_after_seconds=retry_after_seconds,
    )


def batch_exceeds_limit(tokens: int, max_batch: int) -> Refusal:
    """The batch has more tokens than one of the caller's rate limits ever allows at once."""
    return Refusal(
        Reason.BATCH_EXCEEDS_LIMIT,
        f"a batch of {tokens} tokens is larger than your rate limit ever allows at once",
        f"request at most {max_batch} tokens per call",
        metadata={"tokens": str(tokens), "max_batch": str(max_batch)},
    )


def too_many_in_flight(caller: str, max_in_flight: int, *, of_caller: bool) -> Refusal:
    """The limit on concurrent calls is reached: of this caller, or of the server."""
    who = f"caller '{caller}'" if of_caller else "the server"
    advice = "wait for calls in flight to finish, then retry" if of_caller else "retry soon"
    return Refusal(
        Reason.TOO_MANY_IN_FLIGHT,
        f"too many concurrent calls: {who} is limited to {max_in_flight}",
        advice,
        metadata={
            "bound": "caller" if of_caller else "server",
            "max_in_flight": str(max_in_flight),
        },
        subject=f"callers/{caller}" if of_caller else "server",
        retry_after_seconds=_IN_FLIGHT_RETRY_SECONDS,
    )


def too_many_open_requests() -> Refusal:
    """Too many calls that need no credential wait for their message."""
    return _too_many_public_calls(
        "too many open calls have not sent their request message",
        "send the request message with the call",
    )


def too_many_unread_responses() -> Refusal:
    """Too many responses to calls that need no credential wait for their client to read them."""
    return _too_many_public_calls(
        "too many responses on this connection have not been read",
        "read the responses before making more calls",
    )


def _too_many_public_calls(message: str, advice: str) -> Refusal:
    return Refusal(
        Reason.TOO_MANY_IN_FLIGHT,
        message,
        advice,
        metadata={"bound": "server"},
        subject="server",
        retry_after_seconds=_IN_FLIGHT_RETRY_SECONDS,
    )
