"""The command line: runs a token authority, and asks one for tokens."""

import os

# Read when grpc is first imported. Its own messages repeat ours, with source lines.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
