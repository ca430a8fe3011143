"""AccessToken2 "007": one token for any number of Agora services. Pure.

Every lifetime is relative: seconds from the issue time. Deflate output is not portable between zlib
builds: compare tokens by their inflated bytes.
"""

import hmac
import struct
from binascii import b2a_base64
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Final, NamedTuple
from zlib import compress, compressobj

from token_authority_server.formats.packing import (
    FormatError,
    check_id,
    i16,
    privilege_map,
    string,
    u16,
    u32,
)

RTC_JOIN_CHANNEL: Final = 1
RTC_PUBLISH_AUDIO: Final = 2
RTC_PUBLISH_VIDEO: Final = 3
RTC_PUBLISH_DATA: Final = 4
RTM_LOGIN: Final = 1
FPA_LOGIN: Final = 1
CHAT_USER: Final = 1
CHAT_APP: Final = 2
EDUCATION_ROOM_USER: Final = 1
EDUCATION_USER: Final = 2
EDUCATION_APP: Final = 3

# App ID as a string of 32 bytes, issue time, expiry, salt, number of services.
_HEADER: Final = struct.Struct("<H32sIIIH")
_SIGNATURE_LENGTH: Final = struct.pack("<H", 32)
# What zlib's default writes in front: a window of 32 KiB, level 6.
_ZLIB_HEADER: Final = b"\x78\x9c"
# How far back a window of 2 KiB reaches: it is short of its size by the longest match and more.
_MAX_SMALL: Final = 2048 - 262


class Service(NamedTuple):
    """One packed service of a token; the functions below make them.

    Privileges map a number to relative seconds (u32); 0 is written as it is.
    """

    type: int
    packed: bytes


class RtmPermission(NamedTuple):
    """Access to some resources of one type, for `rtm2`."""

    resource_type: int
    """0 message channels, 1 stream channels, 2 group channels, 3 server groups, 4 users."""
    permission_type: int
    """0 read, 1 write."""
    resources: Sequence[str]


def service(service_type: int, privileges: Mapping[int, int], body: bytes = b"") -> Service:
    """Packs any service: a u16 type, its privileges and a body."""
    packed = u16("service type", service_type) + privilege_map(privileges) + body
    return Service(service_type, packed)


def rtc(channel_name: str, uid: str, privileges: Mapping[int, int]) -> Service:
    """RTC: 1 join, 2 publish audio, 3 video, 4 data. `uid` as `packing.uid_text` writes it."""
    return service(1, privileges, string("channel_name", channel_name) + string("uid", uid))


def rtm(user_id: str, privileges: Mapping[int, int]) -> Service:
    """RTM (Signaling): 1 login."""
    return service(2, privileges, string("user_id", user_id))


def streaming(channel_name: str, account: str, privileges: Mapping[int, int]) -> Service:
    """Streaming: 1 publish mixed, 2 publish raw."""
    return service(3, privileges, string("channel_name", channel_name) + string("account", account))


def fpa(privileges: Mapping[int, int]) -> Service:
    """FPA: 1 login."""
    return service(4, privileges)


def chat(user_id: str, privileges: Mapping[int, int]) -> Service:
    """Chat: 1 user, 2 app. The user id is empty for an app token."""
    return service(5, privileges, string("user_id", user_id))


def fcdn(channel_name: str, account: str, privileges: Mapping[int, int]) -> Service:
    """FCDN: 1 publish, 2 play."""
    return service(6, privileges, string("channel_name", channel_name) + string("account", account))


def education(room_uuid: str, user_uuid: str, role: int, privileges: Mapping[int, int]) -> Service:
    """Education (aPaaS): 1 room user, 2 user, 3 app. Role -1, i16, where there is no room."""
    body = string("room_uuid", room_uuid) + string("user_uuid", user_uuid) + i16("role", role)
    return service(7, privileges, body)


def rtm2(
    user_id: str, permissions: Iterable[RtmPermission], privileges: Mapping[int, int]
) -> Service:
    """RTM with resource permissions: 1 login. Naming a pair of types again replaces it."""
    table: dict[int, dict[int, Sequence[str]]] = {}
    for permission in permissions:
        table.setdefault(permission.resource_type, {})[permission.permission_type] = (
            permission.resources
        )
    body = string("user_id", user_id) + u16("resource types", len(table))
    for resource_type, by_permission in sorted(table.items()):
        body += u16("resource_type", resource_type) + u16("permission types", len(by_permission))
        for permission_type, resources in sorted(by_permission.items()):
            body += u16("permission_type", permission_type) + u16("resources", len(resources))
            body += b"".join([string("resource", resource) for resource in resources])
    return service(8, privileges, body)


def convo_ai(privileges: Mapping[int, int]) -> Service:
    """Conversational AI: no body, and no privileges in Agora's builders."""
    return service(9, privileges)


def stt(privileges: Mapping[int, int]) -> Service:
    """Speech to text: no body, and no privileges in Agora's builders."""
    return service(10, privileges)


def build_access_token_007(
    *,
    app_id: str,
    app_certificate: str,
    issued_at: int,
    expire_seconds: int,
    salt: int,
    services: Iterable[Service],
) -> str:
    """Builds a 007 token.

    Args:
        app_id: 32 hex digits.
        app_certificate: 32 hex digits; its text signs.
        issued_at: Unix seconds, u32.
        expire_seconds: The token's life from `issued_at`, u32; written as it is.
        salt: Any u32, fresh for each token.
        services: At least one, in any order; several of one type are all kept, in their order.

    Raises:
        FormatError: An id is not 32 hex digits, a number is beyond its field, or there is no
            service.
    """
    check_id("app_id", app_id)
    check_id("app_certificate", app_certificate)
    # The sort is stable: services of one type keep their order.
    ordered = sorted(services, key=itemgetter(0))
    if not ordered:
        raise FormatError("services must not be empty")
    try:
        header = _HEADER.pack(32, app_id.encode(), issued_at, expire_seconds, salt, len(ordered))
    except struct.error:
        header = _checked_header(app_id, issued_at, expire_seconds, salt, len(ordered))
    signed = header + b"".join([service.packed for service in ordered])
    signature = signature_007(app_certificate, header[34:38], header[42:46], signed)
    content = _SIGNATURE_LENGTH + signature + signed
    return "007" + b2a_base64(_deflate(content), newline=False).decode()


def signature_007(app_certificate: str, issued_at: bytes, salt: bytes, signed: bytes) -> bytes:
    """Signs with a key made of the issue time and the salt, as they stand in `signed`."""
    key = hmac.digest(salt, _key_of_second(app_certificate, issued_at), "sha256")
    return hmac.digest(key, signed, "sha256")


@lru_cache(maxsize=8)
def _key_of_second(app_certificate: str, issued_at: bytes) -> bytes:
    """Derives what all tokens of one second have in common, and a batch would derive each time."""
    return hmac.digest(issued_at, app_certificate.encode(), "sha256")


def forget_keys() -> None:
    """Forgets the certificates that have signed: for when one is no longer to be used."""
    _key_of_second.cache_clear()


def _checked_header(
    app_id: str, issued_at: int, expire_seconds: int, salt: int, service_count: int
) -> bytes:
    """Packs the header field by field, which names the field that does not fit."""
    return b"".join(
        [
            string("app_id", app_id),
            u32("issued_at", issued_at),
            u32("expire_seconds", expire_seconds),
            u32("salt", salt),
            u16("services", service_count),
        ]
    )


def _deflate(content: bytes) -> bytes:
    """Compresses as zlib's default does, with less memory.

    The default takes a quarter of a megabyte for a few hundred bytes, which the system often clears
    first. A window that all of the content fits into finds the same matches, so the output is the
    same to the byte, except for text made to collide in the smaller hash table (`memLevel`): that
    inflates to the same. Only the header names the window, and so is replaced.
    """
    if len(content) > _MAX_SMALL:
        return compress(content)
    compressor = compressobj(wbits=11, memLevel=5)
    return _ZLIB_HEADER + (compressor.compress(content) + compressor.flush())[2:]
