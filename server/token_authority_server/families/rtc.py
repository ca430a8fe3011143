"""RTC tokens: AccessToken2 007, with an RTM login where asked for, and AccessToken 006."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from token_authority.v1 import issued_token_pb2, rtc_pb2
from token_authority_server.errors import FieldViolation
from token_authority_server.families.agora import (
    V006_ADVISORY,
    account,
    build_007,
    channel_access,
    channel_text,
    login_seconds,
    privilege_ttls_ms,
    seconds_of,
    terms_to_the_second,
    ttl_seconds,
    user_text,
    wildcard_violations,
)
from token_authority_server.families.base import (
    DAY_MS,
    SECOND_MS,
    SECONDS,
    Advisory,
    Moment,
    ServiceAccess,
    Terms,
    TokenFamily,
    TokenType,
)
from token_authority_server.formats import access_token_006 as v006
from token_authority_server.formats import access_token_007 as v007
from token_authority_server.keyring import AppCertificate

JOIN: Final = v007.RTC_JOIN_CHANNEL
# The fields with lifetimes and the privileges they grant: the same numbers in 006 and 007.
PRIVILEGES: Final[Mapping[str, int]] = {
    "join_channel_ttl": JOIN,
    "publish_audio_ttl": v007.RTC_PUBLISH_AUDIO,
    "publish_video_ttl": v007.RTC_PUBLISH_VIDEO,
    "publish_data_ttl": v007.RTC_PUBLISH_DATA,
}
# The rights without which the token is of no use to its holder.
_LOGIN_FIELDS: Final = frozenset(("privileges.join_channel_ttl", "rtm.ttl"))
PUBLISHER: Final = "publisher"
SUBSCRIBER: Final = "subscriber"

_ROLES: Final[Mapping[int, str]] = {
    rtc_pb2.RTC_ROLE_PUBLISHER: PUBLISHER,
    rtc_pb2.RTC_ROLE_SUBSCRIBER: SUBSCRIBER,
}
"""How grants name the roles; privileges come to one of them."""
_SUBSCRIBER_ADVISORY: Final = Advisory(
    "SUBSCRIBER_NOT_ENFORCED",
    "Agora lets its holder publish all the same until co-host authentication is enabled for the "
    "project, and then only in the live broadcasting profile.",
)
_NO_JOIN_ADVISORY: Final = Advisory(
    "NO_JOIN_PRIVILEGE",
    "The part for RTC lacks the right to join the channel, without which no right to publish is of "
    "use: set join_channel_ttl.",
)
_JOIN_ADVISORY: Final = Advisory(
    "JOIN_ENDS_BEFORE_PUBLISH",
    "The right to join ends before a right to publish: the user is removed from the channel then, "
    "whatever else remains.",
)


class Rtc(TokenFamily[rtc_pb2.IssueRtcTokenRequest, AppCertificate]):
    """RTC tokens, timed to the second, 24 hours at most."""

    name = "rtc"
    request_type = rtc_pb2.IssueRtcTokenRequest
    response_type = rtc_pb2.IssueRtcTokenResponse
    key_type = AppCertificate
    max_ttl_ms = DAY_MS
    unit = SECONDS
    token_types = (TokenType("rtc", ("roles", "channels", "users"), roles=(PUBLISHER, SUBSCRIBER)),)

    def parts(self, request: rtc_pb2.IssueRtcTokenRequest) -> Sequence[ServiceAccess]:
        """Returns what the token would carry; see TokenFamily.parts."""
        role = _ROLES.get(request.role) or role_of(privileges(request, DAY_MS))
        rtc = channel_access("rtc", role, request)
        return [rtc, account("rtm", request.rtm.user_id)] if request.HasField("rtm") else [rtc]

    def terms(self, request: rtc_pb2.IssueRtcTokenRequest, now_ms: int) -> Terms:
        """Reads a request; see TokenFamily.terms."""
        violations = list(wildcard_violations(request))
        if request.format == issued_token_pb2.TOKEN_FORMAT_V006:
            violations += _needs_007(request)
        own: dict[str, int] = {}
        by_privilege = request.HasField("privileges")
        if by_privilege:
            own = privilege_ttls_ms(request.privileges, PRIVILEGES, "privileges.", violations)
        if request.HasField("rtm"):
            own |= privilege_ttls_ms(request.rtm, ("ttl",), "rtm.", violations)
        # Unset: with privileges, as long as the longest; else as the grant says.
        asked_ms = max(own.values()) if by_privilege else None
        return terms_to_the_second(
            request,
            request.WhichOneof("expiration"),
            now_ms,
            violations,
            own=own,
            logins=_LOGIN_FIELDS,
            asked_ms=asked_ms,
            token_format=request.format,
            advisories=_advisories(request),
        )

    def sign(
        self,
        request: rtc_pb2.IssueRtcTokenRequest,
        terms: Terms,
        key: AppCertificate,
        moment: Moment,
    ) -> str:
        """Builds the token; see TokenFamily.sign."""
        life = ttl_seconds(terms)
        channel, user = channel_text(request), user_text(request)
        rights = privileges(request, life)
        if terms.format == issued_token_pb2.TOKEN_FORMAT_V006:
            issued_at = terms.issue_ms // SECOND_MS
            return v006.build_access_token_006(
                app_id=key.app_id,
                app_certificate=key.certificate.reveal(),
                channel_name=channel,
                uid=user,
                ends_at=issued_at + v006.TOKEN_SECONDS,
                salt=moment.salt,
                # 006 counts from 1970, 007 from the time of issue.
                privileges={right: issued_at + ttl for right, ttl in rights.items()},
            )
        services = [v007.rtc(channel, user, rights)]
        if request.HasField("rtm"):
            login = {v007.RTM_LOGIN: login_seconds(request.rtm.ttl, life)}
            services.append(v007.rtm(request.rtm.user_id, login))
        return build_007(key, terms, moment, services)


def privileges(request: rtc_pb2.IssueRtcTokenRequest, life: int) -> dict[int, int]:
    """Returns privilege -> seconds from issue."""
    match request.WhichOneof("rights"):
        case "role" if request.role == rtc_pb2.RTC_ROLE_PUBLISHER:
            return dict.fromkeys(PRIVILEGES.values(), life)
        case "role" if request.role == rtc_pb2.RTC_ROLE_SUBSCRIBER:
            return {JOIN: life}
        case "privileges":
            return seconds_of(request.privileges, PRIVILEGES, life)
        case _:
            raise AssertionError("the contract requires rights")


def role_of(rights: Mapping[int, int]) -> str:
    """Returns the role, as grants name it, that these rights amount to."""
    return SUBSCRIBER if list(rights) == [JOIN] else PUBLISHER


def rights_advisories(rights: Mapping[int, int]) -> Iterator[Advisory]:
    """Yields what will surprise about these rights: privilege -> seconds."""
    if JOIN not in rights:
        yield _NO_JOIN_ADVISORY
        return
    if len(rights) < len(PRIVILEGES):
        yield _SUBSCRIBER_ADVISORY
    if rights[JOIN] < max(rights.values()):
        yield _JOIN_ADVISORY


def _advisories(request: rtc_pb2.IssueRtcTokenRequest) -> tuple[Advisory, ...]:
    found = (
        ()
        if request.role == rtc_pb2.RTC_ROLE_PUBLISHER
        else tuple(rights_advisories(privileges(request, DAY_MS)))
    )
    is_v006 = request.format == issued_token_pb2.TOKEN_FORMAT_V006
    return (*found, V006_ADVISORY) if is_v006 else found


def _needs_007(request: rtc_pb2.IssueRtcTokenRequest) -> Iterator[FieldViolation]:
    """Yields what 006 cannot have."""
    if request.HasField("any_channel"):
        yield FieldViolation(
            "any_channel",
            "ANY_CHANNEL_NEEDS_V007",
            "exists in 007 only: leave format unset, or name the channel",
        )
    if request.HasField("rtm"):
        yield FieldViolation(
            "rtm", "RTM_LOGIN_NEEDS_V007", "exists in 007 only: leave format unset"
        )
