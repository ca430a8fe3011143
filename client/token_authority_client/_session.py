"""Sessions: the tokens of one user in one channel, issued together by BatchIssueTokens."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from token_authority_client._values import IssuedToken

Role = Literal["publisher", "subscriber"]


@dataclass(frozen=True, slots=True)
class Session:
    """The tokens of one user in one channel, which expire together. Its repr contains no token."""

    app_id: str
    """The Agora App ID."""
    channel: str
    """The channel to join."""
    uid: int
    """The uid to join it with."""
    role: Role
    """What the user may do in the channel; a publisher is a writer on the whiteboard, a subscriber
    a reader."""
    issue_time: datetime
    """When the first token was issued, by the server's clock; UTC."""
    expire_time: datetime
    """When the first token expires; UTC. All expire within two seconds."""
    renew_time: datetime
    """When to fetch the next session; UTC."""
    rtc: IssuedToken
    """The RTC token."""
    rtm: IssuedToken | None = None
    """The RTM token; None if none was requested."""
    rtm_user_id: str | None = None
    """The user who logs in to RTM."""
    chat: IssuedToken | None = None
    """The Chat token; None if none was requested."""
    chat_user_id: str | None = None
    """The user who logs in to Chat."""
    whiteboard: IssuedToken | None = None
    """The whiteboard room's token; None if none was requested."""
    whiteboard_room: str | None = None
    """The whiteboard room's UUID."""

    @property
    def token_id(self) -> str:
        """The RTC token's fingerprint, safe to log."""
        return self.rtc.token_id

    def to_dict(self) -> dict[str, str | int]:
        """Returns what a front end needs, the tokens included: send it only to this user.

        Keys: `app_id`, `channel`, `uid`, `role`, `issue_time`, `expire_time`, `renew_time` (RFC
        3339, UTC), `rtc_token`, and for each other product that was requested `rtm_user_id` and
        `rtm_token`, `chat_user_id` and `chat_token`, `whiteboard_room` and `whiteboard_token`.
        """
        found: dict[str, str | int] = {
            "app_id": self.app_id,
            "channel": self.channel,
            "uid": self.uid,
            "role": self.role,
            "issue_time": _rfc3339(self.issue_time),
            "expire_time": _rfc3339(self.expire_time),
            "renew_time": _rfc3339(self.renew_time),
            "rtc_token": self.rtc.token,
        }
        for product, name, value, issued in (
            ("rtm", "rtm_user_id", self.rtm_user_id, self.rtm),
            ("chat", "chat_user_id", self.chat_user_id, self.chat),
            ("whiteboard", "whiteboard_room", self.whiteboard_room, self.whiteboard),
        ):
            if value is not None and issued is not None:
                found |= {name: value, f"{product}_token": issued.token}
        return found

    def to_json(self) -> str:
        """Returns `to_dict` as a JSON object."""
        return json.dumps(self.to_dict())


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """The arguments of a session, which can be sent any number of times."""

    channel: str
    uid: int
    role: Role
    rtm: str | None
    chat: str | None
    whiteboard_room: str | None
    ttl: timedelta | None
    project: str

    @property
    def products(self) -> list[str]:
        """The products in the order of their tokens."""
        wanted = {
            "rtc": True,
            "rtm": self.rtm is not None,
            "chat": self.chat is not None,
            "whiteboard": self.whiteboard_room is not None,
        }
        return [product for product, is_wanted in wanted.items() if is_wanted]

    def session(self, tokens: Sequence[IssuedToken]) -> Session:
        """Returns the session of tokens in the order of `products`.

        Raises:
            ValueError: A token never expires.
        """
        issued = dict(zip(self.products, tokens, strict=True))
        return Session(
            app_id=issued["rtc"].app_id,
            channel=self.channel,
            uid=self.uid,
            role=self.role,
            issue_time=min(token.issue_time for token in tokens),
            expire_time=min(_set(token.expire_time) for token in tokens),
            renew_time=min(_set(token.renew_time) for token in tokens),
            rtc=issued["rtc"],
            rtm=issued.get("rtm"),
            rtm_user_id=self.rtm,
            chat=issued.get("chat"),
            chat_user_id=self.chat,
            whiteboard=issued.get("whiteboard"),
            whiteboard_room=self.whiteboard_room,
        )


_TOGETHER: Final = timedelta(seconds=2)


def shorter_ttl(tokens: Sequence[IssuedToken]) -> timedelta | None:
    """Returns the lifetime that all tokens can have; None if they expire together already.

    The server reads its clock for each token, and lifetimes differ only where grants differ.

    Raises:
        ValueError: A token never expires.
    """
    ends = [_set(token.expire_time) for token in tokens]
    if max(ends) - min(ends) <= _TOGETHER:
        return None
    shortest = min(_set(token.expire_time) - token.issue_time for token in tokens)
    return timedelta(seconds=int(shortest.total_seconds()))


def _set(value: datetime | None) -> datetime:
    if value is None:
        raise ValueError("a token without an end")
    return value


def _rfc3339(value: datetime) -> str:
    text = value.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
