"""JWT credentials: verifies tokens of Kubernetes service accounts and of any OpenID provider."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jwt
from jwt.exceptions import ExpiredSignatureError, PyJWTError

from token_authority_server.errors import (
    credential_expired,
    credential_invalid,
    credential_unverifiable,
)
from token_authority_server.identity.jwks import ALGORITHMS, VerificationKey
from token_authority_server.identity.key_sources import KeySource

MAX_REMEMBERED: Final = 4096
"""Verified tokens kept in memory. Callers send one token until it expires, and verifying a
signature takes 30 to 100 µs."""


@dataclass(frozen=True, slots=True)
class JwtPolicy:
    """Required claims of a JWT."""

    issuer: str
    audience: str
    leeway_seconds: float
    """Accepted difference between the issuer's clock and ours."""


class JwtVerifier:
    """Verifies JWTs and returns their claims.

    Args:
        policy: Required claims.
        source: The verification keys.
        clock: Seconds since 1970.
    """

    def __init__(
        self, policy: JwtPolicy, source: KeySource, clock: Callable[[], float] = time.time
    ) -> None:
        self._policy = policy
        self._source = source
        self._clock = clock
        self._remembered: dict[bytes, Mapping[str, Any]] = {}
        self._remembered_keys: Sequence[VerificationKey] = ()

    async def claims(self, token: str) -> Mapping[str, Any]:
        """Returns the claims of a token.

        Raises:
            Refusal: CREDENTIAL_INVALID or CREDENTIAL_EXPIRED; CREDENTIAL_UNVERIFIABLE if no keys
                could be fetched yet.
        """
        await self._source.refresh(missing=not self._source.keys)
        if self._source.keys is not self._remembered_keys:
            # A token whose key was withdrawn must not be accepted from memory.
            self._remembered, self._remembered_keys = {}, self._source.keys
        digest = hashlib.sha256(token.encode()).digest()
        claims = self._remembered.get(digest)
        if claims is None:
            claims = await self._verified(token)
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[digest] = claims
        elif self._clock() > int(claims["exp"]) + self._policy.leeway_seconds:
            del self._remembered[digest]
            raise credential_expired()
        return claims

    async def _verified(self, token: str) -> Mapping[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
        except (PyJWTError, RecursionError) as error:
            # Without PyJWT's message, which may quote the header.
            raise credential_invalid(f"jwt: {type(error).__name__}") from None
        if header.get("alg") not in ALGORITHMS:
            raise credential_invalid("jwt: an algorithm that is not accepted")
        keys = self._candidates(header)
        if not keys:
            await self._source.refresh(missing=True)
            keys = self._candidates(header)
        if not self._source.keys:
            raise credential_unverifiable()
        if not keys:
            raise credential_invalid("jwt: no key of the key set has its kid and algorithm")
        return self._decoded(token, header["alg"], keys)

    def _candidates(self, header: Mapping[str, Any]) -> list[VerificationKey]:
        """Returns the keys that may have signed; without a kid, any key may."""
        kid, algorithm = header.get("kid"), header["alg"]
        return [
            key
            for key in self._source.keys
            if kid in (None, key.key_id) and key.algorithm in (None, algorithm)
        ]

    def _decoded(
        self, token: str, algorithm: str, keys: Sequence[VerificationKey]
    ) -> Mapping[str, Any]:
        failure = "jwt: no key fits its algorithm"
        for key in keys:
            try:
                return jwt.decode(
                    token,
                    key.key,
                    algorithms=[algorithm],
                    audience=self._policy.audience,
                    issuer=self._policy.issuer,
                    leeway=self._policy.leeway_seconds,
                    options={"require": ["exp", "iss", "aud"]},
                )
            except ExpiredSignatureError:
                raise credential_expired() from None
            except (PyJWTError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
                # The exception's name identifies the failed check.
                failure = f"jwt: {type(error).__name__}"
        raise credential_invalid(failure)
