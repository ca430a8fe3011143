"""Any composition of Agora's services in one 007 token."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from token_authority.v1 import access_token_pb2 as pb2
from token_authority_server.errors import FieldViolation
from token_authority_server.families import rtc, rtm
from token_authority_server.families.agora import (
    APP_ADVISORY,
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
    DEFAULT_TTL_MS,
    SECONDS,
    Advisory,
    Moment,
    ServiceAccess,
    Terms,
    TokenFamily,
    TokenType,
)
from token_authority_server.families.chat import chat_part, chat_service
from token_authority_server.families.education import education_part, education_service
from token_authority_server.formats import access_token_007 as v007
from token_authority_server.keyring import AppCertificate


class _Member(NamedTuple):
    """How one member of AccessTokenService is read. Messages are of the member's own type."""

    pack: Callable[[Any, int], v007.Service]
    """Packs it; the number is the token's life in seconds."""
    part: Callable[[Any], ServiceAccess]
    """What grants have to allow."""
    ttls: Sequence[str] = ()
    """Its fields with lifetimes."""
    logins: Sequence[str] = ()
    """Those without which it is of no use to its holder."""
    needs_one: bool = False
    """Whether at least one of them has to be set; else unset means the token's life."""
    has_wildcards: bool = False
    """Whether it has channel and user."""
    has_permissions: bool = False
    """Whether it has RTM permissions."""


_STREAMING: Final = {"publish_mixed_ttl": 1, "publish_raw_ttl": 2}
_FCDN: Final = {"publish_ttl": 1, "play_ttl": 2}


def _rtc(message: pb2.RtcService, life: int) -> v007.Service:
    rights = seconds_of(message, rtc.PRIVILEGES, life)
    return v007.rtc(channel_text(message), user_text(message), rights)


def _rtc_part(message: pb2.RtcService) -> ServiceAccess:
    role = rtc.role_of(seconds_of(message, rtc.PRIVILEGES, DAY_MS))
    return channel_access("rtc", role, message)


def _rtm(message: pb2.RtmService, life: int) -> v007.Service:
    return v007.rtm(message.user_id, {v007.RTM_LOGIN: login_seconds(message.login_ttl, life)})


def _rtm_part(message: pb2.RtmService | pb2.Rtm2Service) -> ServiceAccess:
    return account("rtm", message.user_id)


def _streaming(message: pb2.StreamingService, life: int) -> v007.Service:
    rights = seconds_of(message, _STREAMING, life)
    return v007.streaming(channel_text(message), user_text(message), rights)


def _streaming_part(message: pb2.StreamingService) -> ServiceAccess:
    return channel_access("streaming", rtc.PUBLISHER, message)


def _fpa(_: pb2.FpaService, __: int) -> v007.Service:
    # Agora's builder gives the login no lifetime.
    return v007.fpa({v007.FPA_LOGIN: 0})


def _chat(message: pb2.ChatService, life: int) -> v007.Service:
    return chat_service(message, login_seconds(message.ttl, life))


def _fcdn(message: pb2.FcdnService, life: int) -> v007.Service:
    return v007.fcdn(channel_text(message), user_text(message), seconds_of(message, _FCDN, life))


def _fcdn_part(message: pb2.FcdnService) -> ServiceAccess:
    role = rtc.PUBLISHER if message.HasField("publish_ttl") else rtc.SUBSCRIBER
    return channel_access("fcdn", role, message)


def _education(message: pb2.EducationService, life: int) -> v007.Service:
    return education_service(message, login_seconds(message.ttl, life))


def _rtm2(message: pb2.Rtm2Service, life: int) -> v007.Service:
    login = {v007.RTM_LOGIN: login_seconds(message.login_ttl, life)}
    return v007.rtm2(message.user_id, rtm.permissions(message.permissions), login)


def _convo_ai(_: pb2.ConvoAiService, __: int) -> v007.Service:
    return v007.convo_ai({})


def _stt(_: pb2.SttService, __: int) -> v007.Service:
    return v007.stt({})


def _alone(kind: str) -> Callable[[Any], ServiceAccess]:
    part = ServiceAccess(kind)
    return lambda _: part


_MEMBERS: Final[Mapping[str, _Member]] = {
    "rtc": _Member(
        _rtc,
        _rtc_part,
        tuple(rtc.PRIVILEGES),
        ("join_channel_ttl",),
        needs_one=True,
        has_wildcards=True,
    ),
    "rtm": _Member(_rtm, _rtm_part, ("login_ttl",), ("login_ttl",)),
    "streaming": _Member(
        _streaming, _streaming_part, tuple(_STREAMING), needs_one=True, has_wildcards=True
    ),
    "fpa": _Member(_fpa, _alone("fpa")),
    "chat": _Member(_chat, chat_part, ("ttl",), ("ttl",)),
    "fcdn": _Member(_fcdn, _fcdn_part, tuple(_FCDN), needs_one=True, has_wildcards=True),
    "education": _Member(_education, education_part, ("ttl",), ("ttl",)),
    "rtm2": _Member(_rtm2, _rtm_part, ("login_ttl",), ("login_ttl",), has_permissions=True),
    "convo_ai": _Member(_convo_ai, _alone("convo_ai")),
    "stt": _Member(_stt, _alone("stt")),
}
_COMPOSITION: Final = ServiceAccess("access_token")


class AccessToken(TokenFamily[pb2.IssueAccessTokenRequest, AppCertificate]):
    """007 tokens of any parts, timed to the second, 24 hours at most."""

    name = "access_token"
    request_type = pb2.IssueAccessTokenRequest
    response_type = pb2.IssueAccessTokenResponse
    key_type = AppCertificate
    max_ttl_ms = DAY_MS
    unit = SECONDS
    token_types = (
        TokenType("access_token", explicit=True),
        TokenType("streaming", ("roles", "channels", "users"), roles=(rtc.PUBLISHER,)),
        TokenType("fcdn", ("roles", "channels", "users"), roles=(rtc.PUBLISHER, rtc.SUBSCRIBER)),
        TokenType("fpa"),
        TokenType("convo_ai"),
        TokenType("stt"),
    )

    def parts(self, request: pb2.IssueAccessTokenRequest) -> Sequence[ServiceAccess]:
        """Returns what the token would carry, and that it is composed; see TokenFamily.parts."""
        return [
            _COMPOSITION,
            *[member.part(message) for _, member, message in _members(request)],
        ]

    def terms(self, request: pb2.IssueAccessTokenRequest, now_ms: int) -> Terms:
        """Reads a request; see TokenFamily.terms."""
        violations: list[FieldViolation] = []
        own: dict[str, int] = {}
        logins: set[str] = set()
        for prefix, member, message in _members(request):
            found = privilege_ttls_ms(message, member.ttls, prefix, violations)
            violations += _member_violations(member, message, prefix, found)
            own |= found
            logins.update(prefix + field for field in member.logins)
        return terms_to_the_second(
            request,
            request.WhichOneof("expiration"),
            now_ms,
            violations,
            own=own,
            logins=frozenset(logins),
            asked_ms=max(own.values()) if own else None,
            default_ms=_default_ms(request),
            advisories=tuple(dict.fromkeys(_advisories(request))),
        )

    def sign(
        self,
        request: pb2.IssueAccessTokenRequest,
        terms: Terms,
        key: AppCertificate,
        moment: Moment,
    ) -> str:
        """Builds the token; see TokenFamily.sign."""
        life = ttl_seconds(terms)
        services = [member.pack(message, life) for _, member, message in _members(request)]
        return build_007(key, terms, moment, services)


def _members(
    request: pb2.IssueAccessTokenRequest,
) -> Iterator[tuple[str, _Member, Any]]:
    """Yields the path, the reading and the message of each part."""
    for index, service in enumerate(request.services):
        name = service.WhichOneof("service")
        assert name
        yield f"services[{index}].{name}.", _MEMBERS[name], getattr(service, name)


def _member_violations(
    member: _Member, message: Any, prefix: str, own: Mapping[str, int]
) -> Iterator[FieldViolation]:
    if member.has_wildcards:
        yield from wildcard_violations(message, prefix)
    if member.needs_one and not own:
        yield FieldViolation(
            prefix.removesuffix("."),
            "PRIVILEGE_MISSING",
            f"must grant something: set one of {', '.join(member.ttls)}",
        )
    if member.has_permissions:
        yield from rtm.permission_violations(message.permissions, f"{prefix}permissions.")


def _default_ms(request: pb2.IssueAccessTokenRequest) -> int:
    # What Agora's builder gives a token of FPA alone.
    only_fpa = all(service.HasField("fpa") for service in request.services)
    return DAY_MS if only_fpa else DEFAULT_TTL_MS


def _advisories(request: pb2.IssueAccessTokenRequest) -> Iterator[Advisory]:
    for service in request.services:
        if service.HasField("rtc"):
            yield from rtc.rights_advisories(seconds_of(service.rtc, rtc.PRIVILEGES, DAY_MS))
        if service.chat.HasField("app") or service.education.HasField("app"):
            yield APP_ADVISORY
