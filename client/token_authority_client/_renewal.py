"""When to fetch the next token, and whether the last one will do. No clock, no waiting, no network.

Times are seconds of one monotonic clock, which its callers read. How long a token lives is counted
from when it was asked for, by the difference of the server's own times: so no clock needs to be set
right, and what is left is never overestimated.
"""

import math
import random
from collections.abc import Callable
from typing import Final

from token_authority_client._errors import TokenAuthorityError
from token_authority_client._values import IssuedToken

JITTER: Final = 0.1
"""By how much of its time a token may be renewed early, so that many are not renewed at once."""
# A token that lives shorter than this is let end, rather than asked for in a loop.
_SHORTEST_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0


class Renewal:
    """The state of one token that is kept fresh.

    Args:
        chance: Returns a number from 0 up to 1.
    """

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._token: IssuedToken | None = None
        self._ends_at = -math.inf
        self._failures = 0
        self.error: Exception | None = None
        """Why the last attempt brought no token; None if it brought one."""
        self.due_at: float | None = None
        """When to fetch the next token; None: not before somebody asks for it."""

    def usable(self, now: float, min_seconds: float) -> IssuedToken | None:
        """Returns the last token if it lives on, for so many seconds at least."""
        remaining = self._ends_at - now
        return self._token if remaining > 0 and remaining >= min_seconds else None

    def succeeded(self, token: IssuedToken, asked_at: float) -> bool:
        """Notes a token, asked for at `asked_at`; returns whether there was one before."""
        is_renewal = self._token is not None
        self._token, self.error, self._failures = token, None, 0
        if token.expire_time is None:
            self._ends_at, self.due_at = math.inf, None
            return is_renewal
        life = (token.expire_time - token.issue_time).total_seconds()
        wanted = (token.renew_time or token.expire_time) - token.issue_time
        # The server wants tokens of half a minute renewed at once, which would never end.
        wait = max(wanted.total_seconds(), life / 2)
        self._ends_at = asked_at + life
        self.due_at = asked_at + max(wait * (1 - JITTER * self._chance()), _SHORTEST_SECONDS)
        return is_renewal

    def failed(self, error: Exception, now: float) -> None:
        """Notes that there was no token, and plans another attempt if there ever was one."""
        self.error = error
        if self._token is None:
            return
        pause = min(2.0**self._failures, _LONGEST_PAUSE_SECONDS) * (0.5 + self._chance() / 2)
        if isinstance(error, TokenAuthorityError) and error.retry_after is not None:
            pause = max(pause, error.retry_after.total_seconds())
        self._failures = min(self._failures + 1, 10)
        self.due_at = now + pause
