"""Sends one batch after the other to a server until it is killed: for batches.py.

python tests/bench/flood.py ADDRESS FILE
"""

import sys
from pathlib import Path
from typing import Any

import grpc

method: Any = grpc.insecure_channel(sys.argv[1]).unary_unary(
    "/token_authority.v1.TokenService/BatchIssueTokens"
)
data = Path(sys.argv[2]).read_bytes()
while True:
    method(data)
    print("answered", flush=True)
