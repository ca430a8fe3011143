"""The settings of a development server: no file, generated keys."""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args

from token_authority_server.access.grants import Allowance
from token_authority_server.config.callers import TOKEN_TYPES
from token_authority_server.config.encryption import EncryptionSecretSettings, EncryptionSettings
from token_authority_server.config.load import settings_of
from token_authority_server.config.projects import (
    AccessKeySettings,
    AgoraSettings,
    CertificateSettings,
    ProjectSettings,
    WhiteboardSettings,
)
from token_authority_server.config.settings import Settings
from token_authority_server.families import Dimension
from token_authority_server.keyring import KeyState, Secret

_EVERYTHING: Final[Mapping[str, Any]] = {
    "name": "everything",
    "project": "dev",
    "tokens": list(TOKEN_TYPES),
    **{dimension: ["*"] for dimension in get_args(Dimension)},
    "max_ttl": "3650d",
    "allow": list(get_args(Allowance)),
}

_CHANNEL_KEYS: Final[Mapping[str, Any]] = {
    "name": "channel-keys",
    "project": "dev",
    "tokens": ["channel_key"],
    # No grant covers the keys of all channels.
    "channels": ["lesson-*", "test-*"],
}


def dev_settings(listen: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Returns the settings of `serve --dev`: one project, "dev", whose keys live in memory only.

    Every client on this machine is the one caller, "developer", which is granted every token, and
    channel keys of channels whose names begin with "lesson-" or "test-".

    Raises:
        ConfigError: An address is invalid or not local, or an override of the environment is
            invalid.
    """
    document: dict[str, Any] = {
        "server": {
            "listen": list(listen),
            "reflection": True,
            "drain_notice": "200ms",
            "drain": "5s",
        },
        "projects": {"dev": _project()},
        "callers": [
            {
                "name": "developer",
                "identities": ["local"],
                "grants": [_EVERYTHING, _CHANNEL_KEYS],
            }
        ],
    }
    return settings_of(document, "serve --dev", Path(), environment)


def _project() -> ProjectSettings:
    """Generates a project. Its secrets are values, not references: they are stored nowhere."""
    state = KeyState.ACTIVE
    certificate = CertificateSettings.model_construct(
        id="dev-certificate", secret=Secret(secrets.token_hex(16)), state=state
    )
    access_key = AccessKeySettings.model_construct(
        id="dev-access-key",
        access_key=secrets.token_urlsafe(12),
        secret=Secret(secrets.token_urlsafe(24)),
        state=state,
    )
    encryption_secret = EncryptionSecretSettings.model_construct(
        id="dev-encryption-secret", secret=Secret(secrets.token_hex(32)), state=state
    )
    return ProjectSettings(
        agora=AgoraSettings.model_construct(
            app_id=secrets.token_hex(16), certificates=(certificate,)
        ),
        whiteboard=WhiteboardSettings.model_construct(access_keys=(access_key,)),
        encryption=EncryptionSettings.model_construct(secrets=(encryption_secret,)),
    )
