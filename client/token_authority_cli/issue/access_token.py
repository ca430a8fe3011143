"""`token-authority issue access-token`."""

import argparse
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

from google.protobuf import json_format  # noqa: TID251  # it only parses here
from google.protobuf.descriptor import Descriptor

from token_authority.v1.access_token_pb2 import AccessTokenService, IssueAccessTokenRequest
from token_authority_cli.issue.command import Command, add_expiration
from token_authority_cli.output import complain
from token_authority_client import TokenRequest, prepare

_PACKAGE: Final = AccessTokenService.DESCRIPTOR.file.package


def _members(message: Descriptor) -> str:
    """Lists the members of a message with their JSON names, nested messages included."""
    found: dict[str, list[str]] = {}
    for field in message.fields:
        inner = field.message_type
        ours = inner is not None and inner.file.package == _PACKAGE and inner.fields
        group = field.containing_oneof or field
        text = f"{field.json_name} {{{_members(inner)}}}" if inner and ours else field.json_name
        found.setdefault(group.name, []).append(text)
    return ", ".join(" | ".join(texts) for texts in found.values())


def _services() -> Iterator[str]:
    """Yields a paragraph per service: its name and its members."""
    for service in AccessTokenService.DESCRIPTOR.fields:
        assert service.message_type
        text = f"  {service.json_name:<10} {_members(service.message_type)}".rstrip()
        yield textwrap.fill(text, 78, subsequent_indent=" " * 13)


_EPILOG: Final = """\
FILE is an IssueAccessTokenRequest in protobuf's JSON: {{"services": […]}}, 1 to 32 of these, each
with its members:

{services}

Members separated by | exclude each other. Lifetimes are written like "3600s", enums in full
like RTM_RESOURCE_TYPE_USER and RTM_ACCESS_READ; anyChannel, anyUser, app and services without
members are {{}}. The options override the project and expiration in FILE.

examples:
  token-authority issue access-token services.json --ttl 1h
  token-authority issue access-token - <<'END'
  {{"services": [
    {{"rtc": {{"channelName": "lesson-1", "uid": 7, "joinChannelTtl": "3600s"}}}},
    {{"rtm": {{"userId": "alice"}}}},
    {{"chat": {{"user": {{"userId": "5f1e3b9a-0c1d-4e8b-9a2f-3d7c6b5a4e10"}}}}}}
  ]}}
  END
""".format(services="\n".join(_services()))


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        help="the services as JSON (see below); -: standard input",
    )
    add_expiration(
        parser,
        "1s to 24h; default: the longest lifetime in FILE, else 1h (24h for FPA alone)",
    )


def _request(arguments: argparse.Namespace) -> TokenRequest:
    message = _read(arguments)
    if message.validate_only:
        _refuse(arguments, "remove validateOnly, and pass --validate-only")
    options: Any = prepare.issue_access_token(
        services=(),
        ttl=arguments.ttl,
        expire_time=arguments.expire_time,
        project=arguments.project,
    ).message
    if options.WhichOneof("expiration"):
        # A ttl in the file would be merged with this one.
        message.ClearField("expiration")
    message.MergeFrom(options)
    return TokenRequest("IssueAccessToken", message)


def _read(arguments: argparse.Namespace) -> IssueAccessTokenRequest:
    try:
        data = (
            sys.stdin.buffer.read() if arguments.file == "-" else Path(arguments.file).read_bytes()
        )
        return json_format.Parse(data, IssueAccessTokenRequest())
    except OSError as error:
        _refuse(arguments, f"cannot be read: {error.strerror}")
    except (json_format.ParseError, ValueError) as error:
        _refuse(arguments, f"is not an IssueAccessTokenRequest: {' '.join(str(error).split())}")


def _refuse(arguments: argparse.Namespace, problem: str) -> NoReturn:
    complain(f"{arguments.file}: {problem}")
    sys.exit(2)


COMMAND: Final = Command(
    "access-token", "a 007 token for any composition of services", _EPILOG, _add_options, _request
)
