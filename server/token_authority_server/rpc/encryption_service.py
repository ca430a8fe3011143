"""IssueChannelKey: converts requests and keys from and to messages of the contract."""

import base64
from collections.abc import Callable
from typing import Any, Final

from token_authority.v1 import encryption_pb2
from token_authority_server.authority import Authority
from token_authority_server.channel_keys import ChannelKeyRequest, issue_channel_key
from token_authority_server.identity.call_context import CallContext
from token_authority_server.rpc.handlers import Answer, Method
from token_authority_server.rpc.validation import RequestParser

_NAME: Final = encryption_pb2.IssueChannelKeyRequest.DESCRIPTOR.full_name


def channel_key_parser(parser: RequestParser) -> Callable[[bytes], ChannelKeyRequest]:
    """Returns a function that decodes and validates a request; it raises Refusal."""
    parse = parser.parser(_NAME)

    def read(data: bytes) -> ChannelKeyRequest:
        message: Any = parse(data)
        return ChannelKeyRequest(
            message.project, message.channel_name, message.key_context, message.key_id
        )

    return read


def channel_key_method(authority: Authority, parser: RequestParser) -> Method:
    """Returns the method IssueChannelKey."""
    parse = channel_key_parser(parser)

    async def issue(data: bytes, context: CallContext) -> Answer:
        issued = await issue_channel_key(authority, context, parse(data))
        key = issued.key
        message = encryption_pb2.IssueChannelKeyResponse(
            channel_key=encryption_pb2.ChannelKey(
                encryption_key=key.encryption_key,
                salt=key.salt,
                salt_base64=base64.b64encode(key.salt).decode(),
                key_id=key.key_id,
                fingerprint=issued.fingerprint,
            )
        )
        about = {
            "project": issued.allowed.project,
            "grant": issued.allowed.grant.name,
            "key_id": key.key_id,
            "fingerprint": issued.fingerprint,
        }
        return Answer(message.SerializeToString(), "channel_key_issued", about)

    return issue
