"""Packs the services of an AccessToken2, by the table in `services`. Pure.

Privileges map Agora's numbers to seconds from the issue time, u32; 0 is written as 0.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from token_authority_server.formats.packing import i16, privilege_map, string, u16
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


class PackedService(NamedTuple):
    """One packed service of a token."""

    type: int
    packed: bytes


class RtmPermission(NamedTuple):
    """Access to some resources of one type, for `rtm2`."""

    resource_type: int
    """One of services.RTM_RESOURCE_TYPES."""
    permission_type: int
    """One of services.RTM_ACCESSES."""
    resources: Sequence[str]


def service(service_type: int, privileges: Mapping[int, int], body: bytes = b"") -> PackedService:
    """Packs any service: its type (u16), its privileges and a body that is packed already."""
    packed = u16("service type", service_type) + privilege_map(privileges) + body
    return PackedService(service_type, packed)


def pack_service(spec: ServiceSpec, privileges: Mapping[int, int], *body: Any) -> PackedService:
    """Packs a service by its row of the table.

    Args:
        spec: The row.
        privileges: Number -> seconds.
        body: A value for each of its body fields, in their order: text, an integer for `i16`,
            RtmPermission values for `permissions`.
    """
    packed = [
        _PACKERS[encoding](name, value)
        for (name, encoding), value in zip(spec.body, body, strict=True)
    ]
    return service(spec.number, privileges, b"".join(packed))


def rtc(channel_name: str, uid: str, privileges: Mapping[int, int]) -> PackedService:
    """Packs RTC. `packing.uid_text` writes an integer uid."""
    return pack_service(RTC, privileges, channel_name, uid)


def rtm(user_id: str, privileges: Mapping[int, int]) -> PackedService:
    """Packs RTM (Signaling)."""
    return pack_service(RTM, privileges, user_id)


def streaming(channel_name: str, account: str, privileges: Mapping[int, int]) -> PackedService:
    """Packs Streaming. `packing.uid_text` writes an integer uid."""
    return pack_service(STREAMING, privileges, channel_name, account)


def fpa(privileges: Mapping[int, int]) -> PackedService:
    """Packs FPA."""
    return pack_service(FPA, privileges)


def chat(user_id: str, privileges: Mapping[int, int]) -> PackedService:
    """Packs Chat. The user id is empty for an app token."""
    return pack_service(CHAT, privileges, user_id)


def fcdn(channel_name: str, account: str, privileges: Mapping[int, int]) -> PackedService:
    """Packs FCDN. `packing.uid_text` writes an integer uid."""
    return pack_service(FCDN, privileges, channel_name, account)


def education(
    room_uuid: str, user_uuid: str, role: int, privileges: Mapping[int, int]
) -> PackedService:
    """Packs Education (aPaaS). The role is -1 if there is no room."""
    return pack_service(EDUCATION, privileges, room_uuid, user_uuid, role)


def rtm2(
    user_id: str, permissions: Iterable[RtmPermission], privileges: Mapping[int, int]
) -> PackedService:
    """Packs RTM with resource permissions. The last of a resource and permission type wins."""
    return pack_service(RTM2, privileges, user_id, permissions)


def convo_ai(privileges: Mapping[int, int]) -> PackedService:
    """Packs Conversational AI. Agora's builders give it no privileges."""
    return pack_service(CONVO_AI, privileges)


def stt(privileges: Mapping[int, int]) -> PackedService:
    """Packs Speech to text. Agora's builders give it no privileges."""
    return pack_service(STT, privileges)


def _permissions(_: str, permissions: Iterable[RtmPermission]) -> bytes:
    table: dict[int, dict[int, Sequence[str]]] = {}
    for permission in permissions:
        table.setdefault(permission.resource_type, {})[permission.permission_type] = (
            permission.resources
        )
    packed = u16("resource types", len(table))
    for resource_type, by_permission in sorted(table.items()):
        packed += u16("resource_type", resource_type) + u16("permission types", len(by_permission))
        for permission_type, resources in sorted(by_permission.items()):
            packed += u16("permission_type", permission_type) + u16("resources", len(resources))
            packed += b"".join([string("resource", resource) for resource in resources])
    return packed


_PACKERS: Final[Mapping[str, Callable[[str, Any], bytes]]] = {
    "string": string,
    "i16": i16,
    "permissions": _permissions,
}
