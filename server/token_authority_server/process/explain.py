"""Decisions without a server: `explain`, and the `[[tests]]` of a configuration."""

from collections.abc import Callable, Iterator
from typing import Final

from token_authority.v1 import inspection_pb2
from token_authority_server.authorization import AuthorizedRequest, PolicySnapshot, authorize
from token_authority_server.channel_keys import AllowedChannelKey, authorize_channel_key
from token_authority_server.config import ConfigError, Settings
from token_authority_server.config.expectations import ALLOW
from token_authority_server.errors import Reason, Refusal
from token_authority_server.families import Moment
from token_authority_server.inspection import inspect_token
from token_authority_server.process.moments import read_moment
from token_authority_server.rpc.encryption_service import channel_key_parser
from token_authority_server.rpc.entries import EntryReader
from token_authority_server.rpc.inspection_service import expected_of, response_of
from token_authority_server.rpc.validation import RequestParser

# `[[tests]]` are about grants: a leaked key can be disabled before it is replaced, and a user can
# be denied at any time.
_NOT_OF_GRANTS: Final = frozenset((Reason.NO_ACTIVE_KEY, Reason.DENIED))
_INSPECT: Final = inspection_pb2.InspectTokenRequest.DESCRIPTOR.full_name


class Explainer:
    """Decides on requests as a server with the given settings would.

    Args:
        policy: The callers and keys that requests are decided with.
        moments: Reads clock and entropy.
    """

    def __init__(self, policy: PolicySnapshot, moments: Callable[[], Moment]) -> None:
        self._moments = moments
        self._policy = policy
        parser = RequestParser()
        self._entries = EntryReader(parser)
        self._parse_channel_key = channel_key_parser(parser)

    def explain(self, caller: str, entry: bytes) -> AuthorizedRequest:
        """Decides on one request, an encoded IssueTokenRequest.

        Raises:
            Refusal: As the server would.
        """
        family, request = self._entries.read(self._entries.decode(entry))
        return authorize(self._policy, caller, family, request, self._moments())

    def explain_channel_key(self, caller: str, data: bytes) -> AllowedChannelKey:
        """Decides on an encoded IssueChannelKeyRequest.

        Raises:
            Refusal: As the server would.
        """
        request = self._parse_channel_key(data)
        return authorize_channel_key(self._policy, caller, request, self._moments().now_ms)


def check_expectations(
    settings: Settings, moments: Callable[[], Moment], policy: PolicySnapshot | None = None
) -> None:
    """Checks callers and grants against the `[[tests]]` of their configuration.

    Args:
        settings: The settings.
        moments: Reads clock and entropy.
        policy: The snapshot built from the settings; None: build it.

    Raises:
        ConfigError: With one line for each test that fails.
    """
    if not settings.tests:
        return
    explainer = Explainer(policy or settings.policy(), moments)
    if failures := list(_failures(settings, explainer)):
        raise ConfigError("\n".join(failures))


def _failures(settings: Settings, explainer: Explainer) -> Iterator[str]:
    for number, test in enumerate(settings.tests, 1):
        try:
            data, is_channel_key = test.request
            if is_channel_key:
                explainer.explain_channel_key(test.caller, data)
            else:
                explainer.explain(test.caller, data)
            outcome, why = ALLOW, ""
        except Refusal as refusal:
            if refusal.reason in _NOT_OF_GRANTS and test.expect == ALLOW:
                continue
            outcome, why = refusal.reason.value, f": {refusal.message}"
        if outcome != test.expect:
            yield (
                f"[[tests]] test {number} (caller {test.caller}): expected {test.expect}, got "
                f"{outcome}{why}"
            )


def explain(settings: Settings, caller: str, entry: bytes) -> AuthorizedRequest:
    """Decides on an encoded IssueTokenRequest as a server with these settings would.

    Raises:
        Refusal: As the server would.
    """
    return Explainer(settings.policy(), read_moment).explain(caller, entry)


def explain_channel_key(settings: Settings, caller: str, data: bytes) -> AllowedChannelKey:
    """Decides on an encoded IssueChannelKeyRequest as a server with these settings would.

    Raises:
        Refusal: As the server would.
    """
    return Explainer(settings.policy(), read_moment).explain_channel_key(caller, data)


def inspect_without_keys(data: bytes) -> bytes:
    """Answers InspectToken in this process, without any key.

    Raises:
        Refusal: As InspectToken.
    """
    request = RequestParser().parser(_INSPECT)(data)
    expected = expected_of(request.expected)
    return response_of(
        inspect_token(request.token, expected, [], read_moment().now_ms)
    ).SerializeToString()
