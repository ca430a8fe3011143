from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from examples.fastapi_endpoint import app, signed_in_uid, token_authority
from support.decoding import decode
from token_authority_client import (
    ConfigurationError,
    PermissionDenied,
    RateLimited,
    TokenAuthorityError,
    Unavailable,
)
from token_authority_testing.fake import FakeTokenAuthority


@pytest.fixture
async def browser(
    token_authority: FakeTokenAuthority, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[httpx.AsyncClient]:
    """Talks to the program, which has started."""
    monkeypatch.setenv("TOKEN_AUTHORITY_TARGET", token_authority.target)
    app.dependency_overrides[signed_in_uid] = lambda: 7
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        yield client
    app.dependency_overrides.clear()


async def test_a_signed_in_user_gets_a_token(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/channels/lesson-1/token")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    service = decode(answer.json()["token"]).fields["services"][0]
    assert (service["channel_name"], service["uid"]) == ("lesson-1", "7")
    assert answer.json()["renew_time"].endswith("Z")


async def test_who_has_not_signed_in_gets_none(browser: httpx.AsyncClient) -> None:
    app.dependency_overrides.clear()
    assert (await browser.get("/channels/lesson-1/token")).status_code == 401


async def test_a_channel_that_agora_does_not_allow_is_400(browser: httpx.AsyncClient) -> None:
    assert (await browser.get(f"/channels/{'x' * 65}/token")).status_code == 400


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (PermissionDenied("secret"), 403, None),
        (RateLimited("secret", retry_after=timedelta(seconds=3)), 429, "3"),
        (Unavailable("secret"), 503, None),
    ],
)
async def test_a_refusal_is_a_status(
    browser: httpx.AsyncClient,
    caplog: pytest.LogCaptureFixture,
    error: TokenAuthorityError,
    status: int,
    retry_after: str | None,
) -> None:
    class Refusing:
        async def issue_rtc_token(self, **_: Any) -> None:
            raise error

    app.dependency_overrides[token_authority] = Refusing
    answer = await browser.get("/channels/lesson-1/token")
    assert answer.status_code == status
    assert answer.headers.get("Retry-After") == retry_after
    assert answer.text == ""
    (line,) = [record for record in caplog.records if "no RTC token" in record.getMessage()]
    assert line.levelname == ("WARNING" if status < 500 else "ERROR")
    assert f"secret [{error.code} " in line.getMessage()


async def test_the_credential_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_AUTHORITY_TARGET", "ta.example.com:50051")
    monkeypatch.setenv("TOKEN_AUTHORITY_TOKEN_FILE", "key.txt")
    with pytest.raises(ConfigurationError, match="in plaintext"):
        async with app.router.lifespan_context(app):
            pass
    monkeypatch.setenv("TOKEN_AUTHORITY_TLS", "1")
    async with app.router.lifespan_context(app):
        pass
