"""The settings of a development server: no file, keys made up on the spot."""

import secrets
from collections.abc import Sequence

from pydantic import ValidationError

from token_authority_server.config.load import ConfigError, explain
from token_authority_server.config.models import (
    AccessKeySettings,
    AgoraSettings,
    CertificateSettings,
    ProjectSettings,
    ServerSettings,
    Settings,
    WhiteboardSettings,
)
from token_authority_server.keyring import KeyState, Secret


def dev_settings(listen: Sequence[str]) -> Settings:
    """Returns the settings of `serve --dev`: one project, "dev", whose keys live in memory only.

    Raises:
        ConfigError: An address is not one, or not of the loopback.
    """
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
    project = ProjectSettings(
        agora=AgoraSettings.model_construct(
            app_id=secrets.token_hex(16), certificates=(certificate,)
        ),
        whiteboard=WhiteboardSettings.model_construct(access_keys=(access_key,)),
    )
    options = {"listen": listen, "reflection": True, "drain_notice": "200ms", "drain": "5s"}
    try:
        server = ServerSettings.model_validate(options)
    except ValidationError as error:
        raise ConfigError("\n".join(explain(error, "serve --dev", {}))) from None
    return Settings(server=server, projects={"dev": project})
