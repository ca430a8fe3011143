"""`[authorization]` and the file of denials that it names: users, channels and rooms to refuse."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from token_authority_server.access.denial import EVERY_ROOM, Denial
from token_authority_server.config.grants import (
    GRANTABLE,
    Pattern,
    TokenName,
    UserPattern,
    expand_token_types,
)
from token_authority_server.config.mistakes import Origin
from token_authority_server.config.patterns import impossible, suspicious
from token_authority_server.config.section import NAME, Section
from token_authority_server.config.toml_text import parse_toml
from token_authority_server.config.validation_errors import UNKNOWN, Mistake, mistakes_in
from token_authority_server.config.values import PATH_SCHEMA, UtcTime, sources_of
from token_authority_server.families import Dimension

_TABLE: Final = "denials"
_MAX_FILE_BYTES: Final = 16_777_216
_MAX_REASON: Final = 200
_MAX_WARNINGS: Final = 10
_DIMENSIONS: Final[Mapping[str, Dimension]] = {
    "user": "users",
    "channel": "channels",
    "room": "rooms",
}


def _one_line(value: str) -> str:
    if not value.isprintable() or len(value) > _MAX_REASON:
        raise ValueError(f"must be one line of at most {_MAX_REASON} characters")
    return value


class DenialSettings(Section):
    """`[[denials]]`: new tokens that are refused until some time.

    It must have a user, a channel, a room, or a user with a channel or room.
    """

    project: Annotated[str, Field(pattern=NAME)]
    """The name of the project."""

    user: UserPattern | None = None
    """A user, as in grants: `uid:7`, `account:al*`, `*`."""

    channel: Pattern | None = None
    """A channel, or a pattern of channels."""

    room: Pattern | None = None
    """The UUID of a room, or a pattern."""

    tokens: tuple[TokenName, ...] = ()
    """The token types that are refused, as in grants; absent: all."""

    until: UtcTime
    """When the denial ends: a time with its zone."""

    reason: Annotated[str, AfterValidator(_one_line)] = ""
    """Why; the log and the audit trail contain it, responses do not."""

    @model_validator(mode="after")
    def _check(self) -> "DenialSettings":
        if self.user is None and self.channel is None and self.room is None:
            raise ValueError("denies nothing: add user, channel or room")
        if self.channel is not None and self.room is not None:
            raise ValueError("has a channel and a room, which no token has: write two denials")
        return self

    def denial(self) -> Denial:
        """Returns the denial in the form that authorization uses."""
        return Denial(
            project=self.project,
            until_ms=round(self.until.timestamp() * 1000),
            user=self.user,
            channel=self.channel,
            room=self.room,
            token_types=expand_token_types(self.tokens),
            reason=self.reason,
        )


def parse_denials(text: str, name: str) -> tuple[Denial, ...]:
    """Parses a file of denials.

    Args:
        text: The TOML document.
        name: Its name in messages.

    Raises:
        ValueError: With one line for each mistake.
    """
    document = parse_toml(text, name)
    denials: list[Denial] = []
    mistakes = [
        Mistake((key,), f"{UNKNOWN} (known here: {_TABLE})") for key in document if key != _TABLE
    ]
    rows: Any = document.get(_TABLE, [])
    if not isinstance(rows, list):
        mistakes.append(Mistake((_TABLE,), f"must be a list of tables: write [[{_TABLE}]]"))
        rows = []
    # One at a time, so that thousands do not hold the GIL.
    for number, row in enumerate(cast("list[Any]", rows)):
        try:
            denials.append(DenialSettings.model_validate(row).denial())
        except ValidationError as error:
            mistakes += [
                Mistake((_TABLE, number, *keys), problem)
                for keys, problem in mistakes_in(error, DenialSettings)
            ]
    if mistakes:
        raise ValueError("\n".join(Origin(name, document, text).explain(mistakes)))
    return tuple(denials)


@dataclass(frozen=True, slots=True)
class DeniedFile:
    """A file of denials, as it was read."""

    path: Path
    denials: tuple[Denial, ...]


def _denied_file(value: object, info: ValidationInfo) -> DeniedFile:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError('must be the path of a file, like "denied.toml"')
    sources = sources_of(info)
    path = sources.path(value)
    try:
        text = sources.read(value, _MAX_FILE_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text: save it as UTF-8") from None
    return DeniedFile(path, parse_denials(text, str(path)))


class AuthorizationSettings(Section):
    """`[authorization]`: denials, which no grant overrides."""

    denied_file: Annotated[DeniedFile, BeforeValidator(_denied_file), PATH_SCHEMA] | None = None
    """A file of [[denials]]: users, channels and rooms that get no new tokens. The server does not
    start without it, and keeps the last denials if it becomes unreadable. Absent: none."""

    @property
    def denials(self) -> tuple[Denial, ...]:
        """The denials of the file."""
        return self.denied_file.denials if self.denied_file else ()


def denial_warnings(
    denials: Sequence[Denial], granted: Mapping[str, Collection[str]], now: datetime
) -> Iterator[str]:
    """Yields warnings about denials that can match nothing, are past, or look like a mistake.

    Args:
        denials: The denials.
        granted: The names of the token types that callers may request, by project.
        now: The time.
    """
    now_ms = now.timestamp() * 1000
    current = [denial for denial in denials if denial.until_ms > now_ms]
    if past := len(denials) - len(current):
        what = "1 denial is" if past == 1 else f"{past} denials are"
        yield f"{what} past: run `token-authority deny remove FILE --past`"
    found = [f"{denial}: {problem}" for denial in current for problem in _problems(denial, granted)]
    yield from found[:_MAX_WARNINGS]
    if len(found) > _MAX_WARNINGS:
        yield f"and {len(found) - _MAX_WARNINGS} more warnings about denials"


def _problems(denial: Denial, granted: Mapping[str, Collection[str]]) -> Iterable[str]:
    if not granted.get(denial.project):
        return ["matches nothing: no grant is for this project"]
    named = {key: text for key in _DIMENSIONS if (text := getattr(denial, key)) is not None}
    concerned = {
        name
        for name in denial.token_types or GRANTABLE
        if all(_has(name, _DIMENSIONS[key]) for key in named)
    }
    if not concerned:
        return [f"matches nothing: none of these token types has a {' and a '.join(named)}"]
    if not concerned.intersection(granted[denial.project]):
        return ["matches nothing: no grant is for the tokens that it concerns"]
    found: list[str] = []
    for key, text in named.items():
        dimension = _DIMENSIONS[key]
        problem = impossible(dimension, text, concerned) or suspicious(dimension, text)
        if problem:
            found.append(problem)
    return found


def _has(token_type: str, dimension: Dimension) -> bool:
    is_every_room = dimension == "rooms" and token_type == EVERY_ROOM
    return is_every_room or dimension in GRANTABLE[token_type].dimensions
