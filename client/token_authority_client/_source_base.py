"""What token sources for asyncio and for threads have in common."""

import logging
import time
from collections.abc import Callable
from typing import Final, Generic

from token_authority_client._concrete_methods import ConcreteMethods
from token_authority_client._errors import ClientClosed, TokenAuthorityError, unusable
from token_authority_client._renewal import RenewableT, Renewal

_LOGGER: Final = logging.getLogger("token_authority_client")


class SourceBase(ConcreteMethods, Generic[RenewableT]):
    """A source's token, callbacks and log.

    Args:
        check_process: Raises ClientClosed in a forked process that cannot use the client.
    """

    def __init__(self, check_process: Callable[[], None]) -> None:
        self._check_process = check_process
        self._renewal: Renewal[RenewableT] = Renewal()
        self._callbacks: list[Callable[[RenewableT], object]] = []
        self._closed = False
        self._is_failure_logged = False

    def on_renewal(self, callback: Callable[[RenewableT], object]) -> None:
        """Registers a function that is called with each new token after the first.

        It is called on the event loop, or else in the source's thread, so it must not block for
        long. If it raises, the type of its exception is logged.
        """
        self._callbacks.append(callback)

    def _usable(self, min_seconds: float) -> RenewableT | None:
        if self._closed:
            raise _closed()
        return self._renewal.usable(time.monotonic(), min_seconds)

    def _after_fetching(self, min_seconds: float) -> RenewableT:
        """Returns the current token, or raises the error that explains why there is none."""
        token = self._usable(min_seconds)
        if token is not None:
            return token
        if self._renewal.error is not None:
            # Several callers may raise the same error: tracebacks must not accumulate.
            raise self._renewal.error.with_traceback(None)
        raise unusable(
            "min_remaining is longer than the lifetime of new tokens", "request a longer ttl"
        )

    def _notify(self, token: RenewableT) -> None:
        for callback in self._callbacks:
            try:
                callback(token)
            except Exception as error:  # noqa: BLE001  # users' code must not stop the renewal
                # The exception's text may contain the token.
                _LOGGER.error("a callback of on_renewal raised %s", type(error).__name__)  # noqa: TRY400

    def _log_renewal(self) -> None:
        """Logs the first failure of a renewal, and the token that ends a series of failures."""
        token, error = self._renewal.token, self._renewal.error
        if self._closed or self._renewal.is_failing == self._is_failure_logged:
            return
        self._is_failure_logged = self._renewal.is_failing
        # The texts of other exceptions may contain anything.
        cause = error if isinstance(error, TokenAuthorityError) else type(error).__name__
        if not self._is_failure_logged:
            name = "" if token is None else token.token_id
            _LOGGER.warning("token %s replaces the one that could not be renewed", name)
        elif token is None:
            _LOGGER.warning("the token is dropped and not renewed. Cause: %s", cause)
        else:
            _LOGGER.warning(
                "cannot renew token %s, which expires at %s UTC; retrying. Cause: %s",
                token.token_id,
                f"{token.expire_time:%Y-%m-%d %H:%M:%S}",
                cause,
            )


def _closed() -> ClientClosed:
    advice = "create a new one"
    return ClientClosed(f"the token source is closed: {advice}", advice=advice)
