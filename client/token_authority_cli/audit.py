"""`token-authority audit`: checks an audit trail, and finds who minted a token. Asks no server."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from token_authority_cli.arguments import moment
from token_authority_cli.commands import HELP
from token_authority_cli.output import as_json, at, complain
from token_authority_cli.server import needs_server

if TYPE_CHECKING:
    from token_authority_server.audit import Found, Report

_FIND_USAGE: Final = """\
token-authority audit find [--json] TOKEN|TOKEN_ID FILE...
       token-authority audit find [--json] --key KEY_ID [--project NAME] [--unexpired [--at WHEN]]
                                  FILE..."""
_FIND_EPILOG: Final = """\
examples:
  token-authority audit find 663ad2bad5dc37843bbf9293de11b50d audit.jsonl
  pbpaste | token-authority audit find - audit.jsonl
  token-authority audit find --key certificate-2026 --unexpired audit.jsonl.1 audit.jsonl
"""
_SUBJECTS: Final = ("channel", "room", "user", "role")


def add_commands(commands: Any) -> None:
    """Adds `audit` with `verify` and `find`."""
    parser = commands.add_parser(
        "audit",
        help=HELP["audit"],
        description="Check an audit trail, or search it; asks no server.",
        allow_abbrev=False,
    )
    inner = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_verify(inner)
    _add_find(inner)


def _add_verify(commands: Any) -> None:
    parser = commands.add_parser(
        "verify",
        help="find what was altered, removed, moved or inserted",
        description="Check that every record is the one that was written, and follows the one "
        "before it. Exits with 1 and names the first line where that is not so. Records cut off "
        "at the end leave no trace in a file: compare the last hash with a copy kept elsewhere.",
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="the oldest first")
    parser.add_argument("--json", action="store_true", help="answer with everything, as JSON")
    parser.set_defaults(run=needs_server(_verify))


def _add_find(commands: Any) -> None:
    parser = commands.add_parser(
        "find",
        help="find who minted a token, or what a key signed",
        usage=_FIND_USAGE,
        description="Say who minted a token, when, for whom and until when; or list what a key "
        "signed. Exits with 1 if there is no such record.",
        epilog=_FIND_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "names",
        nargs="+",
        metavar="TOKEN|TOKEN_ID FILE",
        help="the token, its id, or - to read it; then files. With --key, files only",
    )
    parser.add_argument("--key", metavar="KEY_ID", help="list what this key signed")
    parser.add_argument("--project", metavar="NAME", help="with --key: of this project")
    parser.add_argument(
        "--unexpired", action="store_true", help="with --key: only what still lives"
    )
    parser.add_argument(
        "--at", type=moment, metavar="WHEN", help="with --unexpired: lives when; by default now"
    )
    parser.add_argument("--json", action="store_true", help="answer with the records, a line each")
    parser.set_defaults(run=needs_server(_find), parser=parser)


def _verify(arguments: argparse.Namespace) -> int:
    from token_authority_server import audit  # noqa: PLC0415  # lazily, as in server

    return _reading(lambda: _show_report(audit.verify(arguments.files), arguments))


def _show_report(report: "Report", arguments: argparse.Namespace) -> int:
    if arguments.json:
        print(as_json(report))
    elif report.problem is None:
        span = f", {report.first_time} to {report.last_time}" if report.records else ""
        print(f"{report.records} records{span}: each is as it was written")
        for note in report.notes:
            print(f"note: {note}")
        if report.last:
            last = report.last
            print(f"last: record {last.seq} of chain {last.chain_id}, hash {last.last_hash}")
    if report.problem:
        problem = report.problem
        complain(f"{problem.file}:{problem.line}: {problem.fault}: {problem.explanation}")
    return 1 if report.problem else 0


def _find(arguments: argparse.Namespace) -> int:
    search = _find_signed_by if arguments.key else _find_token
    return search(arguments)


def _find_token(arguments: argparse.Namespace) -> int:
    from token_authority_server import audit  # noqa: PLC0415  # lazily, as in server

    if arguments.project or arguments.unexpired or arguments.at:
        arguments.parser.error("--project, --unexpired and --at go with --key")
    text, *files = arguments.names
    if not files:
        arguments.parser.error("name a token or its id, and the files to search")
    token_id = audit.token_id_of(sys.stdin.read() if text == "-" else text)
    records = audit.find_token(token_id, [Path(file) for file in files])
    return _reading(lambda: _show_all(records, arguments, _block, f"token {token_id}"))


def _find_signed_by(arguments: argparse.Namespace) -> int:
    from token_authority_server import audit  # noqa: PLC0415  # lazily, as in server

    if arguments.at and not arguments.unexpired:
        arguments.parser.error("--at goes with --unexpired")
    alive_at = (arguments.at or datetime.now(UTC)) if arguments.unexpired else None
    records = audit.find_signed_by(
        arguments.key,
        [Path(file) for file in arguments.names],
        project=arguments.project,
        alive_at=alive_at,
    )
    what = f"{'an unexpired' if arguments.unexpired else 'a'} token signed by {arguments.key}"
    return _reading(lambda: _show_all(records, arguments, _row, what))


def _reading(answer: Callable[[], int]) -> int:
    """Answers, or says which file cannot be read."""
    try:
        return answer()
    except OSError as error:
        # Without a name it is the output: `main` knows what to say of that.
        if error.filename is None:
            raise
        complain(f"{error.filename}: cannot be read: {error.strerror}")
        return 1


def _show_all(
    records: Iterable["Found"],
    arguments: argparse.Namespace,
    form: Callable[["Found"], str],
    what: str,
) -> int:
    code = 1
    for found in records:
        code = 0
        print(json.dumps(found.fields) if arguments.json else form(found))
        if not found.is_intact:
            complain(f"warning: {found.file}:{found.line}: was altered: do not rely on it")
    if code:
        complain(f"no record of {what} in these files")
    return code


def _block(found: "Found") -> str:
    """Writes all that a record says, a line for each value."""
    fields = found.fields
    lines = [f"{_text(fields.get('event'))} {_moment(fields.get('time'))}"]
    lines.append(f"  record: {found.file}:{found.line}")
    told = {"event", "time", "expire_time", "chain", "seq", "prev", "hash"}
    lines += [f"  {name}: {_text(value)}" for name, value in fields.items() if name not in told]
    if fields.get("event") == "issued":
        lines.append(f"  expires: {_expires(fields)}")
    return "\n".join(lines)


def _row(found: "Found") -> str:
    """Writes the record of a token in one line."""
    fields = found.fields
    subject = [f"{name} {_text(fields[name])}" for name in _SUBJECTS if fields.get(name)]
    return ", ".join(
        [
            f"{_text(fields.get('token_id'))} {_text(fields.get('kind'))}",
            *subject,
            f"by {_text(fields.get('caller'))} {_moment(fields.get('time'))}",
            f"expires {_expires(fields)}",
        ]
    )


def _expires(fields: dict[str, Any]) -> str:
    return _moment(fields["expire_time"]) if fields.get("expire_time") is not None else "never"


def _moment(value: object) -> str:
    try:
        return at(datetime.fromisoformat(str(value)))
    except ValueError:
        return _text(value)


def _text(value: object) -> str:
    """Writes a value that a stranger may have chosen: nothing in it steers the terminal."""
    return value if isinstance(value, str) and value.isprintable() else json.dumps(value)
