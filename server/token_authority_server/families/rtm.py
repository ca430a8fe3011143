"""RTM (Signaling) tokens: a login, with resource permissions where asked for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from token_authority.v1 import issued_token_pb2, rtm_pb2
from token_authority_server.errors import FieldViolation
from token_authority_server.families.agora import (
    V006_ADVISORY,
    account,
    build_007,
    terms_to_the_second,
    ttl_seconds,
)
from token_authority_server.families.base import (
    DAY_MS,
    SECOND_MS,
    SECONDS,
    Moment,
    ServiceAccess,
    Terms,
    TokenFamily,
    TokenType,
)
from token_authority_server.formats import access_token_006 as v006
from token_authority_server.formats import access_token_007 as v007
from token_authority_server.keyring import AppCertificate

# What Agora writes.
_RESOURCE_TYPES: Final[Mapping[int, int]] = {
    rtm_pb2.RTM_RESOURCE_TYPE_MESSAGE_CHANNEL: 0,
    rtm_pb2.RTM_RESOURCE_TYPE_STREAM_CHANNEL: 1,
    rtm_pb2.RTM_RESOURCE_TYPE_GROUP_CHANNEL: 2,
    rtm_pb2.RTM_RESOURCE_TYPE_SERVER_GROUP: 3,
    rtm_pb2.RTM_RESOURCE_TYPE_USER: 4,
}
_ACCESSES: Final[Mapping[int, int]] = {rtm_pb2.RTM_ACCESS_READ: 0, rtm_pb2.RTM_ACCESS_WRITE: 1}


class Rtm(TokenFamily[rtm_pb2.IssueRtmTokenRequest, AppCertificate]):
    """RTM tokens, timed to the second, 24 hours at most."""

    name = "rtm"
    request_type = rtm_pb2.IssueRtmTokenRequest
    response_type = rtm_pb2.IssueRtmTokenResponse
    key_type = AppCertificate
    max_ttl_ms = DAY_MS
    unit = SECONDS
    token_types = (TokenType("rtm", ("users",)),)

    def parts(self, request: rtm_pb2.IssueRtmTokenRequest) -> Sequence[ServiceAccess]:
        """Returns what the token would carry; see TokenFamily.parts."""
        return [account("rtm", request.user_id)]

    def terms(self, request: rtm_pb2.IssueRtmTokenRequest, now_ms: int) -> Terms:
        """Reads a request; see TokenFamily.terms."""
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
        return terms_to_the_second(
            request,
            request.WhichOneof("expiration"),
            now_ms,
            violations,
            token_format=request.format,
            advisories=(V006_ADVISORY,) if is_006 else (),
        )

    def sign(
        self,
        request: rtm_pb2.IssueRtmTokenRequest,
        terms: Terms,
        key: AppCertificate,
        moment: Moment,
    ) -> str:
        """Builds the token; see TokenFamily.sign."""
        life = ttl_seconds(terms)
        if terms.format == issued_token_pb2.TOKEN_FORMAT_V006:
            issued_at = terms.issue_ms // SECOND_MS
            return v006.build_access_token_006(
                app_id=key.app_id,
                app_certificate=key.certificate.reveal(),
                # In 006 the RTM user stands where an RTC token has its channel.
                channel_name=request.user_id,
                uid="",
                ends_at=issued_at + v006.TOKEN_SECONDS,
                salt=moment.salt,
                privileges={v006.RTM_LOGIN: issued_at + life},
            )
        login = {v007.RTM_LOGIN: life}
        if request.HasField("permissions"):
            services = [v007.rtm2(request.user_id, permissions(request.permissions), login)]
        else:
            services = [v007.rtm(request.user_id, login)]
        return build_007(key, terms, moment, services)


def permissions(message: rtm_pb2.RtmPermissions) -> Iterator[v007.RtmPermission]:
    """Yields the permissions in Agora's numbers."""
    for permission in message.permissions:
        yield v007.RtmPermission(
            _RESOURCE_TYPES[permission.resource_type],
            _ACCESSES[permission.access],
            tuple(permission.resources),
        )


def permission_violations(message: rtm_pb2.RtmPermissions, prefix: str) -> Iterator[FieldViolation]:
    """Yields the permissions that would replace others; `prefix` is the path of the message."""
    seen: set[tuple[int, int]] = set()
    for index, permission in enumerate(message.permissions):
        pair = (permission.resource_type, permission.access)
        if pair in seen:
            yield FieldViolation(
                f"{prefix}permissions[{index}]",
                "PERMISSION_REPEATED",
                "must not repeat the resource type and access of an earlier one: put all resources "
                "in one",
            )
        seen.add(pair)
