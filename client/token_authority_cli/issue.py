"""`token-authority issue …`: asks a server for a token."""

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from token_authority_cli.arguments import duration, in_words, integer, moment
from token_authority_client import (
    DEFAULT_TARGET,
    Advisory,
    Decision,
    IssuedToken,
    RtcPrivileges,
    RtmLogin,
    TokenAuthorityClient,
    TokenAuthorityError,
)
from token_authority_client.requests import TokenMethods

Commands = Any  # argparse keeps the type of its subparsers to itself
Answer = IssuedToken | Decision
Ask = Callable[[TokenMethods[Any], argparse.Namespace], Answer]

_WHITEBOARD_EPILOG = """\
examples:
  token-authority issue whiteboard --room 4a50cb3b6a0c4b5e --role writer --ttl 1h
  token-authority issue whiteboard --sdk --role admin --ttl 10m
"""
_RTC_EPILOG = """\
examples:
  token-authority issue rtc --channel lesson-1 --uid 7 --role publisher --ttl 1h
  token-authority issue rtc --any-channel --user-account alice --role subscriber
  token-authority issue rtc --channel lesson-1 --uid 7 --join-ttl 1h --publish-audio-ttl 10m
  token-authority issue rtc --channel lesson-1 --user-account al --role publisher --rtm-user al
"""


def add_commands(commands: Commands) -> None:
    """Adds `issue whiteboard` and `issue rtc`."""
    issue = commands.add_parser(
        "issue",
        help="ask a server for a token",
        description="Ask a server for a token. The token goes to standard output, all else that "
        "there is to know about it to standard error.",
        allow_abbrev=False,
    )
    kinds = issue.add_subparsers(metavar="KIND", required=True)
    _add_whiteboard(kinds)
    _add_rtc(kinds)


def _add_whiteboard(kinds: Commands) -> None:
    parser = _kind(kinds, "whiteboard", "an Interactive Whiteboard token", _WHITEBOARD_EPILOG)
    scope = parser.add_argument_group("what it opens").add_mutually_exclusive_group(required=True)
    scope.add_argument("--room", metavar="UUID", help="one room")
    scope.add_argument("--task", metavar="UUID", help="one file-conversion task")
    scope.add_argument("--sdk", action="store_true", help="everything; for servers only")
    parser.add_argument(
        "--role",
        required=True,
        choices=("admin", "writer", "reader"),
        help="what its holder may do: admin everything, writer draw, reader watch",
    )
    end = _expiration(parser, "1ms to 3650d; by default 1h")
    end.add_argument("--non-expiring", action="store_true", help="never: as long as the key pair")
    parser.set_defaults(run=_run, ask=_ask_whiteboard)


def _ask_whiteboard(client: TokenMethods[Any], arguments: argparse.Namespace) -> Answer:
    answer: Answer = client.issue_whiteboard_token(
        role=arguments.role,
        room=arguments.room,
        task=arguments.task,
        sdk=arguments.sdk,
        ttl=arguments.ttl,
        expire_time=arguments.expire_time,
        non_expiring=arguments.non_expiring,
        project=arguments.project,
    )
    return answer


def _add_rtc(kinds: Commands) -> None:
    parser = _kind(kinds, "rtc", "an RTC token", _RTC_EPILOG)
    channel = parser.add_argument_group("where it works").add_mutually_exclusive_group(
        required=True
    )
    channel.add_argument("--channel", metavar="NAME", help="one channel, as the client spells it")
    channel.add_argument("--any-channel", action="store_true", help="every channel; 007 only")
    user = parser.add_argument_group("whom it is for").add_mutually_exclusive_group(required=True)
    user.add_argument("--uid", type=integer, metavar="N", help="an integer uid, 1 to 4294967295")
    user.add_argument("--user-account", metavar="NAME", help="a string user account")
    user.add_argument("--any-user", action="store_true", help="whoever holds it")
    rights = parser.add_argument_group("what its holder may do")
    rights.add_argument(
        "--role",
        choices=("publisher", "subscriber"),
        help="publisher joins and publishes, subscriber joins",
    )
    for right in ("join", "publish-audio", "publish-video", "publish-data"):
        rights.add_argument(
            f"--{right}-ttl",
            type=duration,
            metavar="TIME",
            help=f"or, without --role: may {right.replace('-', ' ')} for this long, 1s to 24h",
        )
    rights.add_argument("--rtm-user", metavar="ID", help="may log in to RTM as this user; 007 only")
    rights.add_argument(
        "--rtm-ttl", type=duration, metavar="TIME", help="for this long; by default as the token"
    )
    _expiration(parser, "1s to 24h; by default the longest right, else 1h")
    parser.add_argument("--format", choices=("006", "007"), help="how to encode it; default 007")
    parser.set_defaults(run=_run, ask=_ask_rtc, parser=parser)


def _ask_rtc(client: TokenMethods[Any], arguments: argparse.Namespace) -> Answer:
    privileges = rtm = None
    error = arguments.parser.error
    ttls = {
        "join_channel": arguments.join_ttl,
        "publish_audio": arguments.publish_audio_ttl,
        "publish_video": arguments.publish_video_ttl,
        "publish_data": arguments.publish_data_ttl,
    }
    if any(ttl is not None for ttl in ttls.values()):
        if arguments.role is not None:
            error("--role gives every right a lifetime: leave it out, or the --…-ttl options")
        if arguments.join_ttl is None:
            error("--join-ttl is required: without the right to join no other is of use")
        privileges = RtcPrivileges(**ttls)
    elif arguments.role is None:
        error("--role is required, or --join-ttl for rights with lifetimes of their own")
    if arguments.rtm_user is not None:
        rtm = RtmLogin(arguments.rtm_user, arguments.rtm_ttl)
    elif arguments.rtm_ttl is not None:
        error("--rtm-ttl goes with --rtm-user")
    answer: Answer = client.issue_rtc_token(
        channel=arguments.channel,
        any_channel=arguments.any_channel,
        uid=arguments.uid,
        user_account=arguments.user_account,
        any_user=arguments.any_user,
        role=arguments.role,
        privileges=privileges,
        ttl=arguments.ttl,
        expire_time=arguments.expire_time,
        format=arguments.format,
        rtm=rtm,
        project=arguments.project,
    )
    return answer


def _kind(kinds: Commands, name: str, noun: str, epilog: str) -> argparse.ArgumentParser:
    """Adds a command with the options that every kind has."""
    parser: argparse.ArgumentParser = kinds.add_parser(
        name,
        help=noun,
        description=f"Ask a server for {noun}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--project",
        default="",
        metavar="NAME",
        help="the project, as the server's configuration names it; needed where it has several",
    )
    parser.add_argument(
        "--validate-only", action="store_true", help="only say whether it would be issued, and why"
    )
    parser.add_argument("--json", action="store_true", help="answer with everything, as JSON")
    parser.add_argument(
        "--target",
        default=os.environ.get("TOKEN_AUTHORITY_TARGET") or DEFAULT_TARGET,
        metavar="ADDRESS",
        help="where the server is, HOST:PORT or unix:/PATH; by default $TOKEN_AUTHORITY_TARGET, "
        f"else {DEFAULT_TARGET}",
    )
    parser.add_argument(
        "--timeout",
        type=duration,
        default=timedelta(seconds=5),
        metavar="TIME",
        help="how long to wait for an answer; by default 5s",
    )
    return parser


def _expiration(parser: argparse.ArgumentParser, limits: str) -> Any:
    end = parser.add_argument_group("when it ends").add_mutually_exclusive_group()
    end.add_argument(
        "--ttl", type=duration, metavar="TIME", help=f"after this long, like 90s or 1h30m: {limits}"
    )
    end.add_argument(
        "--expire-time",
        type=moment,
        metavar="WHEN",
        help="or at this time, like 2030-01-31T18:00:00Z",
    )
    return end


def _run(arguments: argparse.Namespace) -> int:
    ask: Ask = arguments.ask
    try:
        with TokenAuthorityClient(arguments.target, timeout=arguments.timeout) as client:
            answer = ask(client.validate_only if arguments.validate_only else client, arguments)
    except TokenAuthorityError as error:
        print(f"token-authority: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps(dataclasses.asdict(answer), default=_plain, indent=2))
    elif isinstance(answer, IssuedToken):
        print(answer.token, flush=True)
        _print_lines(_about(answer))
    else:
        _print_lines(_why(answer))
    return 0


def _plain(value: object) -> str:
    """Writes what JSON has no type for: times as RFC 3339, lifetimes as protobuf does."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"
    raise TypeError(f"{type(value)} has no JSON form")


def _about(issued: IssuedToken) -> list[tuple[str, str]]:
    key = f"{issued.key_id} (App ID {issued.app_id})" if issued.app_id else issued.key_id
    lines = [
        ("format", issued.format),
        ("token id", issued.token_id),
        ("key", key),
        ("issued", _at(issued.issue_time)),
    ]
    if issued.expire_time is None or issued.renew_time is None:
        lines.append(("expires", "never"))
    else:
        life = in_words(issued.expire_time - issued.issue_time)
        lines.append(("expires", f"{_at(issued.expire_time)} (after {life})"))
        lines.append(("renew at", _at(issued.renew_time)))
    return lines + _notes(issued.advisories)


def _why(decision: Decision) -> list[tuple[str, str]]:
    ttl = "never expires" if decision.ttl is None else in_words(decision.ttl)
    return [
        ("allowed", f"to {decision.caller}, by grant {decision.grant}"),
        ("life", f"{ttl} (at most {in_words(decision.max_ttl)})"),
        ("key", decision.key_id),
        *_notes(decision.advisories),
    ]


def _notes(advisories: tuple[Advisory, ...]) -> list[tuple[str, str]]:
    return [("note", f"{advisory.description} [{advisory.reason}]") for advisory in advisories]


def _at(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _print_lines(lines: list[tuple[str, str]]) -> None:
    for name, text in lines:
        print(f"{name + ':':<10}{text}", file=sys.stderr)
