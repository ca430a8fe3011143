"""`python -m token_authority_server`: serves, without the command line's package."""

import os
import sys

from token_authority_server.process.signals import end_while_starting
from token_authority_server.process.standard_streams import open_standard_streams


def main() -> None:
    """Serves a configuration file (`--config FILE`) or the development server (`--dev`)."""
    end_while_starting()
    open_standard_streams()
    # Silences an ERROR line for each call that fails in grpc's core. Read when grpc is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    import argparse  # noqa: PLC0415  # imports take time: first the signal handlers
    from pathlib import Path  # noqa: PLC0415

    from token_authority_server.process.command import run  # noqa: PLC0415

    parser = argparse.ArgumentParser(prog="token_authority_server", allow_abbrev=False)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--dev", action="store_true", help="the development server")
    source.add_argument("--config", type=Path, metavar="FILE", help="a TOML file")
    arguments = parser.parse_args()

    def complain(line: str) -> None:
        sys.stderr.write(f"token_authority_server: {line}\n")

    sys.exit(run(arguments.config, ["127.0.0.1:50051"], lambda _: None, complain))


if __name__ == "__main__":
    main()
