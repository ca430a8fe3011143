"""What a token says, in one shape for all formats. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32

from token_authority_server.inspection.findings import FindingReason
from token_authority_server.inspection.sealed import Sealed
from token_authority_server.inspection.wording import quoted


class Field(NamedTuple):
    """One value that a token holds."""

    path: str
    """Where it is, e.g. `services[0].privileges.join_channel`."""
    value: str
    """As the token has it; numbers in decimal."""
    meaning: str = ""
    """Where the value does not speak for itself."""


@dataclass(frozen=True, slots=True)
class Name:
    """A channel or user in a token: its text, or only a CRC-32 of it, which is all 006 keeps."""

    text: str | None
    crc: int = 0

    def matches(self, text: str) -> bool:
        """Tells whether it is this channel or user."""
        if self.text is not None:
            return self.text == text
        return crc32(text.encode(errors="surrogatepass")) == self.crc

    def resembles(self, text: str) -> bool:
        """Tells whether it is spelt like this, white space around it and case apart."""
        if self.text is not None:
            return _folded(self.text) == _folded(text)
        return any(self.matches(spelling) for spelling in spellings(text))

    def __str__(self) -> str:
        return "another one" if self.text is None else quoted(self.text)


def _folded(text: str) -> str:
    return text.strip().casefold()


def spellings(text: str) -> tuple[str, ...]:
    """Returns the ways in which a name gets misspelt, itself first. 006 keeps nothing to fold."""
    bare = text.strip()
    ways = (text, bare, f"{bare} ", f" {bare}", f"{bare}\n", f"{bare}\r\n")
    cases = (bare.lower(), bare.upper(), bare.capitalize(), bare.title())
    return tuple(dict.fromkeys([*ways, *cases]))


class Service(NamedTuple):
    """One service of a token. Those of 006 get the numbers that they have in 007."""

    type: int
    rights: Mapping[int, int]
    """Privilege -> the number that the token has."""
    ends_ms: Mapping[int, int]
    """Privilege -> when it ends by its number; without those that have 0."""
    channel: Name | None = None
    user: Name | None = None
    room: str | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """A token, as far as it can be read."""

    issues: Mapping[FindingReason, str]
    """What decoding came across, each with a detail for its sentence."""
    token: str = field(default="", repr=False)
    """The token proper; "" for what is none."""
    format: str = ""
    """"006", "007", "netless"; "" for what is not a token."""
    kind: str = ""
    """As `InspectTokenResponse.kind`; "" where the token cannot be read to its end."""
    app_id: str = ""
    """Of 006 and 007."""
    whiteboard: Mapping[str, str] | None = None
    """The fields of a netless token, its signature apart; None for another."""
    issue_ms: int | None = None
    """Milliseconds since 1970; None where the token does not say."""
    end_ms: int | None = None
    """When the token itself ends; None for never, or where it does not say."""
    expire_ms: int | None = None
    """When joining or logging in stops; None for never, or where the token does not say."""
    expire_seconds: int | None = None
    """The life that a 007 token asks for."""
    services: tuple[Service, ...] = ()
    """Of 006 and 007."""
    fields: tuple[Field, ...] = ()
    omitted_field_count: int = 0
    """At least so many values more than `fields` has; the true number where it is small."""
    sealed: Sealed | None = field(default=None, repr=False)
    """What the signature covers; None where the token cannot be read."""

    @property
    def key_name(self) -> str:
        """The App ID or access key that it names."""
        return self.app_id if self.whiteboard is None else self.whiteboard.get("ak", "")
