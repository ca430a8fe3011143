"""Projects, their signing keys and encryption secrets, and the type for secret strings."""

from token_authority_server.keyring.channel_keys import (
    ChannelKey,
    EncryptionSecret,
    current_secret,
    derive_channel_key,
)
from token_authority_server.keyring.keyring import Keyring, Project
from token_authority_server.keyring.keys import (
    AccessKey,
    AppCertificate,
    KeyState,
    KeyT,
    SigningKey,
)
from token_authority_server.keyring.secret import Secret

__all__ = [
    "AccessKey",
    "AppCertificate",
    "ChannelKey",
    "EncryptionSecret",
    "KeyState",
    "KeyT",
    "Keyring",
    "Project",
    "Secret",
    "SigningKey",
    "current_secret",
    "derive_channel_key",
]
