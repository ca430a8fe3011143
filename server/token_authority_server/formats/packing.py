"""The binary encodings that AccessToken 006 and 007 share; all integers are little-endian."""

import re
import struct
from collections.abc import Mapping
from itertools import chain
from typing import Final

# An App ID or App Certificate. Case matters: the text itself is hashed.
_ID: Final = re.compile(r"[0-9A-Fa-f]{32}")
_U16: Final = struct.Struct("<H")
_U32: Final = struct.Struct("<I")
_I16: Final = struct.Struct("<h")
# A map is a u16 count and that many pairs of u16 key and u32 value.
_MAPS: Final = tuple(struct.Struct("<H" + "HI" * count) for count in range(5))
_MAX_UID: Final = 2**32 - 1


class FormatError(ValueError):
    """A value that the token format cannot carry. The message never shows the value."""


def check_id(name: str, text: str) -> None:
    """Checks an App ID or App Certificate.

    Raises:
        FormatError: It is not exactly 32 ASCII hex digits.
    """
    if not _ID.fullmatch(text):
        raise FormatError(f"{name} must be exactly 32 hex digits")


def u16(name: str, value: int) -> bytes:
    """Packs 0 to 65535."""
    return _integer(_U16, name, value, "0 to 65535")


def u32(name: str, value: int) -> bytes:
    """Packs 0 to 4294967295."""
    return _integer(_U32, name, value, "0 to 4294967295")


def i16(name: str, value: int) -> bytes:
    """Packs -32768 to 32767."""
    return _integer(_I16, name, value, "-32768 to 32767")


def _integer(packer: struct.Struct, name: str, value: int, limits: str) -> bytes:
    try:
        return packer.pack(value)
    except struct.error:
        raise FormatError(f"{name} must be an integer, {limits}") from None


def utf8(name: str, text: str) -> bytes:
    """Encodes text; raises FormatError for lone surrogates, which UTF-8 cannot encode."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise FormatError(f"{name} must not contain lone surrogates") from None


def string(name: str, text: str) -> bytes:
    """Packs a u16 length in bytes and the UTF-8 text, at most 65535 bytes."""
    data = utf8(name, text)
    try:
        return _U16.pack(len(data)) + data
    except struct.error:
        return byte_string(name, data)


def byte_string(name: str, data: bytes) -> bytes:
    """Packs a u16 length and the bytes, at most 65535."""
    if len(data) > 65535:
        raise FormatError(f"{name} must not be longer than 65535 bytes")
    return _U16.pack(len(data)) + data


def privilege_map(privileges: Mapping[int, int]) -> bytes:
    """Packs u16 privilege -> u32 seconds, ascending by privilege."""
    count = len(privileges)
    packer = _MAPS[count] if count < len(_MAPS) else struct.Struct("<H" + "HI" * count)
    numbers = chain.from_iterable(sorted(privileges.items()))
    try:
        return packer.pack(count, *numbers)
    except struct.error:
        raise FormatError("privileges must map 0 to 65535 to seconds, 0 to 4294967295") from None


def uid_text(uid: int) -> str:
    """Returns how tokens write an integer uid: decimal, and 0 (any user) as "".

    Raises:
        FormatError: `uid` is not in 0 to 4294967295.
    """
    if not 0 <= uid <= _MAX_UID:
        raise FormatError("uid must be an integer, 0 to 4294967295")
    return str(uid) if uid else ""
