"""Reads and packs each member of AccessTokenService, by the table of services."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from token_authority.v1 import access_token_pb2 as pb2
from token_authority_server.errors import FieldViolation
from token_authority_server.families.advisories import Advisory
from token_authority_server.families.channel_user import (
    channel_access,
    channel_text,
    login_access,
    user_text,
    wildcard_violations,
)
from token_authority_server.families.chat import chat_access, chat_advisories, chat_service
from token_authority_server.families.education import (
    education_access,
    education_advisories,
    education_service,
)
from token_authority_server.families.privileges import at_most, login_seconds, privilege_seconds
from token_authority_server.families.rtc import (
    PUBLISHER,
    SUBSCRIBER,
    privilege_advisories,
    role_of,
)
from token_authority_server.families.rtm import (
    PERMISSIONS_ADVISORY,
    permission_violations,
    permissions,
)
from token_authority_server.families.service_access import ServiceAccess, TokenType
from token_authority_server.formats.service_packing import PackedService, pack_service
from token_authority_server.formats.services import (
    CHAT,
    CONVO_AI,
    EDUCATION,
    FCDN,
    FPA,
    RTC,
    RTM,
    RTM2,
    STREAMING,
    STT,
    ServiceSpec,
)


def _no_violations(_: Any, __: str) -> Iterable[FieldViolation]:
    return ()


def _no_advisories(_: Any) -> Iterable[Advisory]:
    return ()


def _no_values(_: Any) -> Iterable[Any]:
    return ()


class Member(NamedTuple):
    """How one member of AccessTokenService is read and packed. Messages are of its type."""

    pack: Callable[[Any, int], PackedService]
    """Packs a message, given the token's lifetime in seconds."""
    access: Callable[[Any], ServiceAccess]
    """Returns what grants have to allow."""
    ttl_fields: Collection[str] = ()
    """Its fields with lifetimes."""
    entries: Collection[str] = ()
    """Those of privileges to join or log in."""
    violations: Callable[[Any, str], Iterable[FieldViolation]] = _no_violations
    """Yields the rules that a message breaks over several fields, given its path."""
    advisories: Callable[[Any], Iterable[Advisory]] = _no_advisories
    """Yields the warnings about a message."""
    token_type: TokenType | None = None
    """Its type of token, unless another family has it."""


def _channel_member(
    spec: ServiceSpec,
    role: Callable[[Mapping[int, int]], str],
    advisories: Callable[[Mapping[int, int]], Iterable[Advisory]] = _no_advisories,
    roles: tuple[str, ...] = (),
) -> Member:
    """Returns the reader of a service with a channel, a user and at least one privilege.

    Args:
        spec: The service.
        role: Returns the role that privileges (number -> seconds) amount to.
        advisories: Yields the warnings about privileges.
        roles: The roles of its type of token; empty if another family has that.
    """
    fields = spec.ttl_fields

    def pack(message: Any, ttl_s: int) -> PackedService:
        privileges = at_most(privilege_seconds(message, fields), ttl_s)
        return pack_service(spec, privileges, channel_text(message), user_text(message))

    def violations(message: Any, path: str) -> Iterator[FieldViolation]:
        yield from wildcard_violations(message, f"{path}.")
        if not any(map(message.HasField, fields)):
            problem = f"must grant at least one privilege: set one of {', '.join(fields)}"
            yield FieldViolation(path, "PRIVILEGE_MISSING", problem)

    def access(message: Any) -> ServiceAccess:
        return channel_access(spec.name, role(privilege_seconds(message, fields)), message)

    def warnings(message: Any) -> Iterable[Advisory]:
        return advisories(privilege_seconds(message, fields))

    return Member(
        pack,
        access,
        fields.keys(),
        [f"{name}_ttl" for name in spec.entries],
        violations,
        warnings,
        TokenType(spec.name, ("roles", "channels", "users"), roles=roles) if roles else None,
    )


def _login_member(
    spec: ServiceSpec,
    body: Callable[[Any], Iterable[Any]] = _no_values,
    violations: Callable[[Any, str], Iterable[FieldViolation]] = _no_violations,
    advisories: Callable[[Any], Iterable[Advisory]] = _no_advisories,
) -> Member:
    """Returns the reader of a login to RTM.

    Args:
        spec: The service.
        body: Returns the values of its body after the user.
        violations: See Member.
        advisories: See Member.
    """
    login = spec.privileges["login"]

    def pack(message: Any, ttl_s: int) -> PackedService:
        privileges = {login: login_seconds(message.login_ttl, ttl_s)}
        return pack_service(spec, privileges, message.user_id, *body(message))

    def access(message: Any) -> ServiceAccess:
        return login_access(RTM.name, message.user_id)

    return Member(pack, access, ("login_ttl",), ("login_ttl",), violations, advisories)


def _subject_member(
    pack: Callable[[Any, int], PackedService],
    access: Callable[[Any], ServiceAccess],
    advisories: Callable[[Any], Iterable[Advisory]],
) -> Member:
    """Returns the reader of a service with the oneof `subject` and one lifetime."""

    def pack_login(message: Any, ttl_s: int) -> PackedService:
        return pack(message, login_seconds(message.ttl, ttl_s))

    return Member(pack_login, access, ("ttl",), ("ttl",), advisories=advisories)


def _empty_member(spec: ServiceSpec) -> Member:
    """Returns the reader of a service without fields; its privileges get Agora's lifetime 0."""
    service = pack_service(spec, dict.fromkeys(spec.privileges.values(), 0))
    service_access = ServiceAccess(spec.name)

    def pack(_: Any, __: int) -> PackedService:
        return service

    def access(_: Any) -> ServiceAccess:
        return service_access

    return Member(pack, access, token_type=TokenType(spec.name))


def _publisher(_: Mapping[int, int]) -> str:
    return PUBLISHER


def _fcdn_role(privileges: Mapping[int, int]) -> str:
    return PUBLISHER if FCDN.privileges["publish"] in privileges else SUBSCRIBER


def _rtm2_body(message: pb2.Rtm2Service) -> Iterable[Any]:
    return [permissions(message.permissions)]


def _rtm2_violations(message: pb2.Rtm2Service, path: str) -> Iterator[FieldViolation]:
    return permission_violations(message.permissions, f"{path}.permissions.")


def _rtm2_advisories(_: pb2.Rtm2Service) -> Iterable[Advisory]:
    return (PERMISSIONS_ADVISORY,)


MEMBERS: Final[Mapping[str, Member]] = {
    RTC.name: _channel_member(RTC, role_of, privilege_advisories),
    RTM.name: _login_member(RTM),
    STREAMING.name: _channel_member(STREAMING, _publisher, roles=(PUBLISHER,)),
    FPA.name: _empty_member(FPA),
    CHAT.name: _subject_member(chat_service, chat_access, chat_advisories),
    FCDN.name: _channel_member(FCDN, _fcdn_role, roles=(PUBLISHER, SUBSCRIBER)),
    EDUCATION.name: _subject_member(education_service, education_access, education_advisories),
    RTM2.name: _login_member(RTM2, _rtm2_body, _rtm2_violations, _rtm2_advisories),
    CONVO_AI.name: _empty_member(CONVO_AI),
    STT.name: _empty_member(STT),
}
"""By the member's name."""
TOKEN_TYPES: Final = tuple(
    member.token_type for member in MEMBERS.values() if member.token_type is not None
)
"""The types of token that no other family has."""
