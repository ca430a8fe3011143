"""The content of a token, in one shape for all formats. Values only.

One definition of the times, which the header, the fields and the findings share:
  issued      `Decoded.issue_ms`
  not before  the same, less the tolerance for clocks in `checks.times`
  expired     `DecodedService.end_ms` of a service; `Decoded.end_ms` of the token
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from zlib import crc32

from token_authority_server.inspection.findings import FindingReason
from token_authority_server.inspection.sealed import Sealed
from token_authority_server.inspection.services import SERVICES, UNKNOWN
from token_authority_server.inspection.wording import quoted

# Agora's limit on every AccessToken; a lifetime of 0 means the same ("deploy a token server").
DAY_SECONDS: Final = 86400
EVERY: Final = "*"
# `**` is not documented: stars are allowed only singly, between literals.
_ADJACENT_STARS: Final = re.compile(r"\*\*")


class Field(NamedTuple):
    """One value in a token."""

    path: str
    """Its place, e.g. `services[0].privileges.join_channel`."""
    value: str
    """As the token has it; numbers in decimal."""
    meaning: str = ""
    """Explains the value if it is not clear by itself."""


@dataclass(frozen=True, slots=True)
class Name:
    """A channel or user in a token: its text, or only its CRC-32, which is all that 006 has."""

    text: str | None
    crc: int = 0

    def matches(self, text: str) -> bool:
        """Tells whether it is exactly this channel or user."""
        if self.text is not None:
            return self.text == text
        return crc32(text.encode(errors="surrogatepass")) == self.crc

    @property
    def is_pattern(self) -> bool:
        """Whether it has both `*` and literals.

        Documented as extended wildcard matching for RTC in 007, e.g. `lesson-*` or `1*a*2`, by
        Shengwang alone.
        """
        text = self.text
        return bool(text and text != EVERY and EVERY in text and not _ADJACENT_STARS.search(text))

    def admits(self, text: str) -> bool:
        """Tells whether it is this channel or user, or a wildcard or pattern that matches it."""
        if self.matches(text) or self.text == EVERY:
            return True
        return self.is_pattern and _pattern_matches(self.text or "", text)

    def resembles(self, text: str) -> bool:
        """Tells whether it differs from this only in white space around it and case."""
        if self.text is not None:
            return _folded(self.text) == _folded(text)
        return any(self.matches(spelling) for spelling in spellings(text))

    def __str__(self) -> str:
        return "another one" if self.text is None else quoted(self.text)


def _pattern_matches(pattern: str, text: str) -> bool:
    """Matches `*` with any text, in linear time: each literal is searched once, from the left."""
    first, *middle, last = pattern.split(EVERY)
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for literal in middle:
        found = text.find(literal, at, end)
        if found < 0:
            return False
        at = found + len(literal)
    return True


def _folded(text: str) -> str:
    return text.strip().casefold()


def spellings(text: str) -> tuple[str, ...]:
    """Returns common misspellings of a name, itself first: 006 has no text to fold."""
    bare = text.strip()
    ways = (text, bare, f"{bare} ", f" {bare}", f"{bare}\n", f"{bare}\r\n")
    cases = (bare.lower(), bare.upper(), bare.capitalize(), bare.title())
    return tuple(dict.fromkeys([*ways, *cases]))


class DecodedService(NamedTuple):
    """One service of a token. Those of 006 get the numbers that they have in 007."""

    type: int
    rights: Mapping[int, int]
    """Privilege -> the number in the token."""
    ends_ms: Mapping[int, int]
    """Privilege -> when it ends by its number; without those that have 0."""
    channel: Name | None = None
    user: Name | None = None
    room: str | None = None
    is_user_misplaced: bool = False
    """Whether an RTM user of 006 is in the uid's place, where RTM does not look."""

    @property
    def name(self) -> str:
        """The product's name."""
        return SERVICES.get(self.type, UNKNOWN).name

    def end_ms(self, token_end_ms: int) -> int:
        """Returns when joining or logging in with this service stops.

        Args:
            token_end_ms: When the token ends. A privilege of 0 ends with the token.
        """
        entries = SERVICES.get(self.type, UNKNOWN).entries
        ends = [self.ends_ms[right] for right in entries if right in self.ends_ms]
        return min([token_end_ms, *ends])


def first_end_ms(services: Iterable[DecodedService], token_end_ms: int) -> int:
    """Returns when the first of some services stops admitting; the token's end for none."""
    return min([token_end_ms, *[service.end_ms(token_end_ms) for service in services]])


@dataclass(frozen=True, slots=True)
class Decoded:
    """A token, as far as it can be read."""

    issues: Mapping[FindingReason, str]
    """What decoding found, each with a detail for its sentence."""
    token: str = field(default="", repr=False)
    """The token without its wrapping; "" if there is none."""
    format: str = ""
    """"006", "007", "netless"; "" for a text without a token."""
    kind: str = ""
    """As `InspectTokenResponse.kind`; "" if the token cannot be read to its end."""
    app_id: str = ""
    """Of 006 and 007."""
    whiteboard: Mapping[str, str] | None = None
    """The fields of a netless token without its signature; None for another."""
    issue_ms: int | None = None
    """Milliseconds since 1970; None if the token does not contain it."""
    end_ms: int | None = None
    """When the token ends with all of its services; None for never, or if unknown."""
    hard_end_ms: int | None = None
    """When the token ends whatever its privileges are; None as above."""
    expire_ms: int | None = None
    """When the first of its services stops admitting the user; None for never, or if unknown."""
    expire_seconds: int | None = None
    """The lifetime that a 007 token asks for."""
    services: tuple[DecodedService, ...] = ()
    """Of 006 and 007."""
    fields: tuple[Field, ...] = ()
    omitted_field_count: int = 0
    """How many more values than `fields` it has, at least; exact if the number is small."""
    sealed: Sealed | None = field(default=None, repr=False)
    """What the signature covers; None if the token cannot be read."""

    @property
    def key_name(self) -> str:
        """The App ID or access key that it names."""
        return self.app_id if self.whiteboard is None else self.whiteboard.get("ak", "")
