"""The use case: a request comes in, a token or a refusal comes out. No transport."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from token_authority_server.formats.fingerprint import fingerprint
from token_authority_server.inspection import Expected, Inspection, inspect_token
from token_authority_server.keyring import Keyring, SigningKey
from token_authority_server.kinds.base import Kind, Moment, Terms

# Agora's SDKs call back this long before the end (onTokenPrivilegeWillExpire).
_RENEW_BEFORE_MS: Final = 30_000


@dataclass(frozen=True, slots=True)
class Allowed:
    """A request that may be signed, with all that signing takes."""

    kind: Kind[Any, Any]
    request: Any = field(repr=False)
    project: str
    key: SigningKey
    terms: Terms
    moment: Moment = field(repr=False)

    @property
    def expire_ms(self) -> int | None:
        """Milliseconds since 1970 when joining or logging in stops; None for never."""
        usable_ms = self.terms.usable_ms
        return None if usable_ms is None else self.terms.issue_ms + usable_ms

    @property
    def renew_ms(self) -> int | None:
        """Milliseconds since 1970 when to fetch the next token; None for never."""
        usable_ms = self.terms.usable_ms
        if usable_ms is None:
            return None
        ahead_ms = max(_RENEW_BEFORE_MS, usable_ms // 10)
        return self.terms.issue_ms + max(usable_ms - ahead_ms, 0)


@dataclass(frozen=True, slots=True)
class Issued:
    """A signed token."""

    allowed: Allowed
    token: str = field(repr=False)
    token_id: str
    """The token's fingerprint, safe to log."""


class Authority:
    """Signs for whoever reaches it.

    Args:
        keyring: The projects and their keys.
        moments: Reads clock and entropy, afresh for each token.
    """

    def __init__(self, keyring: Keyring, moments: Callable[[], Moment]) -> None:
        self._keyring = keyring
        self._moments = moments

    def allow(self, kind: Kind[Any, Any], request: Any) -> Allowed:
        """Decides on one request whose single fields are valid.

        Raises:
            Refusal: With the reason, and what to do.
        """
        # The order is part of the contract: the rules come first because they reveal nothing, then
        # what the caller may know of, then the state of it.
        moment = self._moments()
        terms = kind.terms(request, moment.now_ms)
        project = self._keyring.project(request.project)
        key = project.active_key(kind.key_type)
        return Allowed(kind, request, project.name, key, terms, moment)

    def sign(self, allowed: Allowed) -> Issued:
        """Signs what was allowed."""
        token = allowed.kind.sign(allowed.request, allowed.terms, allowed.key, allowed.moment)
        return Issued(allowed, token, fingerprint(token))

    def inspect(self, text: str, expected: Expected) -> Inspection:
        """Explains any token, by the keys of every project."""
        return inspect_token(text, expected, self._keyring.keys(), self._moments().now_ms)
