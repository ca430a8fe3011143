import asyncio
import gc
import inspect
import logging
import socket
import threading
import time
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import token_authority_client
from support.clients import CLIENTS, Either
from support.ports import free_port
from support.serving import Running, running, serving
from token_authority_client import (
    AsyncTokenAuthorityClient,
    ClientClosed,
    InvalidRequest,
    IssuedToken,
    PermissionDenied,
    TokenAuthorityClient,
    TokenAuthorityError,
    Unavailable,
    prepare,
)
from token_authority_client._families import SourceMethods

RTC: dict[str, Any] = {"channel": "lesson-1", "uid": 7, "role": "publisher"}
SHORT = {**RTC, "ttl": timedelta(seconds=4)}


@pytest.fixture
async def either(client_type: Any, server: Running) -> AsyncGenerator[Either]:
    client = Either(client_type(server.address, project="classroom"))
    yield client
    await client.close()


def source_of(either: Either, **request: Any) -> Either:
    source = Either(either.client.rtc_token_source(**(request or RTC)))
    source.is_async = either.is_async
    return source


def issued(server: Running) -> int:
    return sum(line["event"] == "issued" for line in server.log)


async def until(condition: Any, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("client", CLIENTS)
def test_each_method_that_issues_has_one_for_a_source(client: Any) -> None:
    issuing = [name for name in dir(prepare) if name.startswith("issue_")]
    assert len(issuing) == 6
    for name in issuing:
        noun = name.removeprefix("issue_").removesuffix("_token")
        source = getattr(client, f"{noun}_token_source")
        assert source.__name__ == f"{noun}_token_source"
        assert (
            inspect.signature(source).parameters
            == inspect.signature(getattr(client, name)).parameters
        )
        assert name in source.__doc__
    assert issubclass(client, SourceMethods)


async def test_a_thousand_at_once_are_one_call(either: Either, server: Running) -> None:
    source = source_of(either)
    if either.is_async:
        tokens = await asyncio.gather(*[source.get() for _ in range(1000)])
    else:
        tokens = await asyncio.to_thread(in_threads, source.client, 50)
    assert len({token.token for token in tokens}) == 1
    assert issued(server) == 1
    assert (await source.get()).token == tokens[0].token
    assert issued(server) == 1


async def test_a_thread_that_found_no_token_uses_one_that_arrives_before_it_asks(
    server: Running,
) -> None:
    client = TokenAuthorityClient(server.address, project="classroom")
    source: Any = client.rtc_token_source(**RTC)
    fetches = source._fetches
    # The scheduler may stop a thread here, and another thread fetches the token.
    await asyncio.to_thread(source.get)
    await asyncio.to_thread(source._fetched, fetches)
    assert issued(server) == 1
    client.close()


def in_threads(source: Any, count: int) -> list[Any]:
    """Has so many threads ask at the same moment, twenty times each."""
    barrier, tokens = threading.Barrier(count), list[Any]()

    def ask() -> None:
        barrier.wait()
        tokens.extend([source.get() for _ in range(20)])

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) == 20 * count
    return tokens


async def test_a_request_that_was_prepared_is_a_source_too(either: Either) -> None:
    source = Either(either.client.token_source(prepare.issue_chat_token(app=True)))
    source.is_async = either.is_async
    assert (await source.get()).format == "007"


async def test_what_no_message_can_say_is_refused_at_once(either: Either) -> None:
    with pytest.raises(InvalidRequest):
        either.client.rtc_token_source(channel="c", uid="7", role="publisher")


async def test_a_token_with_too_little_left_is_replaced(either: Either, server: Running) -> None:
    source = source_of(either, **RTC, ttl=timedelta(hours=1))
    await source.get(min_remaining=timedelta(minutes=59))
    assert issued(server) == 1
    with pytest.raises(ValueError, match="request a longer ttl"):
        await source.get(min_remaining=timedelta(hours=2))
    assert issued(server) == 2


async def test_a_refusal_reaches_all_who_wait(either: Either, server: Running) -> None:
    source = source_of(either, **RTC, project="gone")
    asked = await asyncio.gather(*[source.get() for _ in range(20)], return_exceptions=True)
    assert {type(error) for error in asked} == {PermissionDenied}
    refused = [line for line in server.log if line.get("reason") == "GRANT_MISSING"]
    assert 1 <= len(refused) < 20
    with pytest.raises(PermissionDenied):
        await source.get()


async def test_tokens_are_renewed_in_the_background_and_callbacks_told(
    either: Either, caplog: pytest.LogCaptureFixture
) -> None:
    source, told = source_of(either, **SHORT), list[Any]()

    def broken(token: Any) -> None:
        raise RuntimeError(token.token)

    source.client.on_renewal(broken)
    source.client.on_renewal(told.append)
    with caplog.at_level(logging.ERROR):
        first = await source.get()
        assert told == []
        await until(lambda: told)
    assert (await source.get()).token == told[-1].token != first.token
    assert "a callback of on_renewal raised RuntimeError" in caplog.text
    assert told[0].token not in caplog.text
    await source.close()


async def first_token_after(source: Either, seconds: float = 20) -> IssuedToken:
    """Returns the first token of a new server.

    A request of the background renewal that began before the server listened fails all `get` calls
    that share it.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            token: IssuedToken = await source.get()
        except Unavailable:
            if time.monotonic() > end:
                raise
        else:
            return token


async def test_a_source_outlives_its_server_until_the_token_ends(
    client_type: Any, free_port: int
) -> None:
    address = f"127.0.0.1:{free_port}"
    either = Either(client_type(address))
    try:
        source = source_of(either, **{**RTC, "ttl": timedelta(seconds=6)})
        async with serving("--dev", "--listen", address) as server:
            first = await source.get()
            asked_at = time.monotonic()
            server.process.kill()
            await server.process.wait()
        # Past the time to renew it, nobody there: the token still lives.
        await asyncio.sleep(asked_at + 4 - time.monotonic())
        assert (await source.get()).token == first.token
        await asyncio.sleep(asked_at + 6 - time.monotonic())
        with pytest.raises(Unavailable, match="nothing listens"):
            await source.get()
        async with serving("--dev", "--listen", address):
            second = await first_token_after(source)
            assert second.token != first.token
            assert second.app_id != first.app_id, "another server, with keys of its own"
    finally:
        await either.close()


def renewal_threads() -> list[str]:
    """The threads of token sources; a probe or a fake server may have others."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("token-authority-renewal")]


def client_tasks() -> set[asyncio.Task[Any]]:
    """The client's tasks; the server under test has tasks on the same event loop."""
    package = str(Path(token_authority_client.__file__).parent)
    tasks = asyncio.all_tasks()
    return {task for task in tasks if task_source(task).startswith(package)}


def task_source(task: asyncio.Task[Any]) -> str:
    coroutine: Any = task.get_coro()
    # grpc's own are made by Cython, without a file.
    return coroutine.cr_code.co_filename if inspect.iscoroutine(coroutine) else ""


async def test_nothing_is_left_of_a_closed_source(either: Either) -> None:
    source = source_of(either)
    await source.get()
    assert len(client_tasks()) == (1 if either.is_async else 0)
    assert len(renewal_threads()) == (0 if either.is_async else 1)
    await source.close()
    await source.close()
    assert client_tasks() == set()
    assert renewal_threads() == []
    with pytest.raises(ClientClosed, match="the token source is closed"):
        await source.get()


async def test_a_client_closes_its_sources(client_type: Any, server: Running) -> None:
    either = Either(client_type(server.address, project="classroom"))
    source = source_of(Either(either.client.with_options(request_id="r")))
    source.is_async = either.is_async
    await source.get()
    assert (len(client_tasks()), len(renewal_threads())) == ((1, 0) if either.is_async else (0, 1))
    await either.close()
    assert client_tasks() == set()
    assert renewal_threads() == []
    with pytest.raises(ClientClosed):
        await source.get()


async def test_closing_ends_the_waiting(client_type: Any) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    target = f"127.0.0.1:{listening.getsockname()[1]}"
    either = Either(client_type(target))
    source = source_of(either)
    waiting = [asyncio.ensure_future(source.get()) for _ in range(3)]
    await asyncio.sleep(0.2)
    started = time.monotonic()
    await either.close()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(answer) for answer in answers} == {ClientClosed}
    assert time.monotonic() - started < 2
    listening.close()


async def test_who_stops_waiting_stops_nobody_else() -> None:
    async with (
        running() as server,
        AsyncTokenAuthorityClient(server.address, project="classroom") as client,
        client.rtc_token_source(**RTC) as source,
    ):
        first, second = asyncio.create_task(source.get()), asyncio.create_task(source.get())
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).token
        with pytest.raises(asyncio.CancelledError):
            await first
        assert issued(server) == 1


def test_a_source_that_is_forgotten_before_it_was_used_is_gone() -> None:
    with TokenAuthorityClient("127.0.0.1:1") as client:
        client.rtc_token_source(**RTC)
        gc.collect()
        with pytest.raises(TokenAuthorityError), client.rtc_token_source(**RTC) as source:
            source.get()


def logged_by_client(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """The client's own records; grpc.aio may log a busy poller through asyncio."""
    return [record for record in caplog.records if record.name == "token_authority_client"]


async def test_an_outage_of_the_renewal_is_logged_once_and_so_is_its_end(
    client_type: Any, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"127.0.0.1:{free_port()}"
    either = Either(client_type(address, project="classroom", timeout=0.2))
    source = source_of(either, **SHORT)
    async with running(listen=address):
        token = await source.get()
    # Renewal is due after two seconds, and is then tried every second or so.
    await until(lambda: source.client._renewal._failures >= 2)
    (failed,) = logged_by_client(caplog)
    assert failed.levelname == "WARNING"
    assert failed.getMessage() == (
        f"cannot renew token {token.token_id}, which expires at "
        f"{token.expire_time:%Y-%m-%d %H:%M:%S} UTC; retrying. "
        f"Cause: {source.client._renewal.error}"
    )
    async with running(listen=address):
        await until(lambda: len(logged_by_client(caplog)) == 2)
    renewed = (await source.get()).token_id
    _, replaced = logged_by_client(caplog)
    assert replaced.getMessage() == f"token {renewed} replaces the one that could not be renewed"
    assert token.token not in caplog.text
    await either.close()
    assert len(logged_by_client(caplog)) == 2


async def test_a_first_token_that_is_refused_is_raised_and_not_logged(
    client_type: Any, caplog: pytest.LogCaptureFixture
) -> None:
    either = Either(client_type(f"127.0.0.1:{free_port()}", timeout=0.2))
    with pytest.raises(TokenAuthorityError):
        await source_of(either).get()
    await either.close()
    assert logged_by_client(caplog) == []
