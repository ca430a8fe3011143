"""RTC tokens: AccessToken2 007, with an RTM login where asked for, and AccessToken 006."""

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from token_authority.v1 import issued_token_pb2, rtc_pb2
from token_authority_server.errors import FieldViolation, invalid_request
from token_authority_server.formats import access_token_006 as v006
from token_authority_server.formats import access_token_007 as v007
from token_authority_server.formats.packing import uid_text
from token_authority_server.keyring import AppCertificate
from token_authority_server.kinds.base import (
    DAY_MS,
    DEFAULT_TTL_MS,
    SECOND_MS,
    SECONDS,
    Advisory,
    Expiration,
    Kind,
    Moment,
    Terms,
    duration_ms,
    requested_ttl_ms,
)

_PrivilegeField = Literal[
    "join_channel_ttl", "publish_audio_ttl", "publish_video_ttl", "publish_data_ttl"
]
_JOIN: Final = v007.RTC_JOIN_CHANNEL
# The fields of RtcPrivileges and the privileges they grant: the same numbers in 006 and 007.
_PRIVILEGES: Final[Mapping[_PrivilegeField, int]] = {
    "join_channel_ttl": _JOIN,
    "publish_audio_ttl": v007.RTC_PUBLISH_AUDIO,
    "publish_video_ttl": v007.RTC_PUBLISH_VIDEO,
    "publish_data_ttl": v007.RTC_PUBLISH_DATA,
}
# How both formats write "every channel".
_ANY_CHANNEL: Final = "*"

_SUBSCRIBER_ADVISORY: Final = Advisory(
    "SUBSCRIBER_NOT_ENFORCED",
    "Agora lets its holder publish all the same until co-host authentication is enabled for the "
    "project, and then only in the live broadcasting profile.",
)
_JOIN_ADVISORY: Final = Advisory(
    "JOIN_ENDS_BEFORE_PUBLISH",
    "The right to join ends before a right to publish: the user is removed from the channel then, "
    "whatever else remains.",
)
_V006_ADVISORY: Final = Advisory(
    "LEGACY_FORMAT_006",
    "006 is the older format: current SDKs read 007, which also knows wildcard channels and "
    "several services in one token.",
)


class Rtc(Kind[rtc_pb2.IssueRtcTokenRequest, AppCertificate]):
    """RTC tokens, timed to the second, 24 hours at most."""

    name = "rtc"
    request_type = rtc_pb2.IssueRtcTokenRequest
    response_type = rtc_pb2.IssueRtcTokenResponse
    key_type = AppCertificate
    max_ttl_ms = DAY_MS

    def terms(self, request: rtc_pb2.IssueRtcTokenRequest, now_ms: int) -> Terms:
        """Reads a request; see Kind.terms."""
        violations = list(_combinations(request))
        requested = requested_ttl_ms(
            request, request.WhichOneof("expiration"), now_ms, SECONDS, self.max_ttl_ms, violations
        )
        own_ttls_ms = _own_ttls_ms(request, violations)
        if isinstance(requested, Expiration):
            # Unset: with privileges, as long as the longest; else the default.
            by_privilege = request.WhichOneof("rights") == "privileges"
            ttl_ms = max(own_ttls_ms.values()) if by_privilege else DEFAULT_TTL_MS
        else:
            ttl_ms = requested
        violations += [
            FieldViolation(
                field,
                "PRIVILEGE_OUTLIVES_TOKEN",
                "must not be longer than the token lives: raise the token's ttl, or lower this",
            )
            for field, own_ms in own_ttls_ms.items()
            if own_ms > ttl_ms
        ]
        if violations:
            raise invalid_request(violations)
        login_ms = [own_ttls_ms[field] for field in _LOGIN_FIELDS if field in own_ttls_ms]
        return Terms(
            format=request.format or issued_token_pb2.TOKEN_FORMAT_V007,
            issue_ms=now_ms // SECOND_MS * SECOND_MS,
            ttl_ms=ttl_ms,
            usable_ms=min(ttl_ms, *login_ms) if login_ms else ttl_ms,
            advisories=tuple(_advisories(request)),
        )

    def sign(
        self,
        request: rtc_pb2.IssueRtcTokenRequest,
        terms: Terms,
        key: AppCertificate,
        moment: Moment,
    ) -> str:
        """Builds the token; see Kind.sign."""
        assert terms.ttl_ms is not None
        issued_at = terms.issue_ms // SECOND_MS
        expire_seconds = terms.ttl_ms // SECOND_MS
        channel = request.channel_name or _ANY_CHANNEL
        # Neither uid nor account set is any_user, and 0 is how Agora writes it.
        uid = request.user_account or uid_text(request.uid)
        privileges = _privileges(request, expire_seconds)
        if terms.format == issued_token_pb2.TOKEN_FORMAT_V006:
            return v006.build_access_token_006(
                app_id=key.app_id,
                app_certificate=key.certificate.reveal(),
                channel_name=channel,
                uid=uid,
                ends_at=issued_at + v006.TOKEN_SECONDS,
                salt=moment.salt,
                # 006 counts from 1970, 007 from the time of issue.
                privileges={right: issued_at + ttl for right, ttl in privileges.items()},
            )
        services = [v007.rtc(channel, uid, privileges)]
        if request.HasField("rtm"):
            login_seconds = request.rtm.ttl.seconds or expire_seconds
            services.append(v007.rtm(request.rtm.user_id, {v007.RTM_LOGIN: login_seconds}))
        return v007.build_access_token_007(
            app_id=key.app_id,
            app_certificate=key.certificate.reveal(),
            issued_at=issued_at,
            expire_seconds=expire_seconds,
            salt=moment.salt,
            services=services,
        )


# The rights without which the token is of no use to its holder.
_LOGIN_FIELDS: Final = ("privileges.join_channel_ttl", "rtm.ttl")


def _combinations(request: rtc_pb2.IssueRtcTokenRequest) -> Iterator[FieldViolation]:
    """Yields the pairs of fields that must not meet."""
    is_006 = request.format == issued_token_pb2.TOKEN_FORMAT_V006
    if request.HasField("any_channel"):
        if request.HasField("any_user"):
            yield FieldViolation(
                "any_user",
                "ANY_USER_WITH_ANY_CHANNEL",
                "must not be set together with any_channel: name the user or the channel",
            )
        if is_006:
            yield FieldViolation(
                "any_channel",
                "ANY_CHANNEL_NEEDS_V007",
                "exists in 007 only: leave format unset, or name the channel",
            )
    if is_006 and request.HasField("rtm"):
        yield FieldViolation(
            "rtm", "RTM_LOGIN_NEEDS_V007", "exists in 007 only: leave format unset"
        )


def _own_ttls_ms(
    request: rtc_pb2.IssueRtcTokenRequest, violations: list[FieldViolation]
) -> dict[str, int]:
    """Returns the lifetimes of their own that rights were given, by field path."""
    own = {
        f"privileges.{field}": getattr(request.privileges, field)
        for field in _PRIVILEGES
        if request.privileges.HasField(field)
    }
    if request.rtm.HasField("ttl"):
        own["rtm.ttl"] = request.rtm.ttl
    return {
        path: duration_ms(duration, path, SECONDS, violations) for path, duration in own.items()
    }


def _privileges(request: rtc_pb2.IssueRtcTokenRequest, expire_seconds: int) -> dict[int, int]:
    """Returns privilege -> seconds from issue."""
    match request.WhichOneof("rights"):
        case "role" if request.role == rtc_pb2.RTC_ROLE_PUBLISHER:
            return dict.fromkeys(_PRIVILEGES.values(), expire_seconds)
        case "role" if request.role == rtc_pb2.RTC_ROLE_SUBSCRIBER:
            return {_JOIN: expire_seconds}
        case "privileges":
            return {
                right: getattr(request.privileges, field).seconds
                for field, right in _PRIVILEGES.items()
                if request.privileges.HasField(field)
            }
        case _:
            raise AssertionError("the contract requires rights")


def _advisories(request: rtc_pb2.IssueRtcTokenRequest) -> Iterator[Advisory]:
    rights = _privileges(request, DAY_MS)
    if len(rights) < len(_PRIVILEGES):
        yield _SUBSCRIBER_ADVISORY
    if rights[_JOIN] < max(rights.values()):
        yield _JOIN_ADVISORY
    if request.format == issued_token_pb2.TOKEN_FORMAT_V006:
        yield _V006_ADVISORY
