"""A bare grpc.aio server that answers IssueRtcToken with fixed bytes: the floor of this runtime."""

import os
from typing import Any

import grpc
import uvloop
from grpc import aio

# As long as an answer with a token.
_ANSWER = bytes(430)


async def _serve() -> None:
    async def call(_: bytes, __: object) -> bytes:
        return _ANSWER

    server = aio.server()
    methods: Any = {"IssueRtcToken": grpc.unary_unary_rpc_method_handler(call)}
    name = "token_authority.v1.TokenService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, methods),))
    server.add_insecure_port(os.environ["LISTEN"])
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(_serve())
