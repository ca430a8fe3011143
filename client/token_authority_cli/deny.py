"""`token-authority deny`: edits the file of denials that `authorization.denied_file` names."""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from token_authority_cli.arguments import duration, from_ms, moment, now_ms
from token_authority_cli.commands import HELP
from token_authority_cli.denial_file import Change, NotEditable, append, edit, remove
from token_authority_cli.output import as_json, at, complain
from token_authority_cli.server import needs_server

if TYPE_CHECKING:
    from token_authority_server.access.denial import Denial

_EPILOG: Final = """\
examples:
  token-authority deny add denied.toml --project classroom --user uid:7 --for 7d --reason "case 12"
  token-authority deny add denied.toml --project classroom --channel "lesson-*" --for 1h
  token-authority deny remove denied.toml --project classroom --user uid:7
  token-authority deny remove denied.toml --past

Tokens that were issued before a denial work until they expire. List them, and the request with
which Agora removes the user from channels:
  token-authority audit find --user uid:7 --unexpired --config token-authority.toml audit.jsonl
"""
_FILE_HELP: Final = "the file that authorization.denied_file names"


def add_commands(commands: Any) -> None:
    """Adds `deny` with `add`, `list` and `remove`."""
    parser = commands.add_parser(
        "deny",
        help=HELP["deny"],
        description="Edit the deny list: users, channels and rooms that get no new tokens. The "
        "file is replaced at once and keeps its mode and owner; servers reload it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    inner = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_add(inner)
    show = inner.add_parser(
        "list", help="list the denials", description="List the denials.", allow_abbrev=False
    )
    show.add_argument("file", type=Path, metavar="FILE", help=_FILE_HELP)
    show.add_argument("--json", action="store_true", help="print the denials as JSON")
    show.set_defaults(run=needs_server(_list))
    drop = inner.add_parser(
        "remove",
        help="remove a denial",
        description="Remove the denial of a user, channel or room, written as it was added; or "
        "all denials that are past. Exits with 1 if there is none.",
        allow_abbrev=False,
    )
    _add_subject(drop)
    drop.add_argument("--past", action="store_true", help="remove all denials that are past")
    drop.set_defaults(run=needs_server(_remove), parser=drop)


def _add_add(commands: Any) -> None:
    parser = commands.add_parser(
        "add",
        help="deny a user, channel or room",
        description="Deny a user, a channel, a room, or a user in a channel or room. An earlier "
        "denial of the same is replaced. The file is created if it does not exist.",
        allow_abbrev=False,
    )
    _add_subject(parser)
    end = parser.add_mutually_exclusive_group(required=True)
    end.add_argument("--until", type=moment, metavar="WHEN", help="when it ends, with a time zone")
    end.add_argument(
        "--for", type=duration, dest="period", metavar="DURATION", help="how long from now, like 7d"
    )
    parser.add_argument(
        "--reason", default="", metavar="TEXT", help="why; the log and the audit trail contain it"
    )
    parser.set_defaults(run=needs_server(_add), parser=parser)


def _add_subject(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help=_FILE_HELP)
    parser.add_argument("--project", metavar="NAME", help="the project")
    parser.add_argument("--user", metavar="USER", help='"uid:7", "account:al*", "*"')
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--channel", metavar="PATTERN", help='a channel, or "lesson-*"')
    place.add_argument("--room", metavar="PATTERN", help="the UUID of a room, or a pattern")
    parser.add_argument(
        "--token",
        action="append",
        default=[],
        dest="tokens",
        metavar="TYPE",
        help="only this token type, like rtc; several with several --token; default: all",
    )


def _add(arguments: argparse.Namespace) -> int:
    if not arguments.project:
        arguments.parser.error("--project is required")
    until: datetime | None = arguments.until or _after(arguments.period)
    if until is None:
        arguments.parser.error("--for is too long: use --until 9999-12-31T00:00:00Z")
    elif until <= datetime.now(UTC):
        arguments.parser.error(f"the denial would be past since {at(until)}: set a later end")
    row = {
        "project": arguments.project,
        "user": arguments.user,
        "channel": arguments.channel,
        "room": arguments.room,
        "tokens": arguments.tokens or None,
        "until": until,
        "reason": arguments.reason or None,
    }

    def change(text: str, denials: Sequence["Denial"]) -> tuple[str, list["Denial"]]:
        (new,) = _parse(append("", row), "the new denial")
        same = {index for index, one in enumerate(denials) if _subject(one) == _subject(new)}
        kept = [one for index, one in enumerate(denials) if index not in same]
        return append(remove(text, same), row), [*kept, new]

    return _edit(arguments.file, change, creates=True)


def _after(period: timedelta) -> datetime | None:
    """Returns the time after a period, rounded up to seconds; None if there is no such time."""
    seconds = -(-period // timedelta(seconds=1))
    try:
        return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
    except OverflowError:
        return None


def _remove(arguments: argparse.Namespace) -> int:
    named = (arguments.project, arguments.user, arguments.channel, arguments.room)
    if arguments.past == any(named) or (any(named) and not arguments.project):
        arguments.parser.error("give --project and what is denied, or --past alone")

    def change(text: str, denials: Sequence["Denial"]) -> tuple[str, list["Denial"]] | None:
        now = now_ms()
        wanted = (*named, _expand(arguments.tokens))
        gone = {
            index
            for index, one in enumerate(denials)
            if (one.until_ms <= now if arguments.past else _subject(one) == wanted)
        }
        kept = [one for index, one in enumerate(denials) if index not in gone]
        return (remove(text, gone), kept) if gone else None

    return _edit(arguments.file, change, creates=False)


def _list(arguments: argparse.Namespace) -> int:
    try:
        denials = _parse(arguments.file.read_text(encoding="utf-8-sig"), str(arguments.file))
    except (OSError, ValueError) as error:
        return _complain_of(arguments.file, error)
    if arguments.json:
        print(as_json([_row(denial) for denial in denials]))
        return 0
    for denial in denials:
        row = _row(denial)
        named = [f"{key} {row[key]}" for key in ("user", "channel", "room") if row[key]]
        tokens = f"; only {', '.join(row['tokens'])}" if row["tokens"] else ""
        reason = f"; {row['reason']}" if row["reason"] else ""
        past = " (past)" if row["past"] else ""
        print(f"{row['project']}: {' '.join(named)} until {at(row['until'])}{past}{tokens}{reason}")
    return 0


def _row(denial: "Denial") -> dict[str, Any]:
    return {
        "project": denial.project,
        "user": denial.user,
        "channel": denial.channel,
        "room": denial.room,
        "tokens": sorted(denial.token_types),
        "until": from_ms(denial.until_ms),
        "reason": denial.reason,
        "past": denial.until_ms <= now_ms(),
    }


def _subject(denial: "Denial") -> tuple[object, ...]:
    """Returns what is denied: everything but the end and the reason."""
    return denial.project, denial.user, denial.channel, denial.room, denial.token_types


def _parse(text: str, name: str) -> tuple["Denial", ...]:
    from token_authority_server.config.denials import parse_denials  # noqa: PLC0415  # lazily

    return parse_denials(text, name)


def _expand(tokens: Sequence[str]) -> frozenset[str]:
    from token_authority_server.config.grants import expand_token_types  # noqa: PLC0415  # lazily

    try:
        return expand_token_types(tokens)
    except KeyError as unknown:
        raise ValueError(f"{unknown.args[0]!r} is not a token type") from None


def _edit(file: Path, change: Change, *, creates: bool) -> int:
    try:
        if edit(file, change, _parse, creates=creates):
            return 0
    except (OSError, ValueError, NotEditable) as error:
        return _complain_of(file, error)
    complain(f"{file}: has no such denial")
    return 1


def _complain_of(file: Path, error: Exception) -> int:
    if isinstance(error, NotEditable):
        complain(f"{file}: cannot be edited: write each denial as a table [[denials]]")
    elif isinstance(error, OSError):
        complain(f"{file}: {error.strerror}")
    else:
        for line in str(error).splitlines():
            complain(line)
    return 2
