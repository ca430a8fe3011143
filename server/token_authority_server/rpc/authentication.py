"""Authenticates calls: extracts the credential and resolves it to a caller.

A bearer token is used if there is one; else the client certificate; else, on a local listener, the
identity `local` if the configuration has it. A credential that matches no caller is refused, even
if the call would have been accepted without it.
"""

import hashlib
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias

from grpc import aio

from token_authority_server.audit import redact_tokens
from token_authority_server.errors import (
    credential_expired,
    credential_invalid,
    credential_missing,
)
from token_authority_server.identity.client_certificate import client_certificate
from token_authority_server.identity.directory import LOCAL, AuthenticatedCaller, Callers
from token_authority_server.identity.jwt_bearer import JwtVerifier

Context: TypeAlias = "aio.ServicerContext[bytes, bytes]"

_AUTHORIZATION: Final = "authorization"
_BEARER: Final = "bearer "
# grpc's name for a client certificate that it has verified.
_CERTIFICATE: Final = "x509_pem_cert"
_REQUEST_ID: Final = "x-request-id"
# Callers choose it: enough for any tracing system, too little to flood the log.
_MAX_REQUEST_ID: Final = 128
_IN_A_HEADER: Final = "as 'authorization: Bearer …'"
_BY_MTLS: Final = "over mTLS"


class PresentedCredentials(NamedTuple):
    """What a call presents, not yet verified."""

    authorizations: list[str]
    """The values of the `authorization` header."""
    request_id: str
    """The caller's `x-request-id`; "" for none."""
    context: Context

    def authorization(self, scheme: str) -> str | None:
        """Returns what the `authorization` header contains after a scheme; None for another one.

        Args:
            scheme: The scheme in lower case and a space, e.g. "bearer ".

        Raises:
            Refusal: CREDENTIAL_INVALID: there are several headers.
        """
        if not self.authorizations:
            return None
        if len(self.authorizations) > 1:
            raise credential_invalid("several authorization headers")
        value = self.authorizations[0]
        return value[len(scheme) :].strip() if value[: len(scheme)].lower() == scheme else None

    @property
    def certificate(self) -> bytes | None:
        """The client certificate that TLS has verified, in PEM; None for none."""
        properties: Mapping[str, Any] = self.context.auth_context()
        return next(iter(properties.get(_CERTIFICATE, ())), None)


def presented_credentials(context: Context) -> PresentedCredentials:
    """Reads a call's metadata."""
    authorizations: list[str] = []
    request_id = ""
    for key, value in context.invocation_metadata() or ():
        if key == _AUTHORIZATION and isinstance(value, str):
            authorizations.append(value)
        elif key == _REQUEST_ID and isinstance(value, str) and len(value) <= _MAX_REQUEST_ID:
            request_id = redact_tokens(value)
    return PresentedCredentials(authorizations, request_id, context)


class _Scheme(NamedTuple):
    """One kind of credential: how to recognise it, and what verifies it."""

    name: str
    """For the refusal of a call without a credential; "": not mentioned there."""
    carrier: str
    is_accepted: bool
    """Whether some caller can use it."""
    find: Callable[[PresentedCredentials], Any]
    """Returns the credential; None: the call presents none of this kind."""
    verify: Callable[[Any], Coroutine[Any, Any, AuthenticatedCaller]]
    """Returns whose it is, or raises Refusal."""


class Authenticator:
    """Authenticates calls.

    Args:
        callers: The configured callers.
        jwt: Verifies JWTs; None if none are accepted.
        clock: Seconds since 1970.
        verifies_certificates: Whether a listener verifies client certificates; if none does, calls
            are not searched for one.
    """

    def __init__(
        self,
        callers: Callers,
        jwt: JwtVerifier | None,
        clock: Callable[[], float] = time.time,
        *,
        verifies_certificates: bool = True,
    ) -> None:
        self._callers = callers
        self._jwt = jwt
        self._clock = clock
        # In order of precedence: the first kind that a call presents decides. Names are listed in
        # the same order.
        self._schemes = (
            _Scheme("an API key", _IN_A_HEADER, callers.have_api_keys, _api_key, self._by_api_key),
            _Scheme("a JWT", _IN_A_HEADER, jwt is not None, _jwt, self._by_jwt),
            # An unknown scheme is refused, instead of falling back to a weaker credential.
            _Scheme("", "", False, _any_authorization, _refuse_authorization),
            _Scheme(
                "a client certificate",
                _BY_MTLS,
                callers.have_certificates,
                _certificate if verifies_certificates else _no_certificate,
                self._by_certificate,
            ),
            _Scheme("", "", callers.admits_local, self._locality, self._by_locality),
        )

    async def authenticate(self, presented: PresentedCredentials) -> AuthenticatedCaller:
        """Returns the caller that the credential belongs to.

        Suspends only for a JWT whose keys have to be fetched first.

        Raises:
            Refusal: CREDENTIAL_MISSING, CREDENTIAL_INVALID, CREDENTIAL_EXPIRED or
                CREDENTIAL_UNVERIFIABLE.
        """
        for scheme in self._schemes:
            credential = scheme.find(presented)
            if credential is not None:
                return await scheme.verify(credential)
        raise credential_missing(self._accepted())

    async def _by_api_key(self, key: str) -> AuthenticatedCaller:
        key_hash = hashlib.sha256(key.encode()).hexdigest()
        return self._callers.of_api_key(key_hash, self._clock())

    async def _by_jwt(self, token: str) -> AuthenticatedCaller:
        if self._jwt is None:
            raise credential_invalid("a JWT, and [authentication.jwt] is not configured")
        return self._callers.of_claims(await self._jwt.claims(token))

    async def _by_certificate(self, pem: bytes) -> AuthenticatedCaller:
        certificate = client_certificate(pem)
        if not certificate.names:
            raise credential_invalid("a certificate without a SPIFFE id or DNS name")
        # TLS has verified it at the handshake; the connection outlives it, and a resumed session
        # does not present it again.
        if self._clock() > certificate.ends_at:
            raise credential_expired()
        return self._callers.of_names(certificate.names)

    def _locality(self, _: PresentedCredentials) -> str | None:
        return LOCAL if self._callers.admits_local else None

    async def _by_locality(self, _: str) -> AuthenticatedCaller:
        return self._callers.local()

    def _accepted(self) -> str:
        """Returns the credentials that are accepted, grouped by how they are carried."""
        names: dict[str, list[str]] = {}
        for scheme in self._schemes:
            if scheme.name and scheme.is_accepted:
                names.setdefault(scheme.carrier, []).append(scheme.name)
        return ", or ".join(f"{' or '.join(group)} {how}" for how, group in names.items())


def _is_jwt(token: str) -> bool:
    """Whether a bearer token has three parts; an API key, which is base64url, has no dot."""
    return token.count(".") == 2


def _api_key(presented: PresentedCredentials) -> str | None:
    bearer = presented.authorization(_BEARER)
    return None if bearer is None or _is_jwt(bearer) else bearer


def _jwt(presented: PresentedCredentials) -> str | None:
    bearer = presented.authorization(_BEARER)
    return bearer if bearer is not None and _is_jwt(bearer) else None


def _any_authorization(presented: PresentedCredentials) -> list[str] | None:
    return presented.authorizations or None


async def _refuse_authorization(_: list[str]) -> NoReturn:
    raise credential_invalid("the authorization header has an unknown scheme")


def _certificate(presented: PresentedCredentials) -> bytes | None:
    return presented.certificate


def _no_certificate(_: PresentedCredentials) -> None:
    return None
