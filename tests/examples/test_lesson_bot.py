import threading
from datetime import timedelta

import pytest

from examples.lesson_bot import UID, attend
from support.decoding import decode
from token_authority_testing.fake import FakeTokenAuthority

ROOM = "4a50cb3b6a0c4b5e"


class Sdk:
    """Records its tokens, and ends the lesson with the second RTC token."""

    def __init__(self) -> None:
        self.rtc: list[str] = []
        self.board = ""
        self.ended = threading.Event()

    def join(self, token: str, channel: str, uid: int) -> None:
        assert (channel, uid) == ("lesson-1", UID)
        self.rtc.append(token)

    def renew_token(self, token: str) -> None:
        self.rtc.append(token)
        self.ended.set()

    def join_room(self, token: str, room: str) -> None:
        assert room == ROOM
        self.board = token


def test_the_bot_renews_its_token_and_opens_the_board(
    token_authority: FakeTokenAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN_AUTHORITY_TARGET", token_authority.target)
    sdk = Sdk()
    attend(sdk, "lesson-1", ROOM, sdk.ended, ttl=timedelta(seconds=2))
    first, second = sdk.rtc
    assert first != second
    for token in sdk.rtc:
        service = decode(token).fields["services"][0]
        assert (service["channel_name"], service["uid"]) == ("lesson-1", str(UID))
    assert decode(sdk.board).fields["uuid"] == ROOM
