"""A proxy that is unavailable at first, like a restarting server, to test retries."""

import threading
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc


class _Stumbling(grpc.GenericRpcHandler):
    """Answers the first call of each method with UNAVAILABLE and forwards the others."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.calls: Counter[str] = Counter()
        self._channel = channel
        self._lock = threading.Lock()

    def service(self, handler_call_details: Any) -> Any:
        """Returns a handler for a method of the contract, without serializers."""
        path = handler_call_details.method
        if not path.startswith("/token_authority."):
            # Health checks are UNIMPLEMENTED: clients ignore that.
            return None

        def call(data: bytes, context: grpc.ServicerContext) -> bytes:
            with self._lock:
                self.calls[path] += 1
                is_first = self.calls[path] == 1
            if is_first:
                context.abort(grpc.StatusCode.UNAVAILABLE, "not just now")
            key = [pair for pair in context.invocation_metadata() if pair[0] == "authorization"]
            method: Any = self._channel.unary_unary(path)
            try:
                answer: bytes = method(data, metadata=key, timeout=10)
            except grpc.RpcError as failure:
                error: Any = failure
                context.set_trailing_metadata(error.trailing_metadata())
                context.abort(error.code(), error.details())
            return answer

        return grpc.unary_unary_rpc_method_handler(call)


@contextmanager
def stumbling(target: str, folder: Path) -> Generator[tuple[str, "Counter[str]"]]:
    """Runs the proxy; yields its address and the number of calls by method.

    Args:
        target: The server's address.
        folder: The folder with its certificate, key and CA.
    """
    trusted = grpc.ssl_channel_credentials((folder / "ca.pem").read_bytes())
    shown = grpc.ssl_server_credentials(
        [((folder / "server.key").read_bytes(), (folder / "server.pem").read_bytes())]
    )
    with (
        grpc.secure_channel(target, trusted) as channel,
        ThreadPoolExecutor(4) as pool,
    ):
        handler = _Stumbling(channel)
        server = grpc.server(pool, handlers=[handler])
        port = server.add_secure_port("127.0.0.1:0", shown)
        server.start()
        try:
            yield f"localhost:{port}", handler.calls
        finally:
            server.stop(None).wait()
