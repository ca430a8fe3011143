"""RTM (Signaling) tokens: a login, with resource permissions if requested."""

from collections.abc import Iterator, Mapping
from typing import Final

from token_authority.v1 import issued_token_pb2, rtm_pb2
from token_authority_server.errors import FieldViolation
from token_authority_server.families.advisories import Advisory
from token_authority_server.families.channel_user import login_access
from token_authority_server.families.expiration import read_terms_in_seconds
from token_authority_server.families.moment import Moment
from token_authority_server.families.service_access import AccessRequest, TokenType
from token_authority_server.families.signing import sign_006, sign_007, ttl_seconds
from token_authority_server.families.terms import DAY_MS, SECONDS, Terms
from token_authority_server.families.token_family import TokenFamily
from token_authority_server.formats import access_token_006 as v006
from token_authority_server.formats import token_warnings
from token_authority_server.formats.service_packing import RtmPermission, rtm, rtm2
from token_authority_server.formats.services import RTM, RTM_ACCESSES, RTM_RESOURCE_TYPES
from token_authority_server.keyring import AppCertificate

_RESOURCE_TYPES: Final[Mapping[int, int]] = {
    rtm_pb2.RtmResourceType.Value(f"RTM_RESOURCE_TYPE_{name.upper()}"): number
    for name, number in RTM_RESOURCE_TYPES.items()
}
_ACCESSES: Final[Mapping[int, int]] = {
    rtm_pb2.RtmAccess.Value(f"RTM_ACCESS_{name.upper()}"): number
    for name, number in RTM_ACCESSES.items()
}
PERMISSIONS_ADVISORY: Final = Advisory.of(token_warnings.RTM_PERMISSIONS_INACTIVE)


class Rtm(TokenFamily[rtm_pb2.IssueRtmTokenRequest, AppCertificate]):
    """RTM tokens: times in seconds, 24 hours at most."""

    name = "rtm"
    request_type = rtm_pb2.IssueRtmTokenRequest
    response_type = rtm_pb2.IssueRtmTokenResponse
    key_type = AppCertificate
    max_ttl_ms = DAY_MS
    unit = SECONDS
    token_types = (TokenType("rtm", ("users",)),)

    def read(self, request: rtm_pb2.IssueRtmTokenRequest, now_ms: int) -> AccessRequest:
        """Reads a request; see TokenFamily.read."""
        is_006 = request.format == issued_token_pb2.TOKEN_FORMAT_V006
        violations = list(permission_violations(request.permissions, "permissions."))
        if is_006 and request.HasField("permissions"):
            violations.append(
                FieldViolation(
                    "permissions",
                    "PERMISSIONS_NEED_V007",
                    "exist in 007 only: leave format unset",
                )
            )
        terms = read_terms_in_seconds(
            request,
            request.WhichOneof("expiration"),
            now_ms,
            violations,
            token_format=request.format,
            advisories=tuple(_advisories(request)),
        )
        return AccessRequest([login_access("rtm", request.user_id)], terms, violations)

    def sign(
        self,
        request: rtm_pb2.IssueRtmTokenRequest,
        terms: Terms,
        key: AppCertificate,
        moment: Moment,
    ) -> str:
        """Builds the token; see TokenFamily.sign."""
        ttl_s = ttl_seconds(terms)
        if terms.format == issued_token_pb2.TOKEN_FORMAT_V006:
            # In 006 the RTM user takes the place of the channel.
            return sign_006(key, terms, moment, request.user_id, "", {v006.RTM_LOGIN: ttl_s})
        login = {RTM.privileges["login"]: ttl_s}
        if request.HasField("permissions"):
            service = rtm2(request.user_id, permissions(request.permissions), login)
        else:
            service = rtm(request.user_id, login)
        return sign_007(key, terms, moment, [service])


def _advisories(request: rtm_pb2.IssueRtmTokenRequest) -> Iterator[Advisory]:
    """Yields the warnings about a request."""
    if request.format == issued_token_pb2.TOKEN_FORMAT_V006:
        yield Advisory.of(token_warnings.LEGACY_FORMAT_006)
    if request.HasField("permissions"):
        yield PERMISSIONS_ADVISORY


def permissions(message: rtm_pb2.RtmPermissions) -> Iterator[RtmPermission]:
    """Yields the permissions with Agora's numbers."""
    for permission in message.permissions:
        yield RtmPermission(
            _RESOURCE_TYPES[permission.resource_type],
            _ACCESSES[permission.access],
            tuple(permission.resources),
        )


def permission_violations(message: rtm_pb2.RtmPermissions, prefix: str) -> Iterator[FieldViolation]:
    """Yields permissions that would replace earlier ones; `prefix` is the path of the message."""
    seen: set[tuple[int, int]] = set()
    for index, permission in enumerate(message.permissions):
        pair = (permission.resource_type, permission.access)
        if pair in seen:
            yield FieldViolation(
                f"{prefix}permissions[{index}]",
                "PERMISSION_REPEATED",
                "must not repeat the resource type and access of an earlier permission: list all "
                "resources in one",
            )
        seen.add(pair)
