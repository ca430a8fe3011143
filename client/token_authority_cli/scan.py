"""`token-authority scan`: finds Agora tokens and your own secrets in files. Offline."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from token_authority_cli.arguments import from_ms, now_ms
from token_authority_cli.commands import HELP
from token_authority_cli.output import as_json, at, complain
from token_authority_cli.scan_files import Place, files_under, scan_report, scan_stream
from token_authority_cli.server import complain_of_config, needs_server
from token_authority_cli.terminal_text import visible

if TYPE_CHECKING:
    from token_authority_server.inspection.leaks import LeakFinder

_MAX_SHOWN: Final = 10_000
_EPILOG: Final = """\
examples:
  token-authority scan --config token-authority.toml src logs
  git log -p --all | token-authority scan -
  gitleaks dir -f json -r - . | token-authority scan --gitleaks -
"""
_SECRETS: Final = {
    "agora": "App Certificate",
    "whiteboard": "whiteboard secret key",
    "encryption": "encryption secret",
    "api-key": "API key of a caller",
}


def add_commands(commands: Any) -> None:
    """Adds `scan`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "scan",
        help=HELP["scan"],
        description="Find Agora tokens of the formats 006, 007 and netless in files and folders, "
        "and with --config your own secrets: in clear, as base64 and URL-encoded. Neither is "
        "printed. Exits with 1 if a token has not expired, or a secret was found. Compressed "
        "files and Git's objects are not unpacked.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="-: read standard input")
    parser.add_argument(
        "--config", metavar="FILE", help="a server's configuration, for its keys and secrets"
    )
    parser.add_argument(
        "--gitleaks", action="store_true", help="each PATH is a JSON report of gitleaks"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=needs_server(_scan))


def _scan(arguments: argparse.Namespace) -> int:
    from token_authority_server import config  # noqa: PLC0415  # lazily, as in server

    try:
        finder = _finder(arguments.config)
    except config.ConfigError as error:
        return complain_of_config(error)
    problems: list[str] = []
    found: list[Place] = []
    is_live, omitted = False, 0
    for place in _places(arguments, finder, problems):
        is_live |= place.leak.is_live
        if len(found) == _MAX_SHOWN:
            omitted += 1
            continue
        found.append(place)
        if not arguments.json:
            print(_line(place), flush=True)
    if arguments.json:
        rows = [_row(place) for place in found]
        print(as_json({"findings": rows, "omitted": omitted, "unreadable": problems}))
    elif omitted:
        complain(f"{omitted} more findings are not shown")
    for problem in problems:
        complain(problem)
    return int(is_live) or (2 if problems else 0)


def _finder(path: str | None) -> "LeakFinder":
    from token_authority_server import config  # noqa: PLC0415  # lazily, as in server
    from token_authority_server.inspection.leaks import LeakFinder  # noqa: PLC0415

    if path is None:
        return LeakFinder([], [], (), now_ms(), os.urandom(32))
    settings = config.load(Path(path), os.environ)
    keyring, callers = settings.keyring(), settings.callers_by_identity()
    signing, secrets = keyring.keys(keyring.project_names), keyring.encryption_secrets()
    return LeakFinder(signing, secrets, callers.api_key_hashes, now_ms(), os.urandom(32))


def _places(
    arguments: argparse.Namespace, finder: "LeakFinder", problems: list[str]
) -> Iterator[Place]:
    """Yields the findings in all paths; records a problem for each path that cannot be read."""
    from token_authority_server.inspection.leaks import LONGEST  # noqa: PLC0415  # as above

    def of(path: Path | None) -> Iterable[Place]:
        name = "-" if path is None else str(path)
        with sys.stdin.buffer if path is None else path.open("rb") as stream:
            if arguments.gitleaks:
                yield from scan_report(stream, finder.find)
            else:
                yield from scan_stream(stream, name, finder.find, LONGEST)

    for name in arguments.paths:
        try:
            for path in [None] if name == "-" else files_under(Path(name)):
                try:
                    yield from of(path)
                except (OSError, ValueError) as error:
                    reason = error.strerror if isinstance(error, OSError) else error
                    problems.append(f"cannot read {visible(str(path or '-'))}: {reason}")
        except OSError as error:
            problems.append(f"cannot read {visible(str(error.filename))}: {error.strerror}")


def _line(place: Place) -> str:
    leak = place.leak
    where = f"{visible(place.file)}:{place.line}"
    key = f"project {visible(leak.project)}, key {visible(leak.key_id)}" if leak.key_id else ""
    if leak.what != "token":
        spelled = "" if leak.kind == "clear" else f", as {leak.kind}"
        return f"{where}: SECRET: {_SECRETS[leak.what]}{spelled}{key and f': {key}'}"
    end = "never expires" if leak.expire_ms is None else f"expires {at(from_ms(leak.expire_ms))}"
    if not leak.is_live and leak.expire_ms is not None:
        end = f"expired {at(from_ms(leak.expire_ms))}"
    owner = f"App ID or access key {visible(leak.app_id)}"
    signer = f"signed by {key}" if key else f"signature {leak.signature}"
    name = f"{leak.format} {visible(leak.kind)}".strip()
    state = "LIVE" if leak.is_live else "expired"
    return f"{where}: {state}: {name} token {leak.token_id}, {owner}, {end}, {signer}"


def _row(place: Place) -> dict[str, Any]:
    leak = place.leak
    row = {
        "file": place.file,
        "line": place.line,
        "type": leak.what,
        "live": leak.is_live,
        "kind": leak.kind,
        "project": leak.project,
        "key_id": leak.key_id,
    }
    if leak.what != "token":
        return row
    return row | {
        "format": leak.format,
        "app_id": leak.app_id,
        "token_id": leak.token_id,
        "expire_time": None if leak.expire_ms is None else from_ms(leak.expire_ms),
        "signature": leak.signature,
    }
