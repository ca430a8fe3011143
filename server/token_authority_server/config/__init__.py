"""Configuration: one TOML file and environment overrides, read into frozen models.

Neither contains secrets: the file refers to them (`{ file = … }`, `{ env = … }`). Every error
message contains the file, the key and what to do, and never the value.
"""

from token_authority_server.config.dev import dev_settings
from token_authority_server.config.load import (
    ENVIRONMENT_PREFIX,
    ConfigError,
    ConfigFile,
    app_ids,
    load,
)
from token_authority_server.config.settings import Settings

__all__ = [
    "ENVIRONMENT_PREFIX",
    "ConfigError",
    "ConfigFile",
    "Settings",
    "app_ids",
    "dev_settings",
    "load",
]
