"""Requests for tokens, made now and sent later, once or often."""

from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.message import Message

from token_authority.v1.batch_pb2 import IssueTokenRequest

_BATCH_MEMBERS: Final = {
    member.message_type.full_name: member.name
    for member in IssueTokenRequest.DESCRIPTOR.oneofs_by_name["request"].fields
    if member.message_type
}


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request for one token, made by `prepare`, that any client can send any number of times.

    Each time issues a new token.
    """

    method: str
    """The RPC that answers it, e.g. "IssueRtcToken"."""
    message: Message = field(repr=False)
    """The request message; do not change it."""

    def to_batch_entry(self, project: str = "") -> IssueTokenRequest:
        """Returns the request as an entry of BatchIssueTokens.

        Args:
            project: The project of a request that names none.
        """
        member = _BATCH_MEMBERS[self.message.DESCRIPTOR.full_name]
        fields: Any = {member: self.message}
        entry = IssueTokenRequest(**fields)
        message = getattr(entry, member)
        message.project = message.project or project
        return entry
