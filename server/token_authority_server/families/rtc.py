"""RTC tokens: AccessToken2 007, with an RTM login if requested, and AccessToken 006."""

from collections.abc import Iterator, Mapping
from typing import Final

from token_authority.v1 import issued_token_pb2, rtc_pb2
from token_authority_server.errors import FieldViolation
from token_authority_server.families.advisories import Advisory
from token_authority_server.families.channel_user import (
    channel_access,
    channel_text,
    login_access,
    user_text,
    wildcard_violations,
)
from token_authority_server.families.expiration import read_terms_in_seconds
from token_authority_server.families.moment import Moment
from token_authority_server.families.privileges import (
    at_most,
    login_seconds,
    privilege_seconds,
    privilege_ttls_ms,
)
from token_authority_server.families.service_access import AccessRequest, TokenType
from token_authority_server.families.signing import sign_006, sign_007, ttl_seconds
from token_authority_server.families.terms import DAY_MS, SECONDS, Terms
from token_authority_server.families.token_family import TokenFamily
from token_authority_server.formats import service_packing, token_warnings
from token_authority_server.formats.services import RTC, RTM
from token_authority_server.keyring import AppCertificate

_JOIN: Final = RTC.privileges["join_channel"]
# 006 and 007 have the same numbers.
_PRIVILEGES: Final[Mapping[str, int]] = RTC.ttl_fields
_ENTRIES: Final = frozenset(("privileges.join_channel_ttl", "rtm.ttl"))
PUBLISHER: Final = "publisher"
SUBSCRIBER: Final = "subscriber"
"""The roles, as grants name them."""

_V006_ADVISORY: Final = Advisory.of(token_warnings.LEGACY_FORMAT_006)
_SUBSCRIBER_ADVISORY: Final = Advisory.of(token_warnings.SUBSCRIBER_NOT_ENFORCED)


class Rtc(TokenFamily[rtc_pb2.IssueRtcTokenRequest, AppCertificate]):
    """RTC tokens: times in seconds, 24 hours at most."""

    name = "rtc"
    request_type = rtc_pb2.IssueRtcTokenRequest
    response_type = rtc_pb2.IssueRtcTokenResponse
    key_type = AppCertificate
    max_ttl_ms = DAY_MS
    unit = SECONDS
    token_types = (TokenType("rtc", ("roles", "channels", "users"), roles=(PUBLISHER, SUBSCRIBER)),)

    def read(self, request: rtc_pb2.IssueRtcTokenRequest, now_ms: int) -> AccessRequest:
        """Reads a request; see TokenFamily.read."""
        is_006 = request.format == issued_token_pb2.TOKEN_FORMAT_V006
        violations = [*wildcard_violations(request), *(_needs_007(request) if is_006 else ())]
        ttls_ms: dict[str, int] = {}
        role, advisories = _role_and_advisories(request)
        if request.HasField("privileges"):
            ttls_ms = privilege_ttls_ms(request.privileges, _PRIVILEGES, "privileges.", violations)
        accesses = [channel_access(RTC.name, role, request)]
        if request.HasField("rtm"):
            ttls_ms |= privilege_ttls_ms(request.rtm, ("ttl",), "rtm.", violations)
            accesses.append(login_access(RTM.name, request.rtm.user_id))
        # With privileges, the token lives as long as the longest of them and the login.
        implied_ttl_ms = max(ttls_ms.values()) if request.HasField("privileges") else None
        terms = read_terms_in_seconds(
            request,
            request.WhichOneof("expiration"),
            now_ms,
            violations,
            privilege_ttls_ms=ttls_ms,
            entries=_ENTRIES,
            implied_ttl_ms=implied_ttl_ms,
            token_format=request.format,
            advisories=(*advisories, _V006_ADVISORY) if is_006 else advisories,
        )
        return AccessRequest(accesses, terms, violations)

    def sign(
        self,
        request: rtc_pb2.IssueRtcTokenRequest,
        terms: Terms,
        key: AppCertificate,
        moment: Moment,
    ) -> str:
        """Builds the token; see TokenFamily.sign."""
        ttl_s = ttl_seconds(terms)
        channel, user = channel_text(request), user_text(request)
        privileges = _privileges(request, ttl_s)
        if terms.format == issued_token_pb2.TOKEN_FORMAT_V006:
            return sign_006(key, terms, moment, channel, user, privileges)
        services = [service_packing.rtc(channel, user, privileges)]
        if request.HasField("rtm"):
            login = {RTM.privileges["login"]: login_seconds(request.rtm.ttl, ttl_s)}
            services.append(service_packing.rtm(request.rtm.user_id, login))
        return sign_007(key, terms, moment, services)


def _role_and_advisories(request: rtc_pb2.IssueRtcTokenRequest) -> tuple[str, tuple[Advisory, ...]]:
    """Returns the role, as grants name it, and the warnings about it."""
    match request.role:
        case rtc_pb2.RTC_ROLE_PUBLISHER:
            return PUBLISHER, ()
        case rtc_pb2.RTC_ROLE_SUBSCRIBER:
            return SUBSCRIBER, (_SUBSCRIBER_ADVISORY,)
        case _:
            privileges = privilege_seconds(request.privileges, _PRIVILEGES)
            return role_of(privileges), tuple(privilege_advisories(privileges))


def _privileges(request: rtc_pb2.IssueRtcTokenRequest, ttl_s: int) -> dict[int, int]:
    """Returns privilege -> seconds from the issue time, for a token with the lifetime `ttl_s`."""
    match request.role:
        case rtc_pb2.RTC_ROLE_PUBLISHER:
            return dict.fromkeys(_PRIVILEGES.values(), ttl_s)
        case rtc_pb2.RTC_ROLE_SUBSCRIBER:
            return {_JOIN: ttl_s}
        case _:
            return at_most(privilege_seconds(request.privileges, _PRIVILEGES), ttl_s)


def role_of(privileges: Mapping[int, int]) -> str:
    """Returns the role, as grants name it, that these privileges amount to."""
    return SUBSCRIBER if list(privileges) == [_JOIN] else PUBLISHER


def privilege_advisories(privileges: Mapping[int, int]) -> Iterator[Advisory]:
    """Yields the warnings about privilege -> seconds."""
    if _JOIN not in privileges:
        yield Advisory.of(token_warnings.NO_JOIN_PRIVILEGE)
        return
    if len(privileges) < len(_PRIVILEGES):
        yield _SUBSCRIBER_ADVISORY
    if privileges[_JOIN] < max(privileges.values()):
        yield Advisory.of(token_warnings.JOIN_ENDS_BEFORE_PUBLISH)


def _needs_007(request: rtc_pb2.IssueRtcTokenRequest) -> Iterator[FieldViolation]:
    """Yields a violation for each field that 006 has no place for."""
    for wildcard in ("any_channel", "channel_pattern"):
        if request.HasField(wildcard):
            yield FieldViolation(
                wildcard,
                f"{wildcard.upper()}_NEEDS_V007",
                "exists in 007 only: leave format unset, or name the channel",
            )
    if request.HasField("rtm"):
        yield FieldViolation(
            "rtm", "RTM_LOGIN_NEEDS_V007", "exists in 007 only: leave format unset"
        )
