"""AccessToken2 "007": one token for any number of Agora services. Pure.

Every lifetime is relative: seconds from the issue time. Deflate output is not portable between zlib
builds: compare tokens by their inflated bytes.
"""

import hmac
import struct
from binascii import b2a_base64
from collections.abc import Iterable
from operator import itemgetter
from typing import Final
from zlib import compress, compressobj

from token_authority_server.formats.packing import FormatError, check_id, string, u16, u32
from token_authority_server.formats.service_packing import PackedService

# App ID as a string of 32 bytes, issue time, expiry, salt, number of services.
_HEADER: Final = struct.Struct("<H32sIIIH")
_SIGNATURE_LENGTH: Final = struct.pack("<H", 32)
# The header that zlib's default writes: a window of 32 KiB, level 6.
_ZLIB_HEADER: Final = b"\x78\x9c"
# How far back a window of 2 KiB reaches: it is short of its size by the longest match and more.
_MAX_SMALL: Final = 2048 - 262


def build_access_token_007(
    *,
    app_id: str,
    app_certificate: str,
    issued_at: int,
    expire_seconds: int,
    salt: int,
    services: Iterable[PackedService],
) -> str:
    """Builds a 007 token with an App Certificate; see build_with_second_key.

    Args:
        app_id: 32 hex digits.
        app_certificate: 32 hex digits; its text signs.
        issued_at: Unix seconds, u32.
        expire_seconds: The token's lifetime from `issued_at`, u32; 0 is written as 0.
        salt: Any u32, fresh for each token.
        services: At least one, in any order.

    Raises:
        FormatError: An id is not 32 hex digits, a number exceeds its field, or there is no service.
    """
    return build_with_second_key(
        app_id=app_id,
        second_key=second_key(app_certificate, issued_at),
        issued_at=issued_at,
        expire_seconds=expire_seconds,
        salt=salt,
        services=services,
    )


def build_with_second_key(
    *,
    app_id: str,
    second_key: bytes,
    issued_at: int,
    expire_seconds: int,
    salt: int,
    services: Iterable[PackedService],
) -> str:
    """Builds a 007 token with the key that all tokens of its second share.

    Args:
        app_id: 32 hex digits.
        second_key: What `second_key` derives from the certificate and this `issued_at`.
        issued_at: Unix seconds, u32.
        expire_seconds: The token's lifetime from `issued_at`, u32; 0 is written as 0.
        salt: Any u32, fresh for each token.
        services: At least one, in any order; several of one type are all kept, in their order.

    Raises:
        FormatError: The App ID is not 32 hex digits, a number exceeds its field, or there is no
            service.
    """
    check_id("app_id", app_id)
    # The sort is stable: services of one type keep their order.
    ordered = sorted(services, key=itemgetter(0))
    if not ordered:
        raise FormatError("services must not be empty")
    try:
        header = _HEADER.pack(32, app_id.encode(), issued_at, expire_seconds, salt, len(ordered))
    except struct.error:
        header = _checked_header(app_id, issued_at, expire_seconds, salt, len(ordered))
    signed = header + b"".join([service.packed for service in ordered])
    content = _SIGNATURE_LENGTH + _signature(second_key, header[42:46], signed) + signed
    return "007" + b2a_base64(_deflate(content), newline=False).decode()


def second_key(app_certificate: str, issued_at: int) -> bytes:
    """Derives the key that all tokens of one certificate and one second share.

    Args:
        app_certificate: 32 hex digits; its text signs.
        issued_at: Unix seconds, u32.

    Raises:
        FormatError: The certificate is not 32 hex digits, or the number exceeds its field.
    """
    check_id("app_certificate", app_certificate)
    return _second_key(app_certificate, u32("issued_at", issued_at))


def signature_007(app_certificate: str, issued_at: bytes, salt: bytes, signed: bytes) -> bytes:
    """Signs with a key derived from the issue time and the salt, as they are packed in `signed`."""
    return _signature(_second_key(app_certificate, issued_at), salt, signed)


def _second_key(app_certificate: str, issued_at: bytes) -> bytes:
    return hmac.digest(issued_at, app_certificate.encode(), "sha256")


def _signature(second_key: bytes, salt: bytes, signed: bytes) -> bytes:
    return hmac.digest(hmac.digest(salt, second_key, "sha256"), signed, "sha256")


def _checked_header(
    app_id: str, issued_at: int, expire_seconds: int, salt: int, service_count: int
) -> bytes:
    """Packs the header field by field, so that the error names the field."""
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
