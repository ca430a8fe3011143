"""A request for one token as a value: kept, collected, and sent by any client."""

from dataclasses import dataclass, field
from typing import Any

from token_authority.v1 import (
    access_token_pb2,
    chat_pb2,
    education_pb2,
    rtc_pb2,
    rtm_pb2,
    whiteboard_pb2,
)

IssueMessage = (
    whiteboard_pb2.IssueWhiteboardTokenRequest
    | rtc_pb2.IssueRtcTokenRequest
    | rtm_pb2.IssueRtmTokenRequest
    | chat_pb2.IssueChatTokenRequest
    | education_pb2.IssueEducationTokenRequest
    | access_token_pb2.IssueAccessTokenRequest
)


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request for one token that is not sent yet; `prepare` makes them.

    It may be sent any number of times, by any client: each time brings a fresh token.
    """

    method: str
    """The RPC that answers it, e.g. "IssueRtcToken"."""
    message: IssueMessage = field(repr=False)
    """What to ask for. Not to be changed."""

    def to_send(self, project: str, *, validate_only: bool) -> IssueMessage:
        """Returns a copy of the message; `project` is the default for one that names none."""
        message: Any = type(self.message)()
        message.CopyFrom(self.message)
        message.project = message.project or project
        message.validate_only = validate_only
        copy: IssueMessage = message
        return copy
