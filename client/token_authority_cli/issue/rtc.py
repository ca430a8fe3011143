"""`token-authority issue rtc`."""

import argparse
from typing import Final

from token_authority_cli.arguments import duration, integer
from token_authority_cli.issue.command import Command, add_expiration
from token_authority_client import RtcPrivileges, RtmLogin, TokenRequest, prepare

# The members of RtcPrivileges, by their options.
_PRIVILEGES: Final = {
    "join": "join_channel",
    "publish-audio": "publish_audio",
    "publish-video": "publish_video",
    "publish-data": "publish_data",
}
_EPILOG: Final = """\
examples:
  token-authority issue rtc --channel lesson-1 --uid 7 --role publisher --ttl 1h
  token-authority issue rtc --any-channel --user-account alice --role subscriber
  token-authority issue rtc --channel-pattern 'lesson-*' --uid 7 --role publisher
  token-authority issue rtc --channel lesson-1 --uid 7 --join-ttl 1h --publish-audio-ttl 10m
  token-authority issue rtc --channel lesson-1 --user-account al --role publisher --rtm-user al
"""


def _add_options(parser: argparse.ArgumentParser) -> None:
    channel = parser.add_argument_group("channel").add_mutually_exclusive_group(required=True)
    channel.add_argument(
        "--channel", metavar="NAME", help="the channel's name, exactly as the client joins it"
    )
    channel.add_argument(
        "--any-channel", action="store_true", help="a wildcard for all channels; 007 only"
    )
    channel.add_argument(
        "--channel-pattern",
        metavar="PATTERN",
        help="a pattern in which * matches any text, e.g. 'lesson-*'; 007 only, with a fixed user; "
        "ask Agora whether extended wildcard matching is enabled for the project",
    )
    user = parser.add_argument_group("user").add_mutually_exclusive_group(required=True)
    user.add_argument(
        "--uid", type=integer, metavar="N", help="the user's integer uid, 1 to 4294967295"
    )
    user.add_argument("--user-account", metavar="NAME", help="the user's string account")
    user.add_argument("--any-user", action="store_true", help="a wildcard for all users")
    _add_rights(parser)
    add_expiration(parser, "1s to 24h; default: the longest privilege, else 1h")
    parser.add_argument("--format", choices=("006", "007"), help="the token's format; default 007")


def _add_rights(parser: argparse.ArgumentParser) -> None:
    rights = parser.add_argument_group("privileges")
    rights.add_argument(
        "--role",
        choices=("publisher", "subscriber"),
        help="a publisher may join and publish, a subscriber may join",
    )
    for right in _PRIVILEGES:
        rights.add_argument(
            f"--{right}-ttl",
            dest=f"privileges.{_PRIVILEGES[right]}",
            type=duration,
            metavar="TIME",
            help=f"or, without --role: how long the user may {right.replace('-', ' ')}, 1s to 24h",
        )
    rights.add_argument(
        "--rtm-user",
        dest="rtm.user_id",
        metavar="ID",
        help="the RTM user that may log in with the token; 007 only",
    )
    rights.add_argument(
        "--rtm-ttl",
        dest="rtm.ttl",
        type=duration,
        metavar="TIME",
        help="the lifetime of the RTM login; default: the token's",
    )


def _request(arguments: argparse.Namespace) -> TokenRequest:
    return prepare.issue_rtc_token(
        channel=arguments.channel,
        any_channel=arguments.any_channel,
        channel_pattern=arguments.channel_pattern,
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
    ttls = {name: getattr(arguments, f"privileges.{name}") for name in _PRIVILEGES.values()}
    if all(ttl is None for ttl in ttls.values()):
        if arguments.role is None:
            error("--role is required, or --join-ttl for separate lifetimes")
        return None
    if arguments.role is not None:
        error(
            "--role cannot be combined with --join-ttl and --publish-…-ttl: pass one or the others"
        )
    if ttls["join_channel"] is None:
        error("--join-ttl is required: a user who cannot join cannot publish")
    return RtcPrivileges(**ttls)


def _rtm_login(arguments: argparse.Namespace) -> RtmLogin | None:
    user_id, ttl = (getattr(arguments, f"rtm.{name}") for name in ("user_id", "ttl"))
    if user_id is not None:
        return RtmLogin(user_id, ttl)
    if ttl is not None:
        arguments.parser.error("--rtm-ttl requires --rtm-user")
    return None


COMMAND: Final = Command("rtc", "an RTC token", _EPILOG, _add_options, _request)
