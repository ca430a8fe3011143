import asyncio
import threading
from typing import Any

import pytest

from token_authority_client import PermissionDenied, RateLimited, Unavailable
from token_authority_testing.fake import FakeTokenAuthority


def test_its_tokens_are_real_and_its_own() -> None:
    before = threading.enumerate()
    with FakeTokenAuthority() as authority, authority.client() as client:
        issued = client.issue_rtc_token(channel="lesson-1", uid=7, role="publisher")
        assert client.inspect_token(issued.token).signature.verdict == "valid"
        with FakeTokenAuthority() as other, other.client() as stranger:
            assert stranger.inspect_token(issued.token).signature.verdict == "unknown_key"
    started = set(threading.enumerate()) - set(before)
    assert "fake-token-authority" not in {thread.name for thread in started}


def test_it_can_be_away_for_a_while() -> None:
    with FakeTokenAuthority() as authority, authority.client() as client:
        issued = client.issue_rtc_token(channel="lesson-1", uid=7, role="publisher")
        authority.stop()
        authority.stop()
        with pytest.raises(Unavailable):
            client.inspect_token(issued.token)
        authority.start()
        authority.start()
        assert client.inspect_token(issued.token).signature.verdict == "valid"


def test_before_it_is_started_it_has_no_target() -> None:
    with pytest.raises(RuntimeError, match="start the FakeTokenAuthority first"):
        FakeTokenAuthority().client()


async def test_it_serves_many_at_once_from_asyncio(token_authority: FakeTokenAuthority) -> None:
    async with token_authority.async_client() as client:
        calls = [client.issue_chat_token(app=True) for _ in range(200)]
        assert len({issued.token for issued in await asyncio.gather(*calls)}) == 200


def test_its_grants_can_deny() -> None:
    grants = [{"tokens": ["rtc"], "channels": ["lesson-*"], "users": ["*"], "roles": ["*"]}]
    with FakeTokenAuthority(grants=grants) as authority, authority.client() as client:
        assert client.issue_rtc_token(channel="lesson-1", uid=7, role="publisher").token
        with pytest.raises(PermissionDenied) as caught:
            client.issue_rtc_token(channel="staff", uid=7, role="publisher")
        assert (caught.value.nearest_grant, caught.value.missing) == ("grant-1", "channels")
        assert client.get_authority_info().grants[0].project == "dev"


def test_its_rate_limit_can_be_exceeded() -> None:
    with FakeTokenAuthority(rate_limit="2/hour") as authority, authority.client() as client:
        for _ in range(2):
            assert client.issue_chat_token(app=True).token
        with pytest.raises(RateLimited) as caught:
            client.issue_chat_token(app=True)
        assert caught.value.retry_after


@pytest.mark.parametrize(
    "options",
    [
        {"grants": [{"tokens": ["tv"]}]},
        {"grants": [{"chanels": []}]},
        {"grants": []},
        {"rate_limit": "2"},
    ],
)
def test_an_invalid_grant_or_limit_is_refused(options: Any) -> None:
    with pytest.raises(ValueError, match=r"tv|chanels|rate_limit|must not be empty"):
        FakeTokenAuthority(**options)
