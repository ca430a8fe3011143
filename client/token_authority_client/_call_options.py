"""Options that may differ from call to call."""

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from token_authority_client._errors import unusable

_REQUEST_ID: Final = re.compile(r"[!-~]{1,128}")
_MAX_SECONDS: Final = 86_400.0

Timeout = float | timedelta
"""Seconds, or a timedelta: longer than 0 and at most a day."""


@dataclass(frozen=True, slots=True)
class CallOptions:
    """How to make a call."""

    seconds: float
    """How long a call may take, retries included."""
    wait_for_ready: bool = False
    """Whether to wait for a server while none is reachable."""
    request_id: str = ""
    """Sent as `x-request-id`; "": none."""

    def __post_init__(self) -> None:
        """Validates the request ID."""
        if self.request_id and not _REQUEST_ID.fullmatch(self.request_id):
            raise unusable(
                "request_id must be 1 to 128 visible ASCII characters without spaces",
                "remove other characters, or shorten it",
            )


def seconds_of(timeout: object) -> float:
    """Returns a timeout in seconds.

    Raises:
        ConfigurationError: It is not a number or timedelta, or out of range.
    """
    if isinstance(timeout, timedelta):
        seconds = timeout.total_seconds()
    elif isinstance(timeout, int | float) and not isinstance(timeout, bool):
        seconds = float(timeout) if abs(timeout) <= _MAX_SECONDS else math.inf
    else:
        raise unusable(
            f"timeout must be a number of seconds or a timedelta; got {type(timeout).__name__}",
            "for example, pass 5 or timedelta(seconds=5)",
        )
    if not 0 < seconds <= _MAX_SECONDS:
        raise unusable(
            "timeout must be longer than 0 and at most a day (86400 seconds)",
            "for example, pass 5 or timedelta(seconds=5)",
        )
    return seconds
