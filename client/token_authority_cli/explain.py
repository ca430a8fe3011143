"""`token-authority explain`: what a server with a configuration would decide, without a server."""

import argparse
import json
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from token_authority.v1.encryption_pb2 import IssueChannelKeyRequest
from token_authority_cli.commands import HELP
from token_authority_cli.issue import COMMANDS, channel_key
from token_authority_cli.option_names import in_options
from token_authority_cli.output import complain
from token_authority_cli.server import complain_of_config, needs_server
from token_authority_client import FieldViolation, InvalidRequest

if TYPE_CHECKING:
    from token_authority_server.config import Settings

_EPILOG: Final = """\
example:
  token-authority explain --config token-authority.toml --caller lesson-service \\
      issue rtc --channel lesson-1 --uid 7 --role publisher
"""


def add_commands(commands: Any) -> None:
    """Adds `explain`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "explain",
        help=HELP["explain"],
        description="Show whether a server with this configuration would issue a caller a token, "
        "and why. Needs no server and signs nothing. Exits with 1 if the request is denied.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="a TOML file")
    parser.add_argument(
        "--caller", required=True, metavar="NAME", help="the caller's name in the configuration"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    issue = parser.add_subparsers(metavar="issue", required=True).add_parser(
        "issue", help="the request, as in `token-authority issue`", allow_abbrev=False
    )
    families = issue.add_subparsers(metavar="KIND", required=True)
    for command in COMMANDS:
        description = f"Show whether the caller would be issued {command.noun}."
        command.add_request_to(families, description).set_defaults(
            run=needs_server(_explain), request=command.request
        )
    channel_key.add_request_to(
        families, "Show whether the caller would be issued a key for media encryption."
    ).set_defaults(run=needs_server(_explain), request=None)


def _explain(arguments: argparse.Namespace) -> int:
    from token_authority_server import config  # noqa: PLC0415  # lazily, as in server
    from token_authority_server.errors import Refusal  # noqa: PLC0415
    from token_authority_server.process.explain import explain  # noqa: PLC0415

    try:
        settings = config.load(arguments.config, os.environ)
        names = [caller.name for caller in settings.callers]
        if arguments.caller not in names:
            complain(f"there is no caller {arguments.caller!r}: pass one of {', '.join(names)}")
            return 2
        if arguments.request is None:
            return _explain_channel_key(arguments, settings)
        entry = arguments.request(arguments).to_batch_entry()
        allowed = explain(settings, arguments.caller, entry.SerializeToString())
    except config.ConfigError as error:
        return complain_of_config(error)
    except InvalidRequest as error:
        return _refused(arguments, error)
    except Refusal as refusal:
        return _refused(arguments, refusal, refusal.detail)
    ttl_ms = allowed.terms.ttl_ms
    _print(
        arguments,
        {
            "decision": "allowed",
            "caller": allowed.caller,
            "grant": allowed.grant.name,
            "project": allowed.project,
            "key": allowed.key.key_id,
            "ttl": "never ends" if ttl_ms is None else str(timedelta(milliseconds=ttl_ms)),
            "max_ttl": str(timedelta(milliseconds=allowed.max_ttl_ms)),
            "notes": [advisory.reason for advisory in allowed.terms.advisories],
        },
    )
    return 0


def _explain_channel_key(arguments: argparse.Namespace, settings: "Settings") -> int:
    from token_authority_server.process.explain import explain_channel_key  # noqa: PLC0415

    request = IssueChannelKeyRequest(
        project=arguments.project,
        channel_name=arguments.channel,
        key_context=arguments.key_context,
        key_id=arguments.key_id,
    )
    allowed = explain_channel_key(settings, arguments.caller, request.SerializeToString())
    _print(
        arguments,
        {
            "decision": "allowed",
            "caller": arguments.caller,
            "grant": allowed.grant.name,
            "project": allowed.project,
            "key": allowed.secret.key_id,
        },
    )
    return 0


def _refused(arguments: argparse.Namespace, refusal: Any, detail: str = "") -> int:
    """Prints a refusal, with what only operators see of it."""
    if not arguments.json:
        complain(f"{_message(arguments, refusal)} [{refusal.reason}]")
        if detail:
            complain(f"denial: {detail}")
    else:
        _print(
            arguments,
            {
                "decision": "refused",
                "caller": arguments.caller,
                "reason": str(refusal.reason),
                "message": refusal.message,
                "metadata": dict(refusal.metadata),
                **({"detail": detail} if detail else {}),
            },
        )
    return 1


def _message(arguments: argparse.Namespace, refusal: Any) -> str:
    """Returns why a request is refused, with the options of the command."""
    # A refusal of the server names fields of the contract, and the client's errors arguments.
    message = refusal.message
    if isinstance(refusal, InvalidRequest) or not refusal.violations:
        return in_options(arguments.parser, message)
    violations = [
        FieldViolation(one.field, str(one.reason), one.description) for one in refusal.violations
    ]
    problem = "; ".join(map(str, violations))
    return in_options(arguments.parser, f"invalid request: {problem}")


def _print(
    arguments: argparse.Namespace, answer: Mapping[str, str | list[str] | dict[str, str]]
) -> None:
    if arguments.json:
        print(json.dumps(answer, indent=2))
        return
    for name, value in answer.items():
        text = ", ".join(value) if isinstance(value, list) else value
        if text:
            print(f"{name + ':':<10}{text}")
