"""The renewal schedule of a token: no clock, waiting or network.

Times are seconds of one monotonic clock, which callers read. A token's lifetime is the difference
of the server's own times, counted from before the request: no clock needs to be correct, and the
remaining lifetime is never overestimated.
"""

import math
import random
from collections.abc import Callable
from datetime import datetime
from typing import Final, Generic, Protocol, TypeVar

from token_authority_client._errors import Denied, TokenAuthorityError

JITTER: Final = 0.1
"""The fraction by which a renewal may be early, so that many clients do not renew at once."""
# Tokens with a shorter lifetime expire, instead of being requested in a loop.
_SHORTEST_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0


class Renewable(Protocol):
    """A token, or a session of several, whose fields are documented in IssuedToken."""

    @property
    def token_id(self) -> str:
        """The fingerprint."""
        ...

    @property
    def issue_time(self) -> datetime:
        """When it was issued, by the server's clock."""
        ...

    @property
    def expire_time(self) -> datetime | None:
        """When it expires; None: never."""
        ...

    @property
    def renew_time(self) -> datetime | None:
        """When to fetch the next one; None: never."""
        ...


RenewableT = TypeVar("RenewableT", bound=Renewable)


class Renewal(Generic[RenewableT]):
    """The renewal state of one token.

    Args:
        random_fraction: Returns a random number in [0, 1).
    """

    def __init__(self, random_fraction: Callable[[], float] = random.random) -> None:
        self._fraction = random_fraction
        self.token: RenewableT | None = None
        """The last token; it may have expired."""
        self._ends_at = -math.inf
        self._failures = 0
        self._has_had_one = False
        self.error: Exception | None = None
        """The last attempt's error; None if it succeeded."""
        self.due_at: float | None = None
        """When to fetch the next token; None: at the next request for one."""

    @property
    def is_failing(self) -> bool:
        """Whether the last attempt failed, and was not for the first token."""
        return self._has_had_one and self.error is not None

    def usable(self, now: float, min_seconds: float) -> RenewableT | None:
        """Returns the last token if it stays valid for at least `min_seconds`.

        Other threads may change the state meanwhile: they set the token before its end, and the end
        is read first.
        """
        remaining = self._ends_at - now
        return self.token if remaining > 0 and remaining >= min_seconds else None

    def succeeded(self, token: RenewableT, asked_at: float) -> bool:
        """Stores a token that was requested at `asked_at`; returns whether it is not the first."""
        is_renewal, self._has_had_one = self._has_had_one, True
        self.token, self.error, self._failures = token, None, 0
        if token.expire_time is None:
            self._ends_at, self.due_at = math.inf, None
            return is_renewal
        life = (token.expire_time - token.issue_time).total_seconds()
        wanted = (token.renew_time or token.expire_time) - token.issue_time
        # Below half a minute, the server's renew_time is the issue time: renewal would never pause.
        wait = max(wanted.total_seconds(), life / 2)
        self._ends_at = asked_at + life
        self.due_at = asked_at + max(wait * (1 - JITTER * self._fraction()), _SHORTEST_SECONDS)
        return is_renewal

    def failed(self, error: Exception, now: float) -> None:
        """Stores an error, and schedules another attempt if there was a token before.

        A denial drops that token; the next attempt is made at the next request for one.
        """
        self.error = error
        if isinstance(error, Denied):
            self.token, self.due_at = None, None
        if self.token is None:
            return
        pause = min(2.0**self._failures, _LONGEST_PAUSE_SECONDS) * (0.5 + self._fraction() / 2)
        if isinstance(error, TokenAuthorityError) and error.retry_after is not None:
            pause = max(pause, error.retry_after.total_seconds())
        self._failures = min(self._failures + 1, 10)
        self.due_at = now + pause
