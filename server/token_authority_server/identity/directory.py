"""Directory of callers: maps an authenticated identity to its caller. Pure."""

import hmac
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

from token_authority_server.access.callers import Caller
from token_authority_server.errors import credential_expired, credential_invalid


class AuthenticatedCaller(NamedTuple):
    """A caller, and the identity that it was authenticated by."""

    caller: Caller
    identity: str
    """As the configuration writes it; of an API key, only the first eight digits of its hash."""


LOCAL: Final = "local"
"""Identity of a call without a credential, on a loopback address or unix socket."""
API_KEY: Final = "api-key:sha256:"
CLAIM: Final = "jwt:"
DNS: Final = "dns:"
SPIFFE: Final = "spiffe://"


class Callers:
    """All configured callers, by name and by identity.

    Args:
        callers: The callers by name.
        identities: The name of the caller that each identity belongs to.
        expirations: When API keys expire, by identity, in seconds since 1970.
    """

    def __init__(
        self,
        callers: Mapping[str, Caller],
        identities: Mapping[str, str],
        expirations: Mapping[str, float] | None = None,
    ) -> None:
        self._expirations = expirations or {}
        self.by_name = callers
        self._by_identity = {text: callers[name] for text, name in identities.items()}
        self._by_key_hash = {
            text.removeprefix(API_KEY): caller
            for text, caller in self._by_identity.items()
            if text.startswith(API_KEY)
        }
        names = [text.removeprefix(CLAIM).partition("=")[0] for text in identities]
        self.claims = frozenset(
            name for name, text in zip(names, identities, strict=True) if text.startswith(CLAIM)
        )
        """Names of the JWT claims that identities refer to."""
        self.have_certificates = any(text.startswith((SPIFFE, DNS)) for text in identities)
        """Whether any caller has an identity of a client certificate."""

    def named(self, name: str) -> Caller:
        """Returns a caller that was authenticated, possibly under an older configuration.

        Raises:
            Refusal: CREDENTIAL_INVALID: the caller has been removed.
        """
        if name not in self.by_name:
            raise credential_invalid(f"caller {name} has been removed")
        return self.by_name[name]

    @property
    def have_api_keys(self) -> bool:
        """Whether any caller has an API key."""
        return bool(self._by_key_hash)

    @property
    def api_key_hashes(self) -> Collection[str]:
        """SHA-256 of all API keys, in lower-case hex."""
        return self._by_key_hash.keys()

    @property
    def admits_local(self) -> bool:
        """Whether calls without a credential are accepted."""
        return LOCAL in self._by_identity

    def local(self) -> AuthenticatedCaller:
        """Returns the caller of calls without a credential; only if `admits_local`."""
        return AuthenticatedCaller(self._by_identity[LOCAL], LOCAL)

    def of_api_key(self, key_hash: str, now: float) -> AuthenticatedCaller:
        """Returns the caller that an API key belongs to.

        Args:
            key_hash: The SHA-256 of the key, in lower-case hex.
            now: Seconds since 1970.

        Raises:
            Refusal: CREDENTIAL_INVALID, or CREDENTIAL_EXPIRED.
        """
        # The time of the lookup reveals nothing about a key: nobody can choose the hash. The
        # comparison in constant time decides all the same.
        known = key_hash if key_hash in self._by_key_hash else "0" * 64
        if not hmac.compare_digest(known, key_hash):
            raise credential_invalid("no caller has this API key")
        caller = self._by_key_hash[key_hash]
        identity = f"{API_KEY}{key_hash[:8]}"
        if now >= self._expirations.get(f"{API_KEY}{key_hash}", math.inf):
            raise credential_expired(f"{identity} of caller {caller.name} has expired")
        return AuthenticatedCaller(caller, identity)

    def of_names(self, names: Iterable[str]) -> AuthenticatedCaller:
        """Returns the caller of a client certificate.

        Args:
            names: The certificate's names: `spiffe://…`, `dns:…`.

        Raises:
            Refusal: CREDENTIAL_INVALID: the names match no caller, or several.
        """
        return self._only_one({name for name in names if name.startswith((SPIFFE, DNS))})

    def of_claims(self, claims: Mapping[str, object]) -> AuthenticatedCaller:
        """Returns the caller of a JWT, by its verified claims.

        Raises:
            Refusal: CREDENTIAL_INVALID: the claims match no caller, or several.
        """
        return self._only_one(
            {
                f"{CLAIM}{name}={claims[name]}"
                for name in self.claims
                if isinstance(claims.get(name), str)
            }
        )

    def _only_one(self, identities: set[str]) -> AuthenticatedCaller:
        known = sorted(identities & self._by_identity.keys())
        if not known:
            raise credential_invalid(f"no caller has the identity {', '.join(sorted(identities))}")
        if len({self._by_identity[identity].name for identity in known}) > 1:
            raise credential_invalid(f"several callers: {', '.join(known)}")
        return AuthenticatedCaller(self._by_identity[known[0]], known[0])
