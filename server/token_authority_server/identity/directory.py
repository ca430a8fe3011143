"""Directory of identities: maps an authenticated identity to its caller. Pure."""

import hmac
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from token_authority_server.access.callers import Caller
from token_authority_server.errors import credential_invalid


@dataclass(frozen=True, slots=True)
class AuthenticatedCaller:
    """Who asks, and what showed it."""

    caller: Caller
    identity: str
    """As the configuration writes it; of an API key the first eight digits of its hash only."""


LOCAL: Final = "local"
"""The identity of whoever reaches a loopback address or unix socket."""
API_KEY: Final = "api-key:sha256:"
CLAIM: Final = "jwt:"
DNS: Final = "dns:"
SPIFFE: Final = "spiffe://"


class Callers:
    """All callers, by what identifies them."""

    def __init__(self, callers: Mapping[str, Caller], identities: Mapping[str, str]) -> None:
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
        """The claims by which JWTs are told apart."""

    def named(self, name: str) -> Caller:
        """Returns a caller that was identified, perhaps by an older configuration.

        Raises:
            Refusal: CREDENTIAL_INVALID: it has been removed since.
        """
        if name not in self.by_name:
            raise credential_invalid(f"{name} is no caller any more")
        return self.by_name[name]

    @property
    def have_api_keys(self) -> bool:
        """Whether some caller has one."""
        return bool(self._by_key_hash)

    @property
    def api_key_hashes(self) -> Collection[str]:
        """The SHA-256 of all API keys, in lower-case hex."""
        return self._by_key_hash.keys()

    @property
    def have_certificates(self) -> bool:
        """Whether some caller is known by a client certificate."""
        return any(identity.startswith((SPIFFE, DNS)) for identity in self._by_identity)

    @property
    def admits_local(self) -> bool:
        """Whether somebody without a credential is a caller."""
        return LOCAL in self._by_identity

    def local(self) -> AuthenticatedCaller:
        """Returns who it is that has no credential; only where `admits_local`."""
        return AuthenticatedCaller(self._by_identity[LOCAL], LOCAL)

    def of_api_key(self, key_hash: str) -> AuthenticatedCaller:
        """Returns whose API key it is, by its SHA-256 in lower-case hex.

        Raises:
            Refusal: CREDENTIAL_INVALID.
        """
        # Looking a hash up tells nothing of the key by how long it takes: nobody can choose the
        # hash. The comparison in constant time has the last word all the same.
        known = key_hash if key_hash in self._by_key_hash else "0" * 64
        if not hmac.compare_digest(known, key_hash):
            raise credential_invalid("no caller has this API key")
        caller = self._by_key_hash[key_hash]
        return AuthenticatedCaller(caller, f"{API_KEY}{key_hash[:8]}")

    def of_names(self, names: Iterable[str]) -> AuthenticatedCaller:
        """Returns whose certificate it is, by its names: `spiffe://…`, `dns:…`.

        Raises:
            Refusal: CREDENTIAL_INVALID: none's, or several callers'.
        """
        return self._only_one({name for name in names if name.startswith((SPIFFE, DNS))})

    def of_claims(self, claims: Mapping[str, object]) -> AuthenticatedCaller:
        """Returns whose JWT it is, by its claims.

        Raises:
            Refusal: CREDENTIAL_INVALID: none's, or several callers'.
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
