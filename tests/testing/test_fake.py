import asyncio
import threading

import pytest

from token_authority_client import Unavailable
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
