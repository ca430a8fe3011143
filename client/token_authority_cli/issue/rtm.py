"""`token-authority issue rtm`."""

import argparse
from collections.abc import Iterable
from typing import Final, NamedTuple, get_args

from token_authority_cli.issue.command import Command, add_expiration
from token_authority_client import (
    RtmAccess,
    RtmPermission,
    RtmResourceType,
    TokenRequest,
    prepare,
)

_ACCESSES: Final[dict[str, RtmAccess]] = {name: name for name in get_args(RtmAccess)}
_TYPES: Final[dict[str, RtmResourceType]] = {name: name for name in get_args(RtmResourceType)}

_EPILOG: Final = f"""\
Without --allow the user may access what the project allows; with it, only these resources:
ACCESS is one of {", ".join(_ACCESSES)};
TYPE is one of {", ".join(_TYPES)}.

examples:
  token-authority issue rtm --user alice --ttl 1h
  token-authority issue rtm --user alice --allow read:message_channel:lobby \\
      --allow write:message_channel:lobby --allow read:user:bob
"""


class _Allowed(NamedTuple):
    """One --allow."""

    access: RtmAccess
    resource_type: RtmResourceType
    name: str


def _allowed(text: str) -> _Allowed:
    """Parses "read:message_channel:lobby"; the name may contain colons."""
    access, _, rest = text.partition(":")
    resource_type, colon, name = rest.partition(":")
    if access not in _ACCESSES:
        raise argparse.ArgumentTypeError(f"{text!r}: begin with {':, '.join(_ACCESSES)}:")
    if resource_type not in _TYPES or not colon:
        raise argparse.ArgumentTypeError(
            f"{text!r}: write ACCESS:TYPE:NAME with a type of {', '.join(_TYPES)}"
        )
    return _Allowed(_ACCESSES[access], _TYPES[resource_type], name)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--user", dest="user_id", required=True, metavar="ID", help="the RTM user who logs in"
    )
    reach = parser.add_argument_group("resource permissions").add_mutually_exclusive_group()
    reach.add_argument(
        "--allow",
        dest="permissions",
        action="append",
        type=_allowed,
        metavar="ACCESS:TYPE:NAME",
        help="a resource, e.g. read:message_channel:lobby; repeatable; 007 only",
    )
    reach.add_argument("--allow-nothing", action="store_true", help="no resource; 007 only")
    add_expiration(parser, "1s to 24h; default 1h")
    parser.add_argument("--format", choices=("006", "007"), help="the token's format; default 007")


def _request(arguments: argparse.Namespace) -> TokenRequest:
    unrestricted = arguments.permissions is None and not arguments.allow_nothing
    return prepare.issue_rtm_token(
        user_id=arguments.user_id,
        permissions=None if unrestricted else _permissions(arguments.permissions or ()),
        ttl=arguments.ttl,
        expire_time=arguments.expire_time,
        format=arguments.format,
        project=arguments.project,
    )


def _permissions(allowed: Iterable[_Allowed]) -> list[RtmPermission]:
    """Groups the resources by access and type, as the contract requires."""
    names: dict[tuple[RtmAccess, RtmResourceType], list[str]] = {}
    for one in allowed:
        names.setdefault((one.access, one.resource_type), []).append(one.name)
    return [
        RtmPermission(access=access, resource_type=resource_type, resources=resources)
        for (access, resource_type), resources in names.items()
    ]


COMMAND: Final = Command("rtm", "an RTM (Signaling) token", _EPILOG, _add_options, _request)
