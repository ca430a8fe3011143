"""A bot that stays in a lesson: its RTC token is renewed, and it opens the lesson's whiteboard.

Server, TLS and credential come from the environment variables of the command line, such as
TOKEN_AUTHORITY_TARGET, TOKEN_AUTHORITY_CA and TOKEN_AUTHORITY_TOKEN_FILE.
"""

import threading
from datetime import timedelta
from typing import Final, Protocol

from token_authority_client import IssuedToken, TokenAuthorityClient

UID: Final = 1001
"""The bot's uid in the channel."""


class Sdk(Protocol):
    """The few functions of Agora's SDKs that need a token. Implement them with yours."""

    def join(self, token: str, channel: str, uid: int) -> None:
        """Joins the channel, e.g. with RtcEngine.joinChannel."""

    def renew_token(self, token: str) -> None:
        """Passes the next token to the SDK, e.g. to RtcEngine.renewToken."""

    def join_room(self, token: str, room: str) -> None:
        """Joins the whiteboard room, e.g. with WhiteWebSdk.joinRoom."""


def attend(
    sdk: Sdk,
    channel: str,
    room: str,
    ended: threading.Event,
    *,
    ttl: timedelta = timedelta(hours=1),
) -> None:
    """Attends the lesson until it has ended.

    Args:
        sdk: The SDKs.
        channel: The lesson's channel.
        room: The UUID of the lesson's whiteboard room.
        ended: Set when the lesson has ended.
        ttl: The lifetime of each RTC token.
    """

    def renew(issued: IssuedToken) -> None:
        sdk.renew_token(issued.token)

    with (
        TokenAuthorityClient() as client,
        client.rtc_token_source(channel=channel, uid=UID, role="publisher", ttl=ttl) as tokens,
    ):
        tokens.on_renewal(renew)
        sdk.join(tokens.get().token, channel, UID)
        board = client.issue_whiteboard_token(room=room, role="writer", ttl=timedelta(hours=12))
        sdk.join_room(board.token, room)
        ended.wait()
