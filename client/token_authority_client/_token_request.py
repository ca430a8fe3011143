"""A request for one token as a value: kept, collected, and sent by any client."""

from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request for one token that is not sent yet; `prepare` makes them.

    It may be sent any number of times, by any client: each time brings a fresh token.
    """

    method: str
    """The RPC that answers it, e.g. "IssueRtcToken"."""
    message: Message = field(repr=False)
    """The RPC's request message. Not to be changed."""

    def to_send(self, project: str, *, validate_only: bool) -> Message:
        """Returns a copy of the message; `project` is the default for one that names none."""
        message: Any = type(self.message)()
        message.CopyFrom(self.message)
        message.project = message.project or project
        message.validate_only = validate_only
        copy: Message = message
        return copy
