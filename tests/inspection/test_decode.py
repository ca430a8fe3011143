from typing import Any

import pytest

from inspection.tokens import (
    DAY,
    HOUR,
    NOW,
    ROOM,
    inspect,
    netless,
    packed_007,
    publisher,
    rtc,
    rtm,
    sealed_007,
    t006,
    t007,
    whiteboard,
)
from support.keys import ACCESS_KEY, APP_ID, NONCE, NOW_MS
from token_authority_server.formats import service_packing as v007
from token_authority_server.inspection.decode import decode
from token_authority_server.inspection.findings import FindingReason

IN_AN_HOUR = "until 2023-11-14 23:13:20 UTC (1 h after issue)"


def test_every_value_of_a_007_token() -> None:
    token = t007(
        rtc("*", "", {1: HOUR, 2: 0, 77: 5}),
        v007.education("r1", "alice", -1, {1: HOUR}),
        v007.rtm2("alice", [v007.RtmPermission(1, 0, ["a", "b"])], {1: HOUR}),
    )
    assert decode(token).fields == (
        ("app_id", APP_ID, ""),
        ("issued_at", "1700000000", "2023-11-14 22:13:20 UTC"),
        ("expire_seconds", "3600", IN_AN_HOUR),
        ("salt", "1", ""),
        ("services[0].type", "1", "RTC"),
        ("services[0].privileges.join_channel", "3600", IN_AN_HOUR),
        ("services[0].privileges.publish_audio", "0", "as long as Agora allows"),
        ("services[0].privileges.77", "5", "unknown"),
        ("services[0].channel_name", "*", "every channel"),
        ("services[0].uid", "", "anyone"),
        ("services[1].type", "7", "Education"),
        ("services[1].privileges.room_user", "3600", IN_AN_HOUR),
        ("services[1].room_uuid", "r1", ""),
        ("services[1].user_uuid", "alice", ""),
        ("services[1].role", "-1", "none"),
        ("services[2].type", "8", "RTM with permissions"),
        ("services[2].privileges.login", "3600", IN_AN_HOUR),
        ("services[2].user_id", "alice", ""),
        ("services[2].permissions.stream_channels", "1", ""),
        ("services[2].permissions.stream_channels.read", "0", ""),
        ("services[2].permissions.stream_channels.read[0]", "a", ""),
        ("services[2].permissions.stream_channels.read[1]", "b", ""),
    )


RIGHTS = {1: 1, 2: 2, 3: 3, 4: 4}
SERVICES = [
    (
        v007.rtc("c", "u", RIGHTS),
        "RTC",
        "join_channel publish_audio publish_video publish_data",
        "channel_name uid",
    ),
    (v007.rtm("u", RIGHTS), "RTM", "login 2 3 4", "user_id"),
    (
        v007.streaming("c", "u", RIGHTS),
        "Streaming",
        "publish_mixed publish_raw 3 4",
        "channel_name account",
    ),
    (v007.fpa(RIGHTS), "FPA", "login 2 3 4", ""),
    (v007.chat("u", RIGHTS), "Chat", "user app 3 4", "user_id"),
    (v007.fcdn("c", "u", RIGHTS), "FCDN", "publish play 3 4", "channel_name account"),
    (
        v007.education("r", "u", 1, RIGHTS),
        "Education",
        "room_user user app 4",
        "room_uuid user_uuid role",
    ),
    (v007.rtm2("u", [], RIGHTS), "RTM with permissions", "login 2 3 4", "user_id"),
    (v007.convo_ai(RIGHTS), "Conversational AI", "1 2 3 4", ""),
    (v007.stt(RIGHTS), "Speech to text", "1 2 3 4", ""),
]


@pytest.mark.parametrize(("service", "name", "rights", "body"), SERVICES)
def test_every_service_has_names_for_its_values(
    service: v007.PackedService, name: str, rights: str, body: str
) -> None:
    decoded = decode(t007(service))
    assert not decoded.issues
    fields = decoded.fields[4:]
    assert fields[0] == ("services[0].type", str(service.type), name)
    assert [(path.removeprefix("services[0]."), value) for path, value, _ in fields[1:5]] == [
        (f"privileges.{right}", str(number)) for number, right in enumerate(rights.split(), 1)
    ]
    assert [path.removeprefix("services[0].") for path, _, _ in fields[5:]] == body.split()
    (read,) = decoded.services
    assert (read.channel is not None, read.user is not None, read.room is not None) == (
        "channel_name" in body,
        "u" in [value for _, value, _ in fields[5:]],
        "room_uuid" in body,
    )


def test_every_permission_has_a_name() -> None:
    permissions = [v007.RtmPermission(number, number % 3, []) for number in range(6)]
    paths = [path for path, _, _ in decode(t007(v007.rtm2("u", permissions, {}))).fields]
    assert [path.partition("permissions.")[2] for path in paths if path.count(".") == 3] == [
        "message_channels.read",
        "stream_channels.write",
        "group_channels.2",
        "server_groups.read",
        "users.write",
        "5.2",
    ]


def test_every_value_of_a_006_token() -> None:
    token = t006("", "", privileges={1: NOW + HOUR, 1000: 0, 9: 1})
    assert decode(token).fields == (
        ("app_id", APP_ID, ""),
        ("crc_channel_name", "0", "CRC-32 of the channel, or of the RTM user"),
        ("crc_uid", "0", "anyone"),
        ("salt", "1", ""),
        ("ends_at", str(NOW + DAY), "2023-11-15 22:13:20 UTC"),
        ("privileges.join_channel", "1700003600", IN_AN_HOUR),
        ("privileges.9", "1", "unknown"),
        ("privileges.rtm_login", "0", "as long as Agora allows"),
    )


def test_every_value_of_a_whiteboard_token_but_its_signature() -> None:
    assert decode(whiteboard(content={"role": "2", "uuid": "é &", "": "x"})).fields == (
        ("", "x", ""),
        ("ak", ACCESS_KEY, ""),
        ("expireAt", str(NOW_MS + HOUR * 1000), "until 2023-11-14 23:13:20 UTC"),
        ("nonce", NONCE, ""),
        ("role", "2", "reader"),
        ("uuid", "é &", ""),
    )


def education(right: int) -> v007.PackedService:
    return v007.education("", "", -1, {right: HOUR})


FAMILIES = [
    (t007(rtc()), "rtc"),
    (t007(rtc(), rtm()), "rtc"),
    (t007(rtm()), "rtm"),
    (t007(v007.rtm2("alice", [], {1: HOUR})), "rtm"),
    (t007(v007.chat("alice", {1: HOUR})), "chat.user"),
    (t007(v007.chat("", {2: HOUR})), "chat.app"),
    (t007(v007.chat("alice", {1: HOUR, 2: HOUR})), "access_token"),
    (t007(education(1), rtm(), v007.chat("c", {1: HOUR})), "education.room_user"),
    (t007(education(2)), "education.user"),
    (t007(education(3)), "education.app"),
    (t007(education(1)), "access_token"),
    (t007(rtc(), rtc()), "access_token"),
    (t007(v007.fpa({1: 0})), "access_token"),
    (t007(v007.service(99, {})), "access_token"),
    (t006(), "rtc"),
    (t006(privileges={1000: NOW}), "rtm"),
    (t006(privileges={1: NOW, 1000: NOW}), "access_token"),
    (t006(privileges={}), "access_token"),
    (whiteboard("sdk"), "whiteboard.sdk"),
    (whiteboard("room"), "whiteboard.room"),
    (whiteboard("task"), "whiteboard.task"),
    ("007", ""),
    ("nothing", ""),
]


@pytest.mark.parametrize(("token", "kind"), FAMILIES)
def test_the_kind_comes_from_the_content(token: str, kind: str) -> None:
    assert decode(token).kind == kind


TIMES: list[tuple[str, int | None, int | None]] = [
    (t007(), NOW, NOW + HOUR),
    (t007(rtc(rights={1: 60, 2: 30})), NOW, NOW + 60),
    (t007(rtc(rights={1: 0})), NOW, NOW + HOUR),
    (t007(rtc(), rtm(seconds=50)), NOW, NOW + 50),
    (t007(v007.chat("", {2: 40})), NOW, NOW + 40),
    (t007(v007.chat("alice", {1: 40})), NOW, NOW + 40),
    *[(t007(v007.education("", "", -1, {n: 40})), NOW, NOW + 40) for n in (1, 2, 3)],
    (t007(v007.rtm2("alice", [], {1: 40})), NOW, NOW + 40),
    (t007(v007.streaming("c", "u", {1: 40, 2: 40})), NOW, NOW + HOUR),
    (t007(v007.fcdn("c", "u", {1: 40, 2: 40})), NOW, NOW + HOUR),
    (t007(v007.fpa({1: 0})), NOW, NOW + HOUR),
    (t007(v007.service(99, {1: 5})), NOW, NOW + HOUR),
    (t007(rtc(rights={1: 9 * DAY}), expire_seconds=9 * DAY), NOW, NOW + DAY),
    (t007(rtc(rights={}), expire_seconds=0), NOW, NOW + DAY),
    (t006(), NOW, NOW + HOUR),
    (t006(privileges={1: NOW + 60, 2: NOW + 30}), NOW, NOW + 60),
    (t006(privileges={2: NOW + 30}), NOW, NOW + DAY),
    (t006(privileges={1000: NOW + 30}), NOW, NOW + 30),
    (t006(privileges={1: 0}), NOW, NOW + DAY),
    # Agora ends it then, whatever a right says.
    (t006(privileges={1: NOW + 28 * DAY}), NOW, NOW + DAY),
    (t006(ends_at=DAY - 1), None, NOW + HOUR),
    (whiteboard(lifespan_ms=0), None, None),
]


@pytest.mark.parametrize(("token", "issued_at", "ends_at"), TIMES)
def test_when_a_token_was_issued_and_stops_to_admit(
    token: str, issued_at: int | None, ends_at: int | None
) -> None:
    decoded = decode(token)
    assert decoded.issue_ms == (None if issued_at is None else issued_at * 1000)
    assert decoded.expire_ms == (None if ends_at is None else ends_at * 1000)


def test_a_whiteboard_token_ends_to_the_millisecond_and_in_some_year() -> None:
    assert decode(whiteboard(lifespan_ms=1)).expire_ms == NOW_MS + 1
    assert decode(whiteboard(lifespan_ms=10**18)).expire_ms == 253_402_300_799_999
    assert decode(whiteboard(lifespan_ms=10**30)).issues.keys() == {FindingReason.CORRUPT}


TOKENS = {
    "007": t007(rtc(), rtm(), v007.education("r", "u", 3, {1: HOUR})),
    "006": t006(),
    "sdk": whiteboard("sdk"),
}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_a_token_cut_off_anywhere_is_reported_with_the_part_that_was_read(token: str) -> None:
    whole = decode(token)
    for length in range(len("NETLESSSDK_") if token.startswith("N") else 3, len(token)):
        decoded = decode(token[:length])
        assert decoded.issues.keys() == {FindingReason.TRUNCATED}
        assert decoded.sealed is None
        assert decoded.kind == ""
        assert decoded.fields == whole.fields[: len(decoded.fields)]
    assert len(decode(token[:-8]).fields) > 2


@pytest.mark.parametrize("kind", ["room", "task"])
def test_a_cut_whiteboard_token_is_never_valid(kind: Any) -> None:
    token = whiteboard(kind)
    for length in range(len(token)):
        assert inspect(token[:length]).signature.verdict != "valid"


def test_content_cut_anywhere_before_it_was_packed_contradicts_itself() -> None:
    content = v007.service(8, {1: HOUR}, b"\x01\0u\x01\0\0\0\x01\0\0\0\x01\0\x01\0r").packed
    header = b"\x20\0" + APP_ID.encode() + bytes(12) + b"\1\0"
    whole = header + content
    assert not decode(sealed_007(whole)).issues
    for length in range(len(whole)):
        assert decode(sealed_007(whole[:length])).issues.keys() == {FindingReason.CORRUPT}


def counted(count: int, service: bytes) -> str:
    header = b"\x20\0" + APP_ID.encode() + bytes(12) + b"\xff\xff"
    return sealed_007(header + service * count)


GIANTS = {
    "services": counted(15_000, b"\x09\0\0\0"),
    "privileges": counted(1, b"\1\0\xff\xff" + bytes(65_000)),
    "permissions": counted(1, b"\x08\0\0\0\0\0\xff\xff" + bytes(4) * 16_000),
    "resources": counted(1, b"\x08\0\0\0\0\0\1\0\0\0\1\0\0\0\xff\xff" + bytes(65_000)),
}


@pytest.mark.parametrize("token", GIANTS.values(), ids=GIANTS)
def test_giant_counts_are_not_followed(token: str) -> None:
    decoded = decode(token)
    assert len(decoded.fields) <= 1000
    assert 9_000 < decoded.omitted_field_count < 65_536
    assert decoded.issues.keys() == {FindingReason.TOO_MANY_VALUES}
    assert decoded.sealed


def test_a_bomb_is_not_inflated() -> None:
    token = packed_007(b"\x20\0" + bytes(50_000_000))
    decoded = decode(token)
    assert decoded.issues.keys() == {FindingReason.TOO_LARGE}
    assert decoded.sealed is None


def test_the_number_of_omitted_values_is_right_where_it_is_small() -> None:
    resources = [f"r{number}" for number in range(1100)]
    token = t007(v007.rtm2("alice", [v007.RtmPermission(0, 0, resources)], {1: HOUR}))
    decoded = decode(token)
    # Four of the header, type, login, user and two of the permission.
    assert (len(decoded.fields), decoded.omitted_field_count) == (1000, 1100 + 9 - 1000)
    decoded = decode(t006(privileges=dict.fromkeys(range(1100), 1)))
    assert (len(decoded.fields), decoded.omitted_field_count) == (1000, 1100 + 5 - 1000)
    query = "&".join([f"f{number}=" for number in range(1100)])
    decoded = decode(netless(f"ak=a&{query}&sig=s"))
    assert (len(decoded.fields), decoded.omitted_field_count) == (1000, 102)
    assert decoded.issues.keys() == {FindingReason.TOO_MANY_VALUES}


def test_a_privilege_or_field_that_comes_twice_counts_as_it_came_last() -> None:
    twice = b"\2\0\1\0" + (60).to_bytes(4, "little") + b"\1\0" + (30).to_bytes(4, "little")
    packed = b"\1\0" + twice + b"\1\0c\0\0"
    header = b"\x20\0" + APP_ID.encode() + NOW.to_bytes(4, "little") + bytes(8) + b"\1\0"
    decoded = decode(sealed_007(header + packed))
    assert decoded.expire_ms == (NOW + 30) * 1000
    assert decoded.fields[6].meaning == "repeated"
    decoded = decode(netless("ak=a&uuid=1&uuid=2&sig=s"))
    assert decoded.whiteboard == {"ak": "a", "uuid": "2"}


def test_plus_is_a_plus_and_what_is_not_utf8_is_replaced() -> None:
    decoded = decode(netless(f"ak=a%2Bb+c&uuid={ROOM}%FF%zz&sig=s"))
    assert decoded.whiteboard == {"ak": "a+b+c", "uuid": f"{ROOM}\ufffd%zz"}
    assert FindingReason.NOT_UTF8 in decoded.issues


def test_of_what_is_not_a_token_nothing_is_kept() -> None:
    decoded = decode("my password")
    assert (decoded.token, decoded.format, decoded.fields) == ("", "", ())


def test_a_decoded_token_does_not_show_it() -> None:
    for token in (t007(), t006(), whiteboard()):
        assert token not in repr(decode(token))


def test_rights_of_a_publisher_are_read_by_number() -> None:
    (service,) = decode(t007()).services
    assert service.rights == publisher()


def test_a_006_token_has_the_services_that_its_rights_belong_to() -> None:
    def types(*rights: int) -> list[int]:
        decoded = decode(t006(privileges=dict.fromkeys(rights, NOW)))
        return [service.type for service in decoded.services]

    assert types(1) == [1]
    assert types(1000) == [2]
    assert types(1, 1000) == [1, 2]
    assert types() == [1]


def test_a_number_is_a_moment_in_expire_at_only_and_in_ascii_digits_only() -> None:
    fields = {field.path: field.meaning for field in decode(netless("ak=1&expireAt=9&x=9")).fields}
    assert fields == {"ak": "", "expireAt": "until 1970-01-01 00:00:00 UTC"}
    for digits in ("%C2%B2", "%D9%A1", "-1", "1.5", ""):
        decoded = decode(netless(f"ak=a&expireAt={digits}&sig={'0' * 64}"))
        assert decoded.issues.keys() == {FindingReason.CORRUPT}
        assert decoded.expire_ms is None


def test_a_whiteboard_token_of_more_values_than_are_read_is_not_verified() -> None:
    content = {f"f{number}": "" for number in range(1001)}
    decoded = decode(whiteboard(content=content))
    assert decoded.kind == "whiteboard.room"
    assert decoded.sealed is None
