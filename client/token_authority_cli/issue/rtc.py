"""`token-authority issue rtc`."""

import argparse
from typing import Final

from token_authority_cli.arguments import duration, integer
from token_authority_cli.issue.command import Command, add_expiration
from token_authority_client import RtcPrivileges, RtmLogin, TokenRequest, prepare

_EPILOG: Final = """\
examples:
  token-authority issue rtc --channel lesson-1 --uid 7 --role publisher --ttl 1h
  token-authority issue rtc --any-channel --user-account alice --role subscriber
  token-authority issue rtc --channel lesson-1 --uid 7 --join-ttl 1h --publish-audio-ttl 10m
  token-authority issue rtc --channel lesson-1 --user-account al --role publisher --rtm-user al
"""


def _add_options(parser: argparse.ArgumentParser) -> None:
    channel = parser.add_argument_group("where it works").add_mutually_exclusive_group(
        required=True
    )
    channel.add_argument("--channel", metavar="NAME", help="one channel, as the client spells it")
    channel.add_argument("--any-channel", action="store_true", help="every channel; 007 only")
    user = parser.add_argument_group("whom it is for").add_mutually_exclusive_group(required=True)
    user.add_argument("--uid", type=integer, metavar="N", help="an integer uid, 1 to 4294967295")
    user.add_argument("--user-account", metavar="NAME", help="a string user account")
    user.add_argument("--any-user", action="store_true", help="whoever holds it")
    _add_rights(parser)
    add_expiration(parser, "1s to 24h; by default the longest right, else 1h")
    parser.add_argument("--format", choices=("006", "007"), help="how to encode it; default 007")


def _add_rights(parser: argparse.ArgumentParser) -> None:
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


def _request(arguments: argparse.Namespace) -> TokenRequest:
    return prepare.issue_rtc_token(
        channel=arguments.channel,
        any_channel=arguments.any_channel,
        uid=arguments.uid,
        user_account=arguments.user_account,
        any_user=arguments.any_user,
        role=arguments.role,
        privileges=_privileges(arguments),
        ttl=arguments.ttl,
        expire_time=arguments.expire_time,
        format=arguments.format,
        rtm=_rtm_login(arguments),
        project=arguments.project,
    )


def _privileges(arguments: argparse.Namespace) -> RtcPrivileges | None:
    error = arguments.parser.error
    ttls = {
        "join_channel": arguments.join_ttl,
        "publish_audio": arguments.publish_audio_ttl,
        "publish_video": arguments.publish_video_ttl,
        "publish_data": arguments.publish_data_ttl,
    }
    if all(ttl is None for ttl in ttls.values()):
        if arguments.role is None:
            error("--role is required, or --join-ttl for rights with lifetimes of their own")
        return None
    if arguments.role is not None:
        error("--role gives every right a lifetime: leave it out, or the --…-ttl options")
    if arguments.join_ttl is None:
        error("--join-ttl is required: without the right to join no other is of use")
    return RtcPrivileges(**ttls)


def _rtm_login(arguments: argparse.Namespace) -> RtmLogin | None:
    if arguments.rtm_user is not None:
        return RtmLogin(arguments.rtm_user, arguments.rtm_ttl)
    if arguments.rtm_ttl is not None:
        arguments.parser.error("--rtm-ttl goes with --rtm-user")
    return None


COMMAND: Final = Command("rtc", "an RTC token", _EPILOG, _add_options, _request)
