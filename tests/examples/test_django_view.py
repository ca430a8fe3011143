import json
from collections.abc import Generator
from typing import Any

import django
import pytest
from django.conf import settings
from django.http import HttpResponse

from support.decoding import decode
from token_authority_testing.fake import FakeTokenAuthority

settings.configure(
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
)
django.setup()

# Only now: models want settings.
from django.contrib.auth.models import AnonymousUser, User  # noqa: E402
from django.test import RequestFactory  # noqa: E402

from examples import django_view  # noqa: E402


@pytest.fixture(autouse=True)
def one_client(
    token_authority: FakeTokenAuthority, monkeypatch: pytest.MonkeyPatch
) -> Generator[None]:
    monkeypatch.setenv("TOKEN_AUTHORITY_TARGET", token_authority.target)
    yield
    django_view.token_authority().close()
    django_view.token_authority.cache_clear()


def get(channel: str, user: Any) -> HttpResponse:
    request = RequestFactory().get(f"/channels/{channel}/token")
    request.user = user
    return django_view.rtc_token(request, channel)


def test_a_signed_in_user_gets_a_token() -> None:
    answer: Any = get("lesson-1", User(pk=7))
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    token = decode(json.loads(answer.content)["token"])
    service = token.fields["services"][0]
    assert (service["channel_name"], service["uid"]) == ("lesson-1", "7")


def test_who_has_not_signed_in_gets_none() -> None:
    assert get("lesson-1", AnonymousUser()).status_code == 401


def test_a_channel_that_agora_does_not_allow_is_400() -> None:
    assert get("x" * 65, User(pk=7)).status_code == 400


def levels_logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The level of each line; asyncio may log what another test left behind."""
    return [one.levelname for one in caplog.records if one.name != "asyncio"]


@pytest.mark.parametrize(
    ("options", "status"),
    [({"grants": [{"tokens": ["chat"], "users": ["*"]}]}, 403), ({"rate_limit": "1/hour"}, 429)],
)
def test_a_denial_and_a_rate_limit_are_4xx_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, options: Any, status: int
) -> None:
    with FakeTokenAuthority(**options) as authority:
        monkeypatch.setenv("TOKEN_AUTHORITY_TARGET", authority.target)
        get("lesson-1", User(pk=7))
        answer = get("lesson-1", User(pk=7))
    assert (answer.status_code, answer.content) == (status, b"")
    assert ("Retry-After" in answer.headers) == (status == 429)
    assert set(levels_logged(caplog)) == {"WARNING"}
    assert "no RTC token" in caplog.text


def test_no_server_is_503(
    token_authority: FakeTokenAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    token_authority.stop()
    try:
        assert get("lesson-1", User(pk=7)).status_code == 503
        assert levels_logged(caplog) == ["ERROR"]
        assert "nothing listens" in caplog.text
    finally:
        token_authority.start()
