"""The composition root: the only reader of clock, entropy and signals."""

import asyncio
import gc
import io
import os
import signal
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import uvloop
from structlog.typing import FilteringBoundLogger

from token_authority_server.authority import Authority
from token_authority_server.config import Settings
from token_authority_server.errors import Refusal
from token_authority_server.formats.netless import nonce_text
from token_authority_server.keyring import Keyring
from token_authority_server.kinds.base import Moment
from token_authority_server.log import BackgroundStream, make_logger
from token_authority_server.rpc.handlers import Handlers
from token_authority_server.rpc.inspection import inspect_token
from token_authority_server.rpc.observe import CallLog
from token_authority_server.rpc.server import Server
from token_authority_server.rpc.service import handlers
from token_authority_server.rpc.unix_socket import ListenError
from token_authority_server.rpc.validation import RequestParser

__all__ = ["ListenError", "Refusal", "inspect_without_keys", "serve"]


def serve(settings: Settings, on_ready: Callable[[list[str]], None]) -> None:
    """Serves until SIGTERM or SIGINT, then drains; a second signal cuts the draining short.

    Args:
        settings: What to serve.
        on_ready: Called once calls are answered, with the addresses and their real ports.

    Raises:
        ListenError: An address cannot be listened on.
    """
    log = BackgroundStream(io.FileIO(sys.stderr.fileno(), "w", closefd=False))
    try:
        logger = make_logger(settings.log.format, settings.log.level, log)
        for warning in settings.warnings():
            logger.warning(warning)
        authority = Authority(settings.keyring(), _moment)
        service = handlers(authority, RequestParser(), CallLog(logger))
        uvloop.run(_serve(settings, service, logger, on_ready))
    finally:
        log.close()


def inspect_without_keys(request: bytes) -> bytes:
    """Answers InspectToken in this process: what can be said of a token without a key.

    Raises:
        Refusal: As the method.
    """
    method = inspect_token(Authority(Keyring([]), _moment), RequestParser())
    return asyncio.run(method(request)).response


async def _serve(
    settings: Settings,
    service: Handlers,
    logger: FilteringBoundLogger,
    on_ready: Callable[[list[str]], None],
) -> None:
    server = Server(
        service,
        with_reflection=settings.server.reflection,
        max_request_bytes=settings.server.max_request_bytes,
        max_concurrent_rpcs=settings.server.max_concurrent_rpcs,
    )
    stopping, hurrying = asyncio.Event(), asyncio.Event()

    def stop() -> None:
        (hurrying if stopping.is_set() else stopping).set()

    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop)

    # What is here now stays: without this, a full collection goes through all of it and holds up
    # every call for some 20 ms.
    gc.freeze()
    addresses = await server.start(settings.server.listen)
    logger.info(
        "serving",
        listen=addresses,
        projects=sorted(settings.projects),
        version=version("agora-token-authority"),
    )
    try:
        on_ready(addresses)
    except BaseException:
        await server.stop(notice_seconds=0, grace_seconds=0)
        raise
    await stopping.wait()
    logger.info("draining")
    await _drain(server, settings, hurrying)
    logger.info("stopped")


async def _drain(server: Server, settings: Settings, hurrying: asyncio.Event) -> None:
    """Stops the server, in peace unless it has to hurry."""
    draining = asyncio.ensure_future(
        server.stop(
            notice_seconds=settings.server.drain_notice.total_seconds(),
            grace_seconds=settings.server.drain.total_seconds(),
        )
    )
    hurry = asyncio.ensure_future(hurrying.wait())
    await asyncio.wait({draining, hurry}, return_when=asyncio.FIRST_COMPLETED)
    if hurry.done():
        draining.cancel()
        await server.stop(notice_seconds=0, grace_seconds=0)
    hurry.cancel()


def _moment() -> Moment:
    chance = os.urandom(20)
    return Moment(
        now_ms=time.time_ns() // 1_000_000,
        salt=int.from_bytes(chance[:4], "little"),
        nonce=nonce_text(chance[4:]),
    )
