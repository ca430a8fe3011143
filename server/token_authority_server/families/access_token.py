"""Any composition of Agora's services in one 007 token."""

from collections.abc import Iterator
from typing import Any, Final

from token_authority.v1 import access_token_pb2 as pb2
from token_authority_server.errors import FieldViolation
from token_authority_server.families.advisories import Advisory
from token_authority_server.families.composition import MEMBERS, TOKEN_TYPES, Member
from token_authority_server.families.expiration import read_terms_in_seconds
from token_authority_server.families.moment import Moment
from token_authority_server.families.privileges import privilege_ttls_ms
from token_authority_server.families.service_access import AccessRequest, ServiceAccess, TokenType
from token_authority_server.families.signing import sign_007, ttl_seconds
from token_authority_server.families.terms import DAY_MS, DEFAULT_TTL_MS, SECONDS, Terms
from token_authority_server.families.token_family import TokenFamily
from token_authority_server.keyring import AppCertificate

_COMPOSITION: Final = ServiceAccess("access_token")


class AccessToken(TokenFamily[pb2.IssueAccessTokenRequest, AppCertificate]):
    """007 tokens of any services: times in seconds, 24 hours at most."""

    name = "access_token"
    request_type = pb2.IssueAccessTokenRequest
    response_type = pb2.IssueAccessTokenResponse
    key_type = AppCertificate
    max_ttl_ms = DAY_MS
    unit = SECONDS
    token_types = (TokenType(_COMPOSITION.token_type, explicit=True), *TOKEN_TYPES)

    def read(self, request: pb2.IssueAccessTokenRequest, now_ms: int) -> AccessRequest:
        """Reads a request; see TokenFamily.read. The first access is to compositions as such."""
        accesses = [_COMPOSITION]
        violations: list[FieldViolation] = []
        ttls_ms: dict[str, int] = {}
        entries: set[str] = set()
        # A dictionary keeps the order, and each advisory once.
        advisories: dict[Advisory, None] = {}
        for path, member, message in _members(request):
            prefix = f"{path}."
            accesses.append(member.access(message))
            own_ms = privilege_ttls_ms(message, member.ttl_fields, prefix, violations)
            violations += member.violations(message, path)
            ttls_ms |= own_ms
            entries.update(prefix + field for field in member.entries)
            advisories |= dict.fromkeys(member.advisories(message))
        terms = read_terms_in_seconds(
            request,
            request.WhichOneof("expiration"),
            now_ms,
            violations,
            privilege_ttls_ms=ttls_ms,
            entries=frozenset(entries),
            implied_ttl_ms=max(ttls_ms.values(), default=None),
            default_ttl_ms=_default_ttl_ms(request),
            advisories=tuple(advisories),
        )
        return AccessRequest(accesses, terms, violations)

    def sign(
        self,
        request: pb2.IssueAccessTokenRequest,
        terms: Terms,
        key: AppCertificate,
        moment: Moment,
    ) -> str:
        """Builds the token; see TokenFamily.sign."""
        ttl_s = ttl_seconds(terms)
        services = [member.pack(message, ttl_s) for _, member, message in _members(request)]
        return sign_007(key, terms, moment, services)


def _members(request: pb2.IssueAccessTokenRequest) -> Iterator[tuple[str, Member, Any]]:
    """Yields the path, the reader and the message of each service."""
    for index, service in enumerate(request.services):
        name = service.WhichOneof("service")
        assert name
        yield f"services[{index}].{name}", MEMBERS[name], getattr(service, name)


def _default_ttl_ms(request: pb2.IssueAccessTokenRequest) -> int:
    # Agora's builder gives a token for FPA alone 24 hours.
    only_fpa = all(service.HasField("fpa") for service in request.services)
    return DAY_MS if only_fpa else DEFAULT_TTL_MS
