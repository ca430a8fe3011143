"""Reads values from bytes, in bounded time, and collects them as fields. Pure."""

import re
import struct
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator
from types import TracebackType
from typing import Final, NamedTuple, NoReturn, Self
from zlib import decompressobj
from zlib import error as ZlibError  # noqa: N812  # a class, though zlib spells it small

from token_authority_server.inspection.decoded import Field
from token_authority_server.inspection.findings import DecodeIssues, FindingReason, mark_unreadable

MAX_FIELDS: Final = 1000
_MAX_INFLATED: Final = 65536
# The first bytes of a 007 token: a signature of 32 bytes, and an App ID of 32 hex digits; or fewer.
_FRONT_007: Final = re.compile(
    rb"(\x20(\0(.{0,31}|.{32}(\x20(\0[0-9A-Fa-f]{0,32})?)?))?)?", re.DOTALL
)
_STANDARD: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_URLSAFE: Final = re.compile(r"[A-Za-z0-9_-]*")
_FROM_URLSAFE: Final = str.maketrans("-_", "+/")
_PAIR: Final = struct.Struct("<HI")
_U16: Final = struct.Struct("<H")
_U32: Final = struct.Struct("<I")
_I16: Final = struct.Struct("<h")


class Base64(NamedTuple):
    """Decoded base64."""

    data: bytes
    flaw: FindingReason | None
    """What is wrong with the text if parsing the data finds nothing worse; None if it is, character
    by character, what an encoder writes."""


def from_base64(text: str, issues: DecodeIssues, *, urlsafe: bool = False) -> Base64:
    """Decodes as far as possible.

    Two texts without a flaw never decode to the same bytes: no character can be changed unnoticed.
    """
    match = (_URLSAFE if urlsafe else _STANDARD).match(text)
    assert match
    good = match.group()
    if len(good) < len(text):
        mark_unreadable(issues, FindingReason.BAD_CHARACTER, ascii(text[len(good)]))
    core = good.rstrip("=")
    if len(core) % 4 == 1:
        core = core[:-1]
    padded = core.translate(_FROM_URLSAFE) if urlsafe else core
    data = a2b_base64(padded + "=" * (-len(core) % 4))
    exact = b2a_base64(data, newline=False).decode()
    if urlsafe:
        exact = exact.rstrip("=").replace("+", "-").replace("/", "_")
    if exact == good:
        return Base64(data, None)
    lacks_padding_only = exact.rstrip("=") == core and exact.startswith(good)
    return Base64(data, FindingReason.TRUNCATED if lacks_padding_only else FindingReason.DAMAGED)


def inflate(data: bytes, issues: DecodeIssues) -> bytes:
    """Inflates up to a limit, whatever the data would inflate to."""
    inflater = decompressobj()
    try:
        content = inflater.decompress(data, _MAX_INFLATED + 1)
    except ZlibError:
        mark_unreadable(issues, FindingReason.DAMAGED)
        return b""
    if len(content) > _MAX_INFLATED:
        mark_unreadable(
            issues, FindingReason.TOO_LARGE, f"inflates to more than {_MAX_INFLATED} bytes"
        )
    elif not inflater.eof:
        # Bytes that were shifted by a lost or added character inflate to noise as a rule.
        is_cut = _FRONT_007.fullmatch(content[:68]) is not None
        mark_unreadable(issues, FindingReason.TRUNCATED if is_cut else FindingReason.DAMAGED)
    elif inflater.unused_data:
        # Not signed, and no encoder writes any.
        mark_unreadable(issues, FindingReason.DAMAGED)
    return content[:_MAX_INFLATED]


class _Stop(Exception):
    """Ends reading."""


class Scan:
    """Reads little-endian values from the front of some bytes.

    If the bytes end, a `with` block ends without an exception; that is recorded as `cut`.
    """

    def __init__(
        self,
        data: bytes,
        issues: DecodeIssues,
        cut: FindingReason = FindingReason.CORRUPT,
        fields: list[Field] | None = None,
    ) -> None:
        self._data = data
        self._marks = issues
        self._cut = cut
        self._at = 0
        self._awaited: list[int] = []
        self.fields: list[Field] = [] if fields is None else fields
        self.omitted = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> bool:
        if not isinstance(error, _Stop):
            return False
        if not self.omitted:
            mark_unreadable(self._marks, self._cut, "its values continue past its end")
        return True

    @property
    def rest(self) -> bytes:
        """The bytes that have not been read."""
        return self._data[self._at :]

    def take(self, count: int) -> bytes:
        """Reads that many bytes."""
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise _Stop
        self._at += count
        return taken

    def u16(self) -> int:
        """Reads 0 to 65535."""
        value: int = _U16.unpack(self.take(2))[0]
        return value

    def u32(self) -> int:
        """Reads 0 to 4294967295."""
        value: int = _U32.unpack(self.take(4))[0]
        return value

    def i16(self) -> int:
        """Reads -32768 to 32767."""
        value: int = _I16.unpack(self.take(2))[0]
        return value

    def data(self) -> bytes:
        """Reads a u16 length and that many bytes."""
        return self.take(self.u16())

    def text(self) -> str:
        """Reads a u16 length and that much UTF-8; invalid bytes are replaced and recorded."""
        return as_text(self.data(), self._marks)

    def each(self) -> Iterator[int]:
        """Reads a u16 count and yields indices; each iteration must keep a field."""
        count = self.u16()
        self._awaited.append(count)
        for index in range(count):
            self._awaited[-1] -= 1
            yield index
        self._awaited.pop()

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Reads a u16 count and that many u16 keys and u32 values; each iteration must keep one."""
        count = self.u16()
        there = min(count, (len(self._data) - self._at) // _PAIR.size)
        block = self._data[self._at : self._at + there * _PAIR.size]
        self._awaited.append(count)
        for pair in _PAIR.iter_unpack(block):
            self._at += _PAIR.size
            self._awaited[-1] -= 1
            yield pair
        if there < count:
            raise _Stop
        self._awaited.pop()

    def keep(self, path: str, value: object, meaning: str = "") -> None:
        """Adds a field; stops reading if there are too many."""
        if len(self.fields) == MAX_FIELDS:
            self.leave()
        self.fields.append(Field(path, str(value), meaning))

    def leave(self) -> NoReturn:
        """Stops reading before the last value."""
        # Counts promise values; no value takes less than two bytes.
        left = len(self._data) - self._at
        self.omitted = 1 + min(sum(self._awaited), left // 2)
        self._marks[FindingReason.TOO_MANY_VALUES] = str(self.omitted)
        raise _Stop


def as_text(data: bytes, issues: DecodeIssues) -> str:
    """Decodes UTF-8; invalid bytes are replaced and recorded."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        issues[FindingReason.NOT_UTF8] = ""
        return data.decode(errors="replace")
