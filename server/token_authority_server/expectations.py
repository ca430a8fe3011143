"""Decisions without a server: `explain`, and the `[[tests]]` of a configuration."""

import os
import time
from collections.abc import Iterator

from token_authority_server.authority import Allowed, Policy, decide
from token_authority_server.callers import Caller
from token_authority_server.config import ConfigError, Settings
from token_authority_server.config.expectations import ALLOW
from token_authority_server.errors import Refusal
from token_authority_server.formats.netless import nonce_text
from token_authority_server.kinds.base import Moment
from token_authority_server.rpc.entries import EntryReader
from token_authority_server.rpc.validation import RequestParser


def moment() -> Moment:
    """Reads clock and entropy for one token."""
    chance = os.urandom(20)
    return Moment(
        now_ms=time.time_ns() // 1_000_000,
        salt=int.from_bytes(chance[:4], "little"),
        nonce=nonce_text(chance[4:]),
    )


class Explainer:
    """Says what a server with some settings would decide.

    Args:
        settings: The settings.
    """

    def __init__(self, settings: Settings) -> None:
        self._policy = Policy(settings.keyring(), settings.callers_by_identity())
        self._entries = EntryReader(RequestParser())

    def explain(self, caller: str, entry: bytes) -> Allowed:
        """Decides on one request, an encoded IssueTokenRequest.

        Raises:
            Refusal: As the server would.
            KeyError: There is no such caller.
        """
        kind, request = self._entries.read(self._entries.decode(entry))
        return decide(self._policy.keyring, self._caller(caller), kind, request, moment())

    def _caller(self, name: str) -> Caller:
        return self._policy.callers.by_name[name]


def check_expectations(settings: Settings) -> None:
    """Holds callers and grants against the `[[tests]]` of their configuration.

    Raises:
        ConfigError: With one line for each that does not hold.
    """
    if not settings.tests:
        return
    if failures := list(_failures(settings, Explainer(settings))):
        raise ConfigError("\n".join(failures))


def _failures(settings: Settings, explainer: Explainer) -> Iterator[str]:
    for number, test in enumerate(settings.tests, 1):
        try:
            explainer.explain(test.caller, test.request)
            outcome, why = ALLOW, ""
        except Refusal as refusal:
            outcome, why = refusal.reason.value, f": {refusal.message}"
        if outcome != test.expect:
            yield (
                f"[[tests]] number {number}: {test.caller} was to get {test.expect}, and gets "
                f"{outcome}{why}"
            )
