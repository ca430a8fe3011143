"""Runs a server for `token-authority serve` and `python -m token_authority_server`."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from token_authority_server import config
from token_authority_server.audit import AuditError
from token_authority_server.process.serve import serve
from token_authority_server.rpc.unix_socket import ListenError


def run(
    file: Path | None,
    listen: Sequence[str],
    on_ready: Callable[[list[str]], None],
    complain: Callable[[str], None],
) -> int:
    """Serves until a signal arrives; returns the exit code.

    Args:
        file: The configuration; None: the development server.
        listen: Addresses of the development server.
        on_ready: As for `serve`.
        complain: Prints one line of an error that prevents the start.
    """
    try:
        if file is None:
            serve(config.dev_settings(listen, os.environ), None, on_ready)
        else:
            source = config.ConfigFile(file, os.environ)
            serve(source.load(), source, on_ready)
    except (config.ConfigError, ListenError, AuditError) as error:
        # As check-config, which finds the same mistakes.
        for line in str(error).splitlines():
            complain(line)
        return 2
    return 0
