"""Configuration: one TOML file and environment overrides, read into frozen models.

Secrets stand in neither: the file says where they are (`{ file = … }`, `{ env = … }`). Every
mistake is reported with the file, the key and what to do, and never with the value.
"""

from token_authority_server.config.dev import dev_settings
from token_authority_server.config.load import ConfigError, ConfigFile, load
from token_authority_server.config.settings import Settings

__all__ = ["ConfigError", "ConfigFile", "Settings", "dev_settings", "load"]
