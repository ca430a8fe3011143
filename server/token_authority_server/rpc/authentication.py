"""Who asks: reads a call's credential, and says whose it is.

A bearer token decides where there is one; else the client certificate does; else whoever is on
this machine, if the configuration has a caller for that. A credential that is no caller's is
refused, even where a weaker one would have been enough.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from grpc import aio

from token_authority_server.audit import redact_tokens
from token_authority_server.errors import (
    credential_expired,
    credential_invalid,
    credential_missing,
)
from token_authority_server.identity.client_certificate import client_certificate
from token_authority_server.identity.directory import AuthenticatedCaller, Callers
from token_authority_server.identity.jwt_bearer import JwtVerifier

Context: TypeAlias = "aio.ServicerContext[bytes, bytes]"

_AUTHORIZATION: Final = "authorization"
_BEARER: Final = "bearer "
# grpc's name for a client certificate that it has verified.
_CERTIFICATE: Final = "x509_pem_cert"
_REQUEST_ID: Final = "x-request-id"
# Callers choose it: enough for any tracing system, too little to flood the log.
_MAX_REQUEST_ID: Final = 128


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a call brought along."""

    bearers: list[str]
    """The values of `authorization`."""
    request_id: str
    """The caller's `x-request-id`; "" for none."""


def credentials(context: Context) -> Credentials:
    """Reads a call's metadata."""
    bearers: list[str] = []
    request_id = ""
    for key, value in context.invocation_metadata() or ():
        if key == _AUTHORIZATION and isinstance(value, str):
            bearers.append(value)
        elif key == _REQUEST_ID and isinstance(value, str) and len(value) <= _MAX_REQUEST_ID:
            request_id = redact_tokens(value)
    return Credentials(bearers, request_id)


class Authenticator:
    """Says whose credential it is.

    Args:
        callers: Everyone who may ask.
        jwt: Checks JWTs; None where none are accepted.
        clock: Seconds since 1970.
    """

    def __init__(
        self, callers: Callers, jwt: JwtVerifier | None, clock: Callable[[], float] = time.time
    ) -> None:
        self._callers = callers
        self._jwt = jwt
        self._clock = clock

    async def identify(self, brought: Credentials, context: Context) -> AuthenticatedCaller:
        """Returns who asks.

        Raises:
            Refusal: CREDENTIAL_MISSING, CREDENTIAL_INVALID, CREDENTIAL_EXPIRED or
                CREDENTIAL_UNVERIFIABLE.
        """
        if brought.bearers:
            return await self._of_bearer(brought.bearers)
        properties: Mapping[str, Any] = context.auth_context()
        if certificate := next(iter(properties.get(_CERTIFICATE, ())), None):
            return self._of_certificate(certificate)
        if self._callers.admits_local:
            return self._callers.local()
        raise credential_missing(self._accepted())

    async def _of_bearer(self, values: list[str]) -> AuthenticatedCaller:
        if len(values) > 1:
            raise credential_invalid("several authorization headers")
        value = values[0]
        if value[: len(_BEARER)].lower() != _BEARER:
            raise credential_invalid("authorization is not of the scheme Bearer")
        token = value[len(_BEARER) :].strip()
        # A JWT has three parts; an API key, which is base64url, has no dot.
        if token.count(".") != 2:
            key_hash = hashlib.sha256(token.encode()).hexdigest()
            return self._callers.of_api_key(key_hash, self._clock())
        if self._jwt is None:
            raise credential_invalid("a JWT, and [authentication.jwt] is not configured")
        return self._callers.of_claims(await self._jwt.claims(token))

    def _of_certificate(self, pem: bytes) -> AuthenticatedCaller:
        shown = client_certificate(pem)
        if not shown.names:
            raise credential_invalid("a certificate without a SPIFFE id or DNS name")
        # TLS has checked it when it was shown: a connection lives on after that, and a session
        # that is resumed shows it no more.
        if self._clock() > shown.ends_at:
            raise credential_expired()
        return self._callers.of_names(shown.names)

    def _accepted(self) -> str:
        callers = self._callers
        bearers = [
            name
            for name, is_known in (("an API key", callers.have_api_keys), ("a JWT", self._jwt))
            if is_known
        ]
        ways = [f"{' or '.join(bearers)} as 'authorization: Bearer …'"] if bearers else []
        if callers.have_certificates:
            ways.append("a client certificate over mTLS")
        return ", or ".join(ways)
