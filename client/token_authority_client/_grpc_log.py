"""Imports gRPC so that it logs errors only, which it documents as its default.

Without GRPC_VERBOSITY, grpcio prints an INFO line for each failed TLS handshake: a dozen for one
call to a server without TLS. It reads the variable when it is imported; a program that imports grpc
before this package decides by itself.
"""

import importlib
import os
import sys
from typing import Final

_VARIABLE: Final = "GRPC_VERBOSITY"

if "grpc" not in sys.modules and _VARIABLE not in os.environ:
    os.environ[_VARIABLE] = "ERROR"
    try:
        importlib.import_module("grpc")
    finally:
        # Child processes decide by themselves, too.
        del os.environ[_VARIABLE]
