"""Fixtures for the tests of the clients."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from support.clients import CLIENTS, Either
from support.ports import free_port
from support.serving import Running


@pytest.fixture(params=CLIENTS, ids=["async", "sync"])
def client_type(request: pytest.FixtureRequest) -> Any:
    """The class of a client: a test that takes it runs with both."""
    return request.param


@pytest.fixture
async def either(client_type: Any, server: Running) -> AsyncGenerator[Either]:
    """A client of a real server."""
    client = Either(client_type(server.address))
    yield client
    await client.close()


@pytest.fixture(name="free_port")
def any_free_port() -> int:
    """A port that was free a moment ago."""
    return free_port()
