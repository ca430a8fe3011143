"""Access to the encryption keys of channels. Pure."""

from typing import Final

from token_authority.v1.issued_token_pb2 import TOKEN_FORMAT_UNSPECIFIED
from token_authority_server.families import AccessRequest, ServiceAccess, Terms, TokenType

CHANNEL_KEY: Final = TokenType("channel_key", ("channels",), explicit=True)
"""The name with which grants allow keys, of the channels that their patterns match."""


def channel_key_access(channel: str) -> AccessRequest:
    """Returns what the request for the key of a channel asks for. A key has no lifetime."""
    terms = Terms(TOKEN_FORMAT_UNSPECIFIED, 0, ttl_ms=1, advisories=(), ttl_is_default=True)
    return AccessRequest([ServiceAccess(CHANNEL_KEY.name, channel=channel)], terms)
