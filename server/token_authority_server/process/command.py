"""Runs a server for `token-authority serve` and `python -m token_authority_server`."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from token_authority_server import config
from token_authority_server.audit import AuditError
from token_authority_server.process.serve import serve
from token_authority_server.rpc.unix_socket import ListenError

REUSE_PORT: Final = {f"{config.ENVIRONMENT_PREFIX}SERVER__REUSE_PORT": "true"}
"""The override that `serve --reuse-port` sets."""


def run(
    file: Path | None,
    listen: Sequence[str],
    on_ready: Callable[[list[str]], None],
    complain: Callable[[str], None],
    *,
    overrides: Mapping[str, str] | None = None,
) -> int:
    """Serves until a signal arrives; returns the exit code.

    Args:
        file: The configuration; None: the development server.
        listen: Addresses of the development server.
        on_ready: As for `serve`.
        complain: Prints one line of an error that prevents the start.
        overrides: Environment variables that override those of the process, also at reloads.
    """
    try:
        if file is None:
            serve(config.dev_settings(listen, os.environ), None, on_ready)
        else:
            source = config.ConfigFile(file, {**os.environ, **(overrides or {})})
            serve(source.load(), source, on_ready)
    except (config.ConfigError, ListenError, AuditError) as error:
        # As check-config, which finds the same mistakes.
        for line in str(error).splitlines():
            complain(line)
        return 2
    return 0
