"""A denied user, seen from the client: the exception, and token sources."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from client.test_renewal import token
from support.clients import Either
from support.granting import all_powerful
from support.keys import NOW_MS, keyring
from support.serving import Running
from support.waiting import until
from token_authority_client import Denied, IssuedToken, PermissionDenied
from token_authority_client._renewal import Renewal
from token_authority_server.access.denial import Denial
from token_authority_server.access.denials import Denials
from token_authority_server.authorization import PolicySnapshot

RTC: dict[str, Any] = {"channel": "lesson-1", "uid": 7, "role": "publisher"}
SHORT = {**RTC, "ttl": timedelta(seconds=4)}
UNTIL = datetime.fromtimestamp(NOW_MS / 1000, UTC) + timedelta(hours=1)


@pytest.fixture
async def either(client_type: Any, server: Running) -> AsyncGenerator[Either]:
    client = Either(client_type(server.address, project="classroom"))
    yield client
    await client.close()


def deny(server: Running, *rows: Denial) -> None:
    """Replaces the denials, as a reload does."""
    keys = keyring()
    policy = PolicySnapshot(keys, all_powerful(keys.project_names), Denials(rows))
    server.authority.apply(policy)


SEVEN = Denial("classroom", NOW_MS + 3_600_000, "uid:7")


async def test_a_denial_is_an_exception_with_its_end(either: Either, server: Running) -> None:
    deny(server, SEVEN)
    with pytest.raises(PermissionDenied) as caught:
        await either.issue_rtc_token(**RTC)
    error = caught.value
    assert isinstance(error, Denied)
    assert (error.reason, error.code) == ("DENIED", "PERMISSION_DENIED")
    assert error.denied_until == UNTIL
    assert error.retry_after is None


def test_an_end_that_is_no_time_is_none() -> None:
    assert Denied("x", metadata={"denied_until": "soon"}).denied_until is None
    assert Denied("x").denied_until is None


async def test_a_source_learns_it_at_its_renewal_and_returns_nothing_old(
    either: Either, server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    source = Either(either.client.rtc_token_source(**SHORT))
    source.is_async = either.is_async
    renewed: list[Any] = []
    source.client.on_renewal(renewed.append)
    first = await source.get()
    deny(server, SEVEN)
    # Not yet: a denial does not end tokens.
    assert (await source.get()).token == first.token
    await until(lambda: any(line.get("reason") == "DENIED" for line in server.log))
    for _ in range(100):
        try:
            await source.get()
        except Denied:
            break
        # The answer is under way.
        await asyncio.sleep(0.02)
    with pytest.raises(Denied):
        await source.get()
    # asyncio may log what another test left behind.
    (message,) = [one.getMessage() for one in caplog.records if one.name != "asyncio"]
    cause = "permission denied: this user, channel or room"
    assert message.startswith(f"the token is dropped and not renewed. Cause: {cause}")
    # Once the denial is gone, the source works and renews as before.
    deny(server)
    second = await source.get()
    assert second.token != first.token
    await until(lambda: len(renewed) == 2)
    assert renewed[0].token == second.token
    await source.close()


def test_a_denial_drops_the_token_and_another_refusal_does_not() -> None:
    renewal = Renewal[IssuedToken]()
    renewal.succeeded(token(), 100.0)
    renewal.failed(PermissionDenied("no"), 3300.0)
    assert renewal.usable(3300.0, 0)
    assert renewal.due_at
    renewal.failed(Denied("no"), 3302.0)
    assert renewal.usable(3302.0, 0) is None
    assert not renewal.due_at
    assert renewal.succeeded(token(), 3400.0) is True
    assert renewal.usable(3400.0, 0)
