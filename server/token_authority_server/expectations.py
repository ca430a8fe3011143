"""Decisions without a server: `explain`, and the `[[tests]]` of a configuration."""

from collections.abc import Callable, Iterator

from token_authority_server.authority import Allowed, Policy, decide
from token_authority_server.config import ConfigError, Settings
from token_authority_server.config.expectations import ALLOW
from token_authority_server.errors import Reason, Refusal
from token_authority_server.kinds.base import Moment
from token_authority_server.rpc.entries import EntryReader
from token_authority_server.rpc.validation import RequestParser


class Explainer:
    """Says what a server with some settings would decide.

    Args:
        settings: The settings.
        moments: Reads clock and entropy.
    """

    def __init__(self, settings: Settings, moments: Callable[[], Moment]) -> None:
        self._moments = moments
        self._policy = Policy(settings.keyring(), settings.callers_by_identity())
        self._entries = EntryReader(RequestParser())

    def explain(self, caller: str, entry: bytes) -> Allowed:
        """Decides on one request, an encoded IssueTokenRequest.

        Raises:
            Refusal: As the server would.
        """
        kind, request = self._entries.read(self._entries.decode(entry))
        return decide(self._policy, caller, kind, request, self._moments())


def check_expectations(settings: Settings, moments: Callable[[], Moment]) -> None:
    """Holds callers and grants against the `[[tests]]` of their configuration.

    Raises:
        ConfigError: With one line for each that does not hold.
    """
    if not settings.tests:
        return
    if failures := list(_failures(settings, Explainer(settings, moments))):
        raise ConfigError("\n".join(failures))


def _failures(settings: Settings, explainer: Explainer) -> Iterator[str]:
    for number, test in enumerate(settings.tests, 1):
        try:
            explainer.explain(test.caller, test.request)
            outcome, why = ALLOW, ""
        except Refusal as refusal:
            if refusal.reason is Reason.NO_ACTIVE_KEY and test.expect == ALLOW:
                # Who may ask is what is tested: a leaked key must be possible to disable before
                # its successor is there.
                continue
            outcome, why = refusal.reason.value, f": {refusal.message}"
        if outcome != test.expect:
            yield (
                f"[[tests]] number {number}: {test.caller} was to get {test.expect}, and gets "
                f"{outcome}{why}"
            )
