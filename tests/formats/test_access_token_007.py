import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.decoding import decode
from support.keys import APP_ID, CERTIFICATE
from token_authority_server.formats import access_token_007, service_packing
from token_authority_server.formats.access_token_007 import build_access_token_007
from token_authority_server.formats.packing import FormatError

TEXT = st.text(st.characters(codec="utf-8"), max_size=60)
U32 = st.integers(0, 2**32 - 1)
PRIVILEGES = st.dictionaries(st.integers(0, 65535), U32, max_size=6)
PERMISSIONS = st.lists(
    st.builds(
        service_packing.RtmPermission,
        st.integers(0, 65535),
        st.integers(0, 65535),
        st.lists(TEXT, max_size=3),
    ),
    max_size=4,
)


def two_texts(builder: Any) -> Any:
    return st.builds(builder, TEXT, TEXT, PRIVILEGES)


SERVICES = st.one_of(
    two_texts(service_packing.rtc),
    st.builds(service_packing.rtm, TEXT, PRIVILEGES),
    two_texts(service_packing.streaming),
    st.builds(service_packing.fpa, PRIVILEGES),
    st.builds(service_packing.chat, TEXT, PRIVILEGES),
    two_texts(service_packing.fcdn),
    st.builds(service_packing.education, TEXT, TEXT, st.integers(-(2**15), 2**15 - 1), PRIVILEGES),
    st.builds(service_packing.rtm2, TEXT, PERMISSIONS, PRIVILEGES),
    st.builds(service_packing.convo_ai, PRIVILEGES),
    st.builds(service_packing.stt, PRIVILEGES),
)


def build(**changes: object) -> str:
    arguments = {
        "app_id": APP_ID,
        "app_certificate": CERTIFICATE,
        "issued_at": 1,
        "expire_seconds": 2,
        "salt": 3,
        "services": [service_packing.fpa({})],
        **changes,
    }
    return build_access_token_007(**arguments)  # type: ignore[arg-type]


@given(st.lists(SERVICES, min_size=1, max_size=8), U32, U32, U32)
def test_any_services_come_back_in_order_and_verify(
    services: list[service_packing.PackedService], issued_at: int, expire_seconds: int, salt: int
) -> None:
    decoded = decode(
        build(services=services, issued_at=issued_at, expire_seconds=expire_seconds, salt=salt)
    )
    fields = decoded.fields
    assert (fields["issue_ts"], fields["expire"], fields["salt"]) == (
        issued_at,
        expire_seconds,
        salt,
    )
    types = [service["type"] for service in fields["services"]]
    assert types == sorted(service.type for service in services)
    assert decoded.verifies(CERTIFICATE)
    assert not decoded.verifies(CERTIFICATE.lower())


@given(TEXT, TEXT, PRIVILEGES)
def test_a_service_carries_what_it_was_given(
    channel: str, uid: str, privileges: dict[int, int]
) -> None:
    (service,) = decode(build(services=[service_packing.rtc(channel, uid, privileges)])).fields[
        "services"
    ]
    assert service == {
        "type": 1,
        "privileges": privileges,
        "channel_name": channel,
        "uid": uid,
    }


@given(PERMISSIONS)
def test_rtm2_keeps_the_last_of_each_pair(permissions: list[service_packing.RtmPermission]) -> None:
    (service,) = decode(build(services=[service_packing.rtm2("u", permissions, {})])).fields[
        "services"
    ]
    expected: dict[int, dict[int, list[str]]] = {}
    for resource_type, permission_type, resources in permissions:
        expected.setdefault(resource_type, {})[permission_type] = list(resources)
    assert service["permissions"] == expected
    assert list(service["permissions"]) == sorted(expected)


@given(st.binary(max_size=2500) | st.text("abc01", max_size=2500).map(str.encode))
def test_deflate_is_zlibs_default_to_the_byte(content: bytes) -> None:
    assert access_token_007._deflate(content) == zlib.compress(content)


def test_services_of_one_type_are_all_kept_in_their_order() -> None:
    services = [service_packing.rtm(user, {1: 1}) for user in ("b", "a", "b")]
    decoded = decode(build(services=[*services, service_packing.rtc("c", "1", {})])).fields[
        "services"
    ]
    assert [service.get("user_id") for service in decoded] == [None, "b", "a", "b"]


@pytest.mark.parametrize(
    "change",
    [
        {"app_id": "9" * 31},
        {"app_certificate": "z" * 32},
        {"services": []},
        {"salt": 2**32},
        {"issued_at": -1},
        {"expire_seconds": 2**32},
    ],
)
def test_what_the_format_cannot_carry_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(FormatError) as caught:
        build(**change)
    assert CERTIFICATE not in str(caught.value)


@pytest.mark.parametrize(
    "pack",
    [
        lambda: service_packing.rtc("c" * 65536, "", {}),
        lambda: service_packing.education("r", "u", 32768, {}),
        lambda: service_packing.education("r", "u", -32769, {}),
        lambda: service_packing.rtm("u", {1: 2**32}),
        lambda: service_packing.rtm2("u", [service_packing.RtmPermission(65536, 0, [])], {}),
        lambda: service_packing.rtm2("u", [service_packing.RtmPermission(0, 0, ["r" * 65536])], {}),
        lambda: service_packing.service(65536, {}),
    ],
)
def test_what_a_service_cannot_carry_is_refused(pack: Any) -> None:
    with pytest.raises(FormatError):
        pack()
