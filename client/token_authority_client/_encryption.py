"""EncryptionService: keys with which the members of a meeting encrypt its media."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from token_authority.v1 import encryption_pb2
from token_authority_client._concrete_methods import ConcreteMethods
from token_authority_client._message_builder import build
from token_authority_client._responses import READING

KeyT_co = TypeVar("KeyT_co", covariant=True)


@dataclass(frozen=True, slots=True)
class ChannelKey:
    """A key and a salt for Agora's media encryption. Its repr contains neither.

    For the modes AES_128_GCM2 and AES_256_GCM2; all members of a meeting use the same mode.
    """

    encryption_key: str = field(repr=False)
    """The text for `encryptionKey`, unchanged: 43 characters. A credential: send it only to members
    of the meeting, and never log it."""
    salt: bytes = field(repr=False)
    """The 32 bytes for `encryptionKdfSalt`."""
    salt_base64: str = field(repr=False)
    """The salt as base64."""
    key_id: str
    """The name of the server's secret. Store it with the meeting, and pass it for members who join
    later: they get the same key after the secret was rotated."""
    fingerprint: str
    """The key's fingerprint, safe to log; the server's log and audit trail contain it too."""


class EncryptionMethods(ConcreteMethods, ABC, Generic[KeyT_co]):
    """The methods of EncryptionService."""

    @abstractmethod
    def _channel_key(self, message: encryption_pb2.IssueChannelKeyRequest) -> KeyT_co:
        """Sends the request."""

    def issue_channel_key(
        self, *, channel: str, key_context: str, key_id: str = "", project: str = ""
    ) -> KeyT_co:
        """Returns the key and salt with which the members of a meeting encrypt its media.

        Equal arguments give equal keys, on every instance of the server; nothing is stored.

        Args:
            channel: The channel, exactly as clients join it.
            key_context: Your id of the meeting: 1 to 64 printable ASCII characters. A new meeting
                in the same channel needs a new one.
            key_id: The `key_id` of the meeting's first key; "": the server's current secret.
            project: The project's name on the server; "": the client's `project`.

        Raises:
            PermissionDenied: No grant allows `channel_key` for the channel.
            FailedPrecondition: The project has no encryption secret, or not that one.
            TokenAuthorityError: The call failed for another reason; see its subclasses.
        """
        return self._channel_key(
            build(
                encryption_pb2.IssueChannelKeyRequest,
                "",
                project=project,
                channel_name=channel,
                key_context=key_context,
                key_id=key_id,
            )
        )


def channel_key(response: Any) -> ChannelKey:
    """Converts the response."""
    with READING:
        key = response.channel_key
        return ChannelKey(
            key.encryption_key, bytes(key.salt), key.salt_base64, key.key_id, key.fingerprint
        )
