"""`token-authority audit`: verifies an audit trail, and finds who minted a token. Offline."""

import argparse
import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from token_authority_cli.arguments import moment, piped_text
from token_authority_cli.audit_view import (
    block,
    complain_of_report,
    print_report,
    report_unreadable,
    row,
)
from token_authority_cli.commands import HELP
from token_authority_cli.kicking_rule import KickingRules
from token_authority_cli.output import as_json, complain
from token_authority_cli.server import needs_server

if TYPE_CHECKING:
    from token_authority_server.audit import Found, Report

_FIND_USAGE: Final = """\
token-authority audit find [--json] TOKEN|TOKEN_ID FILE...
       token-authority audit find [--json] --key KEY_ID [--project NAME] [--unexpired [--at WHEN]]
                                  FILE...
       token-authority audit find [--json] --user USER [--project NAME] [--unexpired [--at WHEN]]
                                  [--config FILE] FILE..."""
_FIND_EPILOG: Final = """\
examples:
  token-authority audit find 663ad2bad5dc37843bbf9293de11b50d audit.jsonl
  pbpaste | token-authority audit find - audit.jsonl
  token-authority audit find --key certificate-2026 --unexpired audit.jsonl.1 audit.jsonl
  token-authority audit find --user uid:7 --unexpired --config token-authority.toml audit.jsonl
"""


def add_commands(commands: Any) -> None:
    """Adds `audit` with `verify` and `find`."""
    parser = commands.add_parser(
        "audit",
        help=HELP["audit"],
        description="Verify or search an audit trail, without a server.",
        allow_abbrev=False,
    )
    inner = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_verify(inner)
    _add_find(inner)


def _add_verify(commands: Any) -> None:
    parser = commands.add_parser(
        "verify",
        help="find records that were altered, removed, moved or inserted",
        description="Verify the hash chain of an audit trail: each record must be unaltered and "
        "follow the one before it. Exits with 1 and names the first invalid line; exits with 1, "
        "too, if there are no records. Records cut off at the end leave no trace in the "
        "files: compare the last hash with a copy kept elsewhere.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="files of one trail, oldest first"
    )
    parser.add_argument(
        "--trail",
        action="append",
        nargs="+",
        default=[],
        type=Path,
        metavar="FILE",
        help="files of another trail, oldest first; repeat it for each instance",
    )
    parser.add_argument("--json", action="store_true", help="print the whole report as JSON")
    parser.set_defaults(run=needs_server(_verify), parser=parser)


def _add_find(commands: Any) -> None:
    parser = commands.add_parser(
        "find",
        help="find who minted a token, or the tokens that a key signed or a user has",
        usage=_FIND_USAGE,
        description="Print the records of a token: who minted it, when, for whom, and when it "
        "expires. Or list the tokens that a key signed, or that a user can use: those that name it "
        "and those for any user. Exits with 1 if there is no such record.",
        epilog=_FIND_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "names",
        nargs="+",
        metavar="TOKEN|TOKEN_ID FILE",
        help="a token, its id, or - to read it from standard input; then files. With --key or "
        "--user, only files",
    )
    listed = parser.add_mutually_exclusive_group()
    listed.add_argument("--key", metavar="KEY_ID", help="list the tokens that this key signed")
    listed.add_argument(
        "--user", type=_user, metavar="USER", help="list the tokens of uid:7 or account:alice"
    )
    parser.add_argument("--project", metavar="NAME", help="only tokens of this project")
    parser.add_argument(
        "--unexpired", action="store_true", help="only tokens that have not expired"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="with --user uid:… --unexpired: also print the body with which Agora's REST API "
        "removes the user from channels; only App IDs are read from this configuration",
    )
    parser.add_argument(
        "--at", type=moment, metavar="WHEN", help="with --unexpired: at this time; default: now"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the records as JSON, one per line"
    )
    parser.set_defaults(run=needs_server(_find), parser=parser)


def _user(text: str) -> str:
    """Returns a user as records name it; any other text would be found nowhere."""
    if not re.fullmatch(r"uid:[1-9][0-9]*|account:[^*]+", text):
        raise argparse.ArgumentTypeError(
            f"{text!r}: write uid:7 or account:alice, without patterns"
        )
    return text


def _verify(arguments: argparse.Namespace) -> int:
    from token_authority_server import audit  # noqa: PLC0415  # lazily, as in server

    trails: list[list[Path]] = [files for files in (arguments.files, *arguments.trail) if files]
    if not trails:
        arguments.parser.error("give the files of a trail")
    return report_unreadable(
        lambda: _show_reports([audit.verify(files) for files in trails], trails, arguments)
    )


def _show_reports(
    reports: "list[Report]", trails: list[list[Path]], arguments: argparse.Namespace
) -> int:
    if arguments.json:
        print(as_json(reports[0] if len(reports) == 1 else {"trails": reports}))
    codes: list[int] = []
    for report, files in zip(reports, trails, strict=True):
        if not arguments.json and len(reports) > 1:
            print(f"{files[0]}:" if len(files) == 1 else f"{files[0]} to {files[-1]}:")
        if not arguments.json:
            print_report(report)
        codes.append(complain_of_report(report))
    return max(codes)


def _find(arguments: argparse.Namespace) -> int:
    if arguments.config and not (arguments.user and arguments.unexpired):
        arguments.parser.error("--config needs --user and --unexpired")
    if arguments.user:
        return _find_usable_by(arguments)
    return (_find_signed_by if arguments.key else _find_token)(arguments)


def _find_token(arguments: argparse.Namespace) -> int:
    from token_authority_server import audit  # noqa: PLC0415  # lazily, as in server

    if arguments.project or arguments.unexpired or arguments.at:
        arguments.parser.error("--project, --unexpired and --at need --key or --user")
    text, *files = arguments.names
    if not files:
        arguments.parser.error("give a token or its id, and the files to search")
    token_id = audit.token_id_of(piped_text() if text == "-" else text)
    records = audit.find_token(token_id, [Path(file) for file in files])
    return report_unreadable(lambda: _show_all(records, arguments, block, f"token {token_id}"))


def _find_signed_by(arguments: argparse.Namespace) -> int:
    from token_authority_server import audit  # noqa: PLC0415  # lazily, as in server

    records = audit.find_signed_by(
        arguments.key,
        [Path(file) for file in arguments.names],
        project=arguments.project,
        alive_at=_alive_at(arguments),
    )
    what = f"{'an unexpired' if arguments.unexpired else 'a'} token signed by {arguments.key}"
    return report_unreadable(lambda: _show_all(records, arguments, row, what))


def _find_usable_by(arguments: argparse.Namespace) -> int:
    from token_authority_server import audit, config  # noqa: PLC0415  # lazily, as in server

    alive_at = _alive_at(arguments)
    records = audit.find_usable_by(
        arguments.user,
        [Path(file) for file in arguments.names],
        project=arguments.project,
        alive_at=alive_at,
    )
    what = f"{'an unexpired' if arguments.unexpired else 'a'} token that {arguments.user} can use"
    if not arguments.config:
        return report_unreadable(lambda: _show_all(records, arguments, row, what))
    try:
        rules = KickingRules(config.app_ids(arguments.config), arguments.user, alive_at)
    except config.ConfigError as error:
        complain(str(error))
        return 2
    code = report_unreadable(lambda: _show_all(rules.reading(records), arguments, row, what))
    rules.print(as_json=arguments.json)
    return code


def _alive_at(arguments: argparse.Namespace) -> datetime | None:
    if arguments.at and not arguments.unexpired:
        arguments.parser.error("--at needs --unexpired")
    return (arguments.at or datetime.now(UTC)) if arguments.unexpired else None


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
            complain(
                f"warning: {found.file}:{found.line}: the record does not match its hash: it was "
                "altered"
            )
    if code:
        complain(f"no record of {what} in these files")
    return code
