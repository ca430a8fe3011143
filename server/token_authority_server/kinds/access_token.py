"""Any composition of Agora's services in one 007 token."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from token_authority.v1 import access_token_pb2 as pb2
from token_authority_server.errors import FieldViolation
from token_authority_server.formats import access_token_007 as v007
from token_authority_server.keyring import AppCertificate
from token_authority_server.kinds import rtc, rtm
from token_authority_server.kinds.agora import (
    APP_ADVISORY,
    build_007,
    channel_text,
    own_ttls_ms,
    seconds_of,
    terms_to_the_second,
    ttl_seconds,
    user_text,
    wildcard_violations,
)
from token_authority_server.kinds.base import (
    DAY_MS,
    DEFAULT_TTL_MS,
    Advisory,
    Kind,
    Moment,
    Terms,
)
from token_authority_server.kinds.education import education_service


class _Part(NamedTuple):
    """How one member of AccessTokenService is read. Messages are of the member's own type."""

    pack: Callable[[Any, int], v007.Service]
    """Packs it; the number is the token's life in seconds."""
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


def _rtc(message: pb2.RtcService, _: int) -> v007.Service:
    rights = seconds_of(message, rtc.PRIVILEGES)
    return v007.rtc(channel_text(message), user_text(message), rights)


def _rtm(message: pb2.RtmService, life: int) -> v007.Service:
    return v007.rtm(message.user_id, {v007.RTM_LOGIN: message.login_ttl.seconds or life})


def _streaming(message: pb2.StreamingService, _: int) -> v007.Service:
    rights = seconds_of(message, _STREAMING)
    return v007.streaming(channel_text(message), user_text(message), rights)


def _fpa(_: pb2.FpaService, __: int) -> v007.Service:
    # Agora's builder gives the login no lifetime.
    return v007.fpa({v007.FPA_LOGIN: 0})


def _chat(message: pb2.ChatService, life: int) -> v007.Service:
    seconds = message.ttl.seconds or life
    if message.HasField("app"):
        return v007.chat("", {v007.CHAT_APP: seconds})
    return v007.chat(message.user.user_id, {v007.CHAT_USER: seconds})


def _fcdn(message: pb2.FcdnService, _: int) -> v007.Service:
    return v007.fcdn(channel_text(message), user_text(message), seconds_of(message, _FCDN))


def _education(message: pb2.EducationService, life: int) -> v007.Service:
    return education_service(message, message.ttl.seconds or life)


def _rtm2(message: pb2.Rtm2Service, life: int) -> v007.Service:
    login = {v007.RTM_LOGIN: message.login_ttl.seconds or life}
    return v007.rtm2(message.user_id, rtm.permissions(message.permissions), login)


def _convo_ai(_: pb2.ConvoAiService, __: int) -> v007.Service:
    return v007.convo_ai({})


def _stt(_: pb2.SttService, __: int) -> v007.Service:
    return v007.stt({})


_PARTS: Final[Mapping[str, _Part]] = {
    "rtc": _Part(
        _rtc, tuple(rtc.PRIVILEGES), ("join_channel_ttl",), needs_one=True, has_wildcards=True
    ),
    "rtm": _Part(_rtm, ("login_ttl",), ("login_ttl",)),
    "streaming": _Part(_streaming, tuple(_STREAMING), needs_one=True, has_wildcards=True),
    "fpa": _Part(_fpa),
    "chat": _Part(_chat, ("ttl",), ("ttl",)),
    "fcdn": _Part(_fcdn, tuple(_FCDN), needs_one=True, has_wildcards=True),
    "education": _Part(_education, ("ttl",), ("ttl",)),
    "rtm2": _Part(_rtm2, ("login_ttl",), ("login_ttl",), has_permissions=True),
    "convo_ai": _Part(_convo_ai),
    "stt": _Part(_stt),
}


class AccessToken(Kind[pb2.IssueAccessTokenRequest, AppCertificate]):
    """007 tokens of any parts, timed to the second, 24 hours at most."""

    name = "access_token"
    request_type = pb2.IssueAccessTokenRequest
    response_type = pb2.IssueAccessTokenResponse
    key_type = AppCertificate
    max_ttl_ms = DAY_MS

    def terms(self, request: pb2.IssueAccessTokenRequest, now_ms: int) -> Terms:
        """Reads a request; see Kind.terms."""
        violations: list[FieldViolation] = []
        own: dict[str, int] = {}
        logins: set[str] = set()
        for prefix, part, message in _parts(request):
            found = own_ttls_ms(message, part.ttls, prefix, violations)
            violations += _part_violations(part, message, prefix, found)
            own |= found
            logins.update(prefix + field for field in part.logins)
        return terms_to_the_second(
            request,
            request.WhichOneof("expiration"),
            now_ms,
            violations,
            own=own,
            logins=logins,
            default_ms=max(own.values(), default=_default_ms(request)),
            advisories=tuple(dict.fromkeys(_advisories(request))),
        )

    def sign(
        self,
        request: pb2.IssueAccessTokenRequest,
        terms: Terms,
        key: AppCertificate,
        moment: Moment,
    ) -> str:
        """Builds the token; see Kind.sign."""
        life = ttl_seconds(terms)
        services = [part.pack(message, life) for _, part, message in _parts(request)]
        return build_007(key, terms, moment, services)


def _parts(
    request: pb2.IssueAccessTokenRequest,
) -> Iterator[tuple[str, _Part, Any]]:
    """Yields the path, the reading and the message of each part."""
    for index, service in enumerate(request.services):
        name = service.WhichOneof("service")
        assert name
        yield f"services[{index}].{name}.", _PARTS[name], getattr(service, name)


def _part_violations(
    part: _Part, message: Any, prefix: str, own: Mapping[str, int]
) -> Iterator[FieldViolation]:
    if part.has_wildcards:
        yield from wildcard_violations(message, prefix)
    if part.needs_one and not own:
        yield FieldViolation(
            prefix.removesuffix("."),
            "PRIVILEGE_MISSING",
            f"must grant something: set one of {', '.join(part.ttls)}",
        )
    if part.has_permissions:
        yield from rtm.permission_violations(message.permissions, f"{prefix}permissions.")


def _default_ms(request: pb2.IssueAccessTokenRequest) -> int:
    only_fpa = all(service.HasField("fpa") for service in request.services)
    return DAY_MS if only_fpa else DEFAULT_TTL_MS


def _advisories(request: pb2.IssueAccessTokenRequest) -> Iterator[Advisory]:
    for service in request.services:
        if service.HasField("rtc"):
            yield from rtc.rights_advisories(seconds_of(service.rtc, rtc.PRIVILEGES))
        if service.chat.HasField("app") or service.education.HasField("app"):
            yield APP_ADVISORY
