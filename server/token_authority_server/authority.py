"""The use case: a request comes in, a token or a refusal comes out. No transport."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from token_authority_server.keyring import Keyring, SigningKey
from token_authority_server.kinds.base import Kind, Moment, Terms

# Agora's SDKs call back this long before the end (onTokenPrivilegeWillExpire).
_RENEW_BEFORE_MS: Final = 30_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """An allowed request, signed unless it only asked whether it would be."""

    project: str
    key: SigningKey
    terms: Terms
    token: str | None = field(repr=False)
    """None when the request only wanted to know."""
    token_id: str
    """The token's fingerprint, safe to log; "" without a token."""

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


class Authority:
    """Signs for whoever reaches it.

    Args:
        keyring: The projects and their keys.
        moments: Reads clock and entropy, afresh for each token.
    """

    def __init__(self, keyring: Keyring, moments: Callable[[], Moment]) -> None:
        self._keyring = keyring
        self._moments = moments

    def issue(self, kind: Kind[Any, Any], request: Any) -> Outcome:
        """Answers one request whose single fields are valid.

        Raises:
            Refusal: With the reason, and what to do.
        """
        # The order is part of the contract: the rules come first because they reveal nothing, then
        # what the caller may know of, then the state of it.
        moment = self._moments()
        terms = kind.terms(request, moment.now_ms)
        project = self._keyring.project(request.project)
        key = project.active_key(kind.key_type)
        token = None if request.validate_only else kind.sign(request, terms, key, moment)
        return Outcome(project.name, key, terms, token, fingerprint(token) if token else "")


def fingerprint(token: str) -> str:
    """Returns the first 16 bytes of the token's SHA-256, as 32 lower-case hex digits."""
    return hashlib.sha256(token.encode()).digest()[:16].hex()
