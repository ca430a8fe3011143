"""`token-authority whoami` and `keys`: the caller's identity and grants, and the signing keys."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from token_authority_cli.arguments import in_words
from token_authority_cli.commands import HELP
from token_authority_cli.keys_audit import audit_keys
from token_authority_cli.output import at
from token_authority_cli.server import needs_server
from token_authority_cli.server_options import add_options, ask
from token_authority_client import AuthorityInfo, Grant, SigningKey, TokenAuthorityClient

_PRESENT_GRANTS: Final = (
    "this is computed from the current grants and the tokens that one instance signed since it "
    "started: before you delete a key, run `token-authority keys --audit FILE...` over the audit "
    "trails of all instances"
)


def add_commands(commands: Any) -> None:
    """Adds `whoami` and `keys`."""
    _add(
        commands,
        "whoami",
        "Show your identity on the server, your grants and your limits.",
        _whoami,
    )
    _add_keys(commands)


def _add_keys(commands: Any) -> None:
    keys = _add(
        commands,
        "keys",
        "List the signing keys of your projects: their states, and how long each is needed by "
        "current grants. Requires a grant that allows list_keys. With --audit: read the audit "
        "trails of all instances instead, without a server, and show when the last token of each "
        "key expires and whether the key is safe to delete. Exits with 1 if a trail is broken, or "
        "has no record of a token.",
        _keys,
    )
    keys.add_argument(
        "--project",
        default="",
        metavar="NAME",
        help="only this project; default: all your projects",
    )
    audit = keys.add_argument_group("audit trails (needs agora-token-authority[server])")
    audit.add_argument(
        "--audit",
        action="append",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="files of one instance's trail, oldest first; repeat the option for each instance",
    )
    audit.add_argument(
        "--key-id",
        default="",
        metavar="ID",
        help="with --audit: only this key; exit with 0 if it is safe to delete, else with 1",
    )
    audit.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="with --audit: a configuration, to compare states and retired_at with the trails",
    )
    keys.set_defaults(parser=keys)


def _add(
    commands: Any, name: str, description: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=HELP[name], description=description, allow_abbrev=False
    )
    add_options(parser)
    parser.set_defaults(run=run)
    return parser


def _whoami(arguments: argparse.Namespace) -> int:
    return ask(arguments, lambda client: client.get_authority_info(), _show_info)


def _keys(arguments: argparse.Namespace) -> int:
    if arguments.audit:
        return needs_server(audit_keys)(arguments)
    if arguments.config or arguments.key_id:
        option = "--config" if arguments.config else "--key-id"
        arguments.parser.error(f"{option} needs --audit")

    def question(client: TokenAuthorityClient) -> dict[str, list[SigningKey]]:
        return {"signing_keys": client.list_signing_keys(project=arguments.project)}

    return ask(arguments, question, _show_keys)


def _show_info(info: AuthorityInfo) -> None:
    limits = info.limits
    calls = f"{limits.max_in_flight} concurrent calls, " if limits.max_in_flight else ""
    print(f"caller:   {info.caller}")
    print(f"identity: {info.identity}")
    print(f"project:  {info.default_project or 'no default: pass --project'}")
    print(f"limits:   {' and '.join(limits.rates) or 'no rate limit'}; {calls}", end="")
    print(f"batches of {limits.max_batch_size}, requests of {limits.max_request_bytes} bytes")
    print(f"server:   {info.server_version}, at {at(info.server_time)}")
    for grant in info.grants:
        _show_grant(grant)


def _show_grant(grant: Grant) -> None:
    print(f"grant {grant.name}: {', '.join(grant.tokens)} in {grant.project}")
    for name in ("roles", "channels", "users", "rooms", "allow"):
        patterns: tuple[str, ...] = getattr(grant, name)
        if patterns:
            print(f"  {name + ':':<9} {', '.join(patterns)}")
    default = "" if grant.default_ttl is None else f"default {in_words(grant.default_ttl)}, "
    beyond = "reduced" if grant.clamp_ttl else "refused"
    print(f"  ttl:      {default}at most {in_words(grant.max_ttl)}, longer ones are {beyond}")


def _show_keys(answer: dict[str, list[SigningKey]]) -> None:
    keys = answer["signing_keys"]
    if not keys:
        print("no keys")
    for key in keys:
        app = f" of App ID {key.app_id}" if key.app_id else ""
        print(f"{key.project}: {key.product} key {key.key_id}{app}: {key.state}, {_deletion(key)}")
        for warning in key.warnings:
            print(f"  warning: {warning}")
    if any(key.state != "active" for key in keys):
        print(f"note: {_PRESENT_GRANTS}")


def _deletion(key: SigningKey) -> str:
    if key.deletion == "never_safe":
        return "never to be deleted: tokens that never expire need it"
    if key.deletion == "wait" and key.safe_to_delete_time is not None:
        return f"needed until {at(key.safe_to_delete_time)} or longer"
    if key.state == "active":
        return "in use"
    if key.safe_to_delete_time is not None:
        return f"not needed under current grants since {at(key.safe_to_delete_time)}"
    return "unknown how long it is needed"
