import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.decoding import decode
from support.keys import APP_ID, CERTIFICATE
from token_authority_server.formats.access_token_006 import build_access_token_006
from token_authority_server.formats.packing import FormatError

TEXT = st.text(st.characters(codec="utf-8"), max_size=300)
U32 = st.integers(0, 2**32 - 1)
PRIVILEGES = st.dictionaries(st.integers(0, 65535), U32, max_size=8)


def build(**changes: object) -> str:
    arguments = {
        "app_id": APP_ID,
        "app_certificate": CERTIFICATE,
        "channel_name": "c",
        "uid": "1",
        "ends_at": 86400,
        "salt": 1,
        "privileges": {1: 2},
        **changes,
    }
    return build_access_token_006(**arguments)  # type: ignore[arg-type]


@given(TEXT, TEXT, U32, U32, PRIVILEGES)
def test_everything_comes_back_and_verifies(
    channel: str, uid: str, ends_at: int, salt: int, privileges: dict[int, int]
) -> None:
    decoded = decode(
        build(channel_name=channel, uid=uid, ends_at=ends_at, salt=salt, privileges=privileges)
    )
    assert decoded.fields == {
        "app_id": APP_ID,
        "crc_channel": zlib.crc32(channel.encode()),
        "crc_uid": zlib.crc32(uid.encode()),
        "salt": salt,
        "ts": ends_at,
        "privileges": privileges,
    }
    assert decoded.verifies(CERTIFICATE, channel, uid)
    assert not decoded.verifies(CERTIFICATE.lower(), channel, uid)
    assert not decoded.verifies(CERTIFICATE, channel + "x", uid)


@pytest.mark.parametrize(
    "change",
    [
        {"app_id": "x"},
        {"app_certificate": ""},
        {"salt": -1},
        {"salt": 2**32},
        {"ends_at": 2**32},
        {"privileges": {1: 2**32}},
        {"channel_name": "\ud800"},
        {"uid": "\ud800"},
    ],
)
def test_what_the_format_cannot_carry_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(FormatError) as caught:
        build(**change)
    assert CERTIFICATE not in str(caught.value)
