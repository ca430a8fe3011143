"""For each reason: tokens that trigger it, and nearly equal ones that do not."""

import base64
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from inspection.tokens import (
    DAY,
    HOUR,
    LEAKED_CERTIFICATE,
    NOW,
    OTHER_APP_ID,
    OTHER_CERTIFICATE,
    OTHER_SECRET_KEY,
    ROOM,
    UNKNOWN_CERTIFICATE,
    cut_007,
    inspect,
    netless,
    publisher,
    rtc,
    rtm,
    sealed_007,
    t006,
    t007,
    whiteboard,
)
from support.keys import (
    ACCESS_KEY,
    APP_ID,
    CERTIFICATE,
    NOW_MS,
    OLD_CERTIFICATE,
    SECRET_KEY,
)
from token_authority_server.formats import service_packing as v007
from token_authority_server.inspection import FindingReason, Inspection, Product


@dataclass(frozen=True)
class Trial:
    """A text, and how it was used."""

    text: str
    use: dict[str, Any]

    def run(self) -> Inspection:
        return inspect(self.text, **self.use)


def of(text: str, **use: Any) -> Trial:
    return Trial(text, use)


def uuid_1(ms: int) -> str:
    """A nonce with a time in it."""
    time = ms * 10_000 + 0x01B21DD213814000
    return f"{time & 0xFFFFFFFF:08x}-{time >> 32 & 0xFFFF:04x}-1{time >> 48:03x}-8000-00000000beef"


def with_plus() -> str:
    """A token that has a plus sign."""
    return next(token for salt in range(99) if "+" in (token := t007(salt=salt)))


def rtm_permissions(count: int) -> str:
    resources = [f"r{number}" for number in range(count)]
    return t007(v007.rtm2("alice", [v007.RtmPermission(0, 0, resources)], {1: HOUR}))


def early(**rights: int) -> str:
    """An RTC token issued an hour ago, for two; its rights are in seconds from then."""
    numbers = {"join": 1, "audio": 2, "video": 3, "data": 4}
    given = publisher(2 * HOUR) | {numbers[name]: seconds for name, seconds in rights.items()}
    return t007(rtc(rights=given), issued_at=NOW - HOUR, expire_seconds=2 * HOUR)


def relabelled(token: str, prefix: str) -> str:
    return f"{prefix}_{token.partition('_')[2]}"


def rtc_and_rtm(rtc_seconds: int, rtm_seconds: int) -> str:
    """A token for both, issued two minutes ago."""
    services = rtc(rights=publisher(rtc_seconds)), rtm(seconds=rtm_seconds)
    return t007(*services, issued_at=NOW - 120)


GOOD, ROOM_TOKEN = t007(), whiteboard()
DASHED_ROOM = f"{ROOM[:8]}-{ROOM[8:12]}-{ROOM[12:16]}-{ROOM[16:20]}-{ROOM[20:]}"
CHAT_UUID = "0a5f3b3c-1d2e-11ee-be56-0242ac120002"
JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJsZXNzb25zIn0.c2lnbmF0dXJl"
WEB_ERROR = (
    "AgoraRTCException: AgoraRTCError CAN_NOT_GET_GATEWAY_SERVER: flag: 4096, message: "
    "AgoraRTCError CAN_NOT_GET_GATEWAY_SERVER: {}"
)
# Formats that Agora has retired: version, HMAC-SHA1, App ID, time, salt, uid or end.
_DYNAMIC = f"{'0f' * 20}{OTHER_APP_ID}1446455472deadbeef"
DYNAMIC_003 = f"003{_DYNAMIC}28823412731446455471"
DYNAMIC_004 = f"004{_DYNAMIC}1446455471"
DRAFT_006 = f"006{_DYNAMIC}1446455471"
DYNAMIC_005 = "005" + base64.b64encode(
    b"\1\0\x28\0" + b"F" * 40 + b"\x10\0" + bytes(16) + bytes(14)
).decode().rstrip("=")
SIGNALING = f"1:{OTHER_APP_ID}:1446455471:{'0f' * 16}"
RTC_USE = {"channel_name": "lesson-1", "uid": 7}
RTM_USE = {"error_code": 5, "user_account": "alice"}
# Cut off in the second service.
CUT_RTC = cut_007(rtc(), rtm())
CUT_RTM = cut_007(rtm(), v007.chat("alice", {1: HOUR}))
RTM_006 = t006("alice", "", privileges={1000: NOW + HOUR})

TRIALS: list[tuple[FindingReason, Trial, Trial]] = [
    # The pasted text.
    (FindingReason.SECRET_EXPOSED, of(CERTIFICATE), of(CERTIFICATE[:-1] + "0")),
    (FindingReason.SECRET_EXPOSED, of(f"cert={CERTIFICATE.lower()}\n"), of(APP_ID)),
    (FindingReason.SECRET_EXPOSED, of(GOOD, app_id=CERTIFICATE), of(GOOD, app_id=OTHER_APP_ID)),
    (FindingReason.SECRET_EXPOSED, of(SECRET_KEY), of(ACCESS_KEY)),
    (FindingReason.SECRET_EXPOSED, of("tak_" + "k" * 43), of("tak_" + "k" * 42)),
    (FindingReason.SECRET_EXPOSED, of(f"Bearer {JWT}"), of(JWT.rpartition(".")[0])),
    (FindingReason.SECRET_EXPOSED, of(GOOD, user_account=JWT), of(GOOD, user_account="eyJ.a.b")),
    *[
        (FindingReason.RETIRED_FORMAT, of(retired), of(retired[:-1] + "_"))
        for retired in (DYNAMIC_003, DYNAMIC_004, DYNAMIC_005, DRAFT_006, SIGNALING)
    ],
    (FindingReason.RETIRED_FORMAT, of(f'"{DYNAMIC_004}"\n'), of(t006())),
    (FindingReason.NOT_A_TOKEN, of("008" + GOOD[3:]), of(GOOD)),
    (FindingReason.NOT_A_TOKEN, of(""), of("007")),
    (FindingReason.NOT_A_TOKEN, of(APP_ID), of("006" + APP_ID)),
    (FindingReason.NOT_A_TOKEN, of(ROOM_TOKEN.lower()), of(ROOM_TOKEN)),
    (
        FindingReason.TOO_LARGE,
        of(t007(v007.service(4, {1: 0}, b"\0" * 65445))),
        of(t007(v007.service(4, {1: 0}, b"\0" * 65444))),
    ),
    (FindingReason.TOO_LARGE, of("007" + "A" * 65534), of("007" + "A" * 65533)),
    (
        FindingReason.TOO_LARGE,
        of(whiteboard(content={"uuid": "r" * 8200})),
        of(whiteboard(content={"uuid": "r" * 8000})),
    ),
    (FindingReason.TRUNCATED, of(GOOD[:-1]), of(GOOD)),
    (FindingReason.TRUNCATED, of(GOOD[:-8]), of(GOOD)),
    (FindingReason.TRUNCATED, of(t006()[:-4]), of(t006())),
    (FindingReason.TRUNCATED, of(t006()[:34]), of(t006())),
    (FindingReason.TRUNCATED, of(whiteboard("sdk")[:-4]), of(whiteboard("sdk"))),
    (FindingReason.BAD_CHARACTER, of(GOOD[:20] + "!" + GOOD[21:]), of(GOOD)),
    (
        FindingReason.BAD_CHARACTER,
        of(with_plus().replace("+", "-")),
        of(with_plus()),
    ),
    (FindingReason.BAD_CHARACTER, of(ROOM_TOKEN + "="), of(ROOM_TOKEN)),
    # One character added: the length is no longer that of any encoding.
    (
        FindingReason.DAMAGED,
        of(t006()[:60] + "x" + t006()[60:]),
        of(t006()[:-1]),
    ),
    (FindingReason.DAMAGED, of(ROOM_TOKEN[:90] + "x" + ROOM_TOKEN[90:]), of(ROOM_TOKEN[:-3])),
    (FindingReason.DAMAGED, of(GOOD[:20] + GOOD[20:40].swapcase() + GOOD[40:]), of(GOOD)),
    (FindingReason.DAMAGED, of(t007(salt=3).replace("=", "") + "A="), of(t007(salt=3))),
    (
        FindingReason.CORRUPT,
        of(t007(v007.service(2, {1: HOUR}, b"\x06\0alice"))),
        of(t007(v007.service(2, {1: HOUR}, b"\x05\0alice"))),
    ),
    (
        FindingReason.CORRUPT,
        of(whiteboard(lifespan_ms=0, content={"uuid": ROOM, "expireAt": "soon"})),
        of(whiteboard(lifespan_ms=0, content={"uuid": ROOM, "expireAt": str(NOW_MS + 1)})),
    ),
    (FindingReason.CORRUPT, of(netless("nonce=n&sig=s")), of(netless("ak=n&sig=s"))),
    (FindingReason.SPACES_FOR_PLUS, of(with_plus().replace("+", " ")), of(with_plus())),
    (FindingReason.SPACES_FOR_PLUS, of(with_plus().replace("+", " ")), of(f" {with_plus()} ")),
    (FindingReason.WHITESPACE, of(GOOD + "\n"), of(GOOD)),
    (FindingReason.WHITESPACE, of(f"{GOOD[:40]}\r\n{GOOD[40:]}"), of(GOOD)),
    (FindingReason.WHITESPACE, of(f"\ufeff{ROOM_TOKEN}\u200b"), of(ROOM_TOKEN)),
    (FindingReason.QUOTED, of(f'"{GOOD}"'), of(GOOD)),
    (FindingReason.QUOTED, of(f"\u201c{GOOD}\u201d"), of(GOOD)),
    (FindingReason.QUOTED, of(GOOD.replace("=", "\\u003d")), of(GOOD)),
    (FindingReason.URL_ENCODED, of(quote(GOOD, safe="")), of(GOOD)),
    (FindingReason.URL_ENCODED, of(quote(quote(GOOD, safe=""))), of(GOOD)),
    (FindingReason.SURROUNDED, of(f"Authorization: Bearer {GOOD}"), of(GOOD)),
    (FindingReason.SURROUNDED, of(f"{GOOD} for user 7"), of(f"{GOOD[:40]}\n{GOOD[40:]}")),
    (FindingReason.SURROUNDED, of(f"{GOOD}\tlesson-1"), of(GOOD + "\t")),
    (FindingReason.SURROUNDED, of(f"{ROOM_TOKEN} room"), of(ROOM_TOKEN)),
    (FindingReason.SURROUNDED, of(f"{t006()}\n{t006('other')}"), of(t006())),
    (FindingReason.SURROUNDED, of(f'{{"token": "{ROOM_TOKEN}", "uid": 7}}'), of(f'"{ROOM_TOKEN}"')),
    (
        FindingReason.SEVERAL_TOKENS,
        of(json.dumps({"rtcToken": GOOD, "rtmToken": t007(rtm())})),
        of(json.dumps({"rtcToken": GOOD, "rtmToken": GOOD})),
    ),
    (FindingReason.SEVERAL_TOKENS, of(f"{GOOD}\n{ROOM_TOKEN}"), of(f"{GOOD}\n{ROOM_TOKEN[:40]}")),
    (
        FindingReason.FIELD_REPEATED,
        of(netless(f"ak=a&role=0&role=2&sig={'0' * 64}")),
        of(netless(f"ak=a&role=2&sig={'0' * 64}")),
    ),
    (
        FindingReason.UNKNOWN_SERVICE,
        of(t007(rtc(), v007.service(11, {1: HOUR}))),
        of(t007(rtc(), v007.service(10, {1: HOUR}))),
    ),
    (
        FindingReason.UNREAD_BYTES,
        of(t007(v007.service(4, {1: 0}, b"\0"))),
        of(t007(v007.service(4, {1: 0}))),
    ),
    (FindingReason.TOO_MANY_VALUES, of(rtm_permissions(994)), of(rtm_permissions(991))),
    (
        FindingReason.TOO_MANY_VALUES,
        of(t007(*[v007.fpa({1: 0})] * 65)),
        of(t007(*[v007.fpa({1: 0})] * 64)),
    ),
    (
        FindingReason.NOT_UTF8,
        of(t007(v007.service(2, {1: HOUR}, b"\x01\0\xff"))),
        of(t007(v007.service(2, {1: HOUR}, b"\x01\0\x7f"))),
    ),
    # The signature.
    (FindingReason.SECRET_IN_TOKEN, of(t007(app_id=CERTIFICATE)), of(t007(app_id=OTHER_APP_ID))),
    (
        FindingReason.SECRET_IN_TOKEN,
        of(t007(rtc(channel=CERTIFICATE))),
        of(t007(rtc(channel=CERTIFICATE[:-1]))),
    ),
    (
        FindingReason.SECRET_IN_TOKEN,
        of(t007(rtc(uid=f"user/{CERTIFICATE}"))),
        of(t007(rtc(uid=f"user/{CERTIFICATE[:-1]}0"))),
    ),
    (
        FindingReason.SECRET_IN_TOKEN,
        of(whiteboard(content={"role": "1", "uuid": SECRET_KEY})),
        of(whiteboard(content={"role": "1", "uuid": ROOM})),
    ),
    (
        FindingReason.SIGNED_WITH_OTHER_KEY,
        of(t007(app_certificate=OTHER_CERTIFICATE)),
        of(t007(app_certificate=UNKNOWN_CERTIFICATE)),
    ),
    (
        FindingReason.SIGNED_WITH_OTHER_KEY,
        of(whiteboard(secret_key=OTHER_SECRET_KEY)),
        of(whiteboard()),
    ),
    (
        FindingReason.SIGNATURE_WRONG,
        of(t007(app_certificate=UNKNOWN_CERTIFICATE)),
        of(t007(app_certificate=OTHER_CERTIFICATE)),
    ),
    (
        FindingReason.SIGNATURE_WRONG,
        of(t006(app_certificate=UNKNOWN_CERTIFICATE), channel_name="lesson-1", uid=7),
        of(t006(app_certificate=UNKNOWN_CERTIFICATE), channel_name="lesson-1", uid=8),
    ),
    (
        FindingReason.KEY_UNKNOWN,
        of(t007(app_id="0" * 32, app_certificate=UNKNOWN_CERTIFICATE)),
        of(t007(app_id=APP_ID, app_certificate=UNKNOWN_CERTIFICATE)),
    ),
    (
        FindingReason.KEY_UNKNOWN,
        of(whiteboard(access_key="nobody's", secret_key="unknown")),
        of(whiteboard(access_key=ACCESS_KEY, secret_key="unknown")),
    ),
    (
        FindingReason.KEY_DISABLED,
        of(t007(app_certificate=LEAKED_CERTIFICATE)),
        of(t007(app_certificate=OLD_CERTIFICATE)),
    ),
    (
        FindingReason.KEY_RETIRED,
        of(t007(app_certificate=OLD_CERTIFICATE)),
        of(t007(app_certificate=CERTIFICATE)),
    ),
    (FindingReason.SIGNATURE_UNCHECKED, of(t006()), of(t006(), channel_name="lesson-1", uid=7)),
    (
        FindingReason.SIGNATURE_UNCHECKED,
        of(t006(), keys=(), channel_name="lesson-1", uid=8),
        of(t006(), keys=(), channel_name="lesson-1", uid=7),
    ),
    # The app.
    (FindingReason.WRONG_APP_ID, of(GOOD, app_id=OTHER_APP_ID), of(GOOD, app_id=APP_ID)),
    (FindingReason.APP_ID_SPELLING, of(GOOD, app_id=f" {APP_ID}"), of(GOOD, app_id=APP_ID)),
    (FindingReason.APP_ID_SPELLING, of(GOOD, app_id=APP_ID.lower()), of(GOOD, app_id=OTHER_APP_ID)),
    (
        FindingReason.APP_ID_MALFORMED,
        of(f"006{APP_ID[:31]}x{t006()[35:]}"),
        of(f"006{APP_ID[:31]}a{t006()[35:]}"),
    ),
    # The channel, user and room.
    (
        FindingReason.WRONG_CHANNEL,
        of(GOOD, channel_name="lesson-2"),
        of(t007(rtc("lesson-2")), channel_name="lesson-2"),
    ),
    (
        FindingReason.WRONG_CHANNEL,
        of(t006(), channel_name="lesson-2"),
        of(t006("lesson-2"), channel_name="lesson-2"),
    ),
    (FindingReason.WRONG_CHANNEL, of(GOOD, channel_name="x"), of(t007(rtc("*")), channel_name="x")),
    *[
        (
            FindingReason.WRONG_CHANNEL,
            of(t007(rtc(pattern)), channel_name=other),
            of(t007(rtc(pattern)), channel_name=matching),
        )
        for pattern, other, matching in (
            ("lesson-*", "lesson", "lesson-"),
            ("1*a*2", "1a", "1-a-a-2"),
            ("1*a*2", "1aaa", "1a2"),
            ("*1", "12", "1"),
        )
    ],
    (
        FindingReason.WRONG_CHANNEL,
        of(t006("a*"), channel_name="ab"),
        of(t006(""), channel_name="ab"),
    ),
    (
        FindingReason.WRONG_CHANNEL,
        of(t007(rtc("lesson-2"), v007.streaming("lesson-1", "7", {1: HOUR})), **RTC_USE),
        of(t007(rtc("lesson-1"), v007.streaming("lesson-2", "7", {1: HOUR})), **RTC_USE),
    ),
    (
        FindingReason.CHANNEL_SPELLING,
        of(t007(rtc("lesson-1 ")), channel_name="lesson-1"),
        of(t007(rtc("lesson-1")), channel_name="lesson-1"),
    ),
    (
        FindingReason.CHANNEL_SPELLING,
        of(t007(rtc("Lesson-1")), channel_name="lesson-1"),
        of(t007(rtc("Lesson-2")), channel_name="lesson-1"),
    ),
    (
        FindingReason.CHANNEL_SPELLING,
        of(t006("Lesson-1 "), channel_name="Lesson-1"),
        of(t006("Lesson-1 "), channel_name="Lesson-1 "),
    ),
    (
        FindingReason.CHANNEL_SPELLING,
        of(t006("lesson-1"), channel_name=" LESSON-1"),
        of(t006("lesson-2"), channel_name=" LESSON-1"),
    ),
    (FindingReason.CHANNEL_EMPTY, of(t006("")), of(t006(" "))),
    (FindingReason.CHANNEL_EMPTY, of(t006("", ""), **RTC_USE), of(t007(rtc("", "7")), **RTC_USE)),
    (FindingReason.CHANNEL_NAME_INVALID, of(t007(rtc("c" * 65))), of(t007(rtc("c" * 64)))),
    (FindingReason.CHANNEL_NAME_INVALID, of(t007(rtc("a/b"))), of(t007(rtc("a|b")))),
    (FindingReason.CHANNEL_NAME_INVALID, of(t007(rtc("**"))), of(t007(rtc("*")))),
    (FindingReason.CHANNEL_NAME_INVALID, of(t007(rtc("a/*"))), of(t007(rtc("a-*")))),
    (
        FindingReason.CHANNEL_NAME_INVALID,
        of(t007(v007.streaming("a*", "7", {1: HOUR}))),
        of(t007(rtc("a*"))),
    ),
    (FindingReason.WILDCARD_CHANNEL, of(t007(rtc("*"))), of(t007(rtc("**")))),
    (FindingReason.WILDCARD_CHANNEL, of(t007(rtc(""))), of(t006(""))),
    (FindingReason.WILDCARD_PATTERN, of(t007(rtc("lesson-*"))), of(t007(rtc("*")))),
    (FindingReason.WILDCARD_PATTERN, of(t007(rtc("1*a*2"))), of(t006("1*a*2"))),
    (FindingReason.WILDCARD_PATTERN, of(t007(rtc(uid="*"))), of(t007(rtm("*")))),
    (FindingReason.WILDCARD_PATTERN, of(t007(rtc(uid="1*2")), **RTC_USE), of(t007(rtc(uid="12")))),
    (FindingReason.WILDCARD_NEEDS_007, of(t006("*")), of(t007(rtc("*")))),
    (FindingReason.WILDCARD_NEEDS_007, of(t006("*")), of(t006("**"))),
    (FindingReason.WRONG_USER, of(GOOD, uid=8), of(GOOD, uid=7)),
    (FindingReason.WRONG_USER, of(GOOD, uid=0), of(t007(rtc(uid="")), uid=0)),
    (
        FindingReason.WRONG_USER,
        of(t006(), channel_name="lesson-1", uid=8),
        of(t006(), channel_name="lesson-1", uid=7),
    ),
    (FindingReason.WRONG_USER, of(RTM_006, user_account="bob"), of(RTM_006, user_account="alice")),
    (
        FindingReason.WRONG_USER,
        of(t007(rtc(), rtm("bob")), user_account="alice", error_code=5),
        of(t007(rtc(), rtm("alice")), user_account="alice", error_code=5),
    ),
    (FindingReason.WRONG_USER, of(GOOD, user_account="8"), of(GOOD, user_account="7")),
    (
        FindingReason.WRONG_USER,
        of(t007(rtm("0")), user_account="alice"),
        of(t007(rtm("alice")), user_account="alice"),
    ),
    (
        FindingReason.WRONG_USER,
        of(t007(rtc("lesson-1", "8"), rtc("lesson-2", "7")), **RTC_USE),
        of(t007(rtc("lesson-1", "7"), rtc("lesson-2", "8")), **RTC_USE),
    ),
    (
        FindingReason.WRONG_USER,
        of(t007(rtc("lesson-1", "8"), rtc("lesson-2", "")), **RTC_USE),
        of(t007(rtc("lesson-1", ""), rtc("lesson-2", "8")), **RTC_USE),
    ),
    (
        FindingReason.WRONG_USER,
        of(t007(rtc("*", "8"), rtc("lesson-2", "7")), **RTC_USE),
        of(t007(rtc("*", "7"), rtc("lesson-2", "8")), **RTC_USE),
    ),
    (
        FindingReason.WRONG_USER,
        of(t007(rtc(uid="8"), v007.streaming("lesson-1", "7", {1: HOUR})), **RTC_USE),
        of(t007(rtc(uid="7"), v007.streaming("lesson-1", "8", {1: HOUR})), **RTC_USE),
    ),
    (FindingReason.WRONG_USER, of(t007(rtc(uid="1*2")), uid=13), of(t007(rtc(uid="1*2")), uid=132)),
    # RTM has channels too.
    (
        FindingReason.WRONG_USER,
        of(t007(rtm("bob")), channel_name="lesson-1", user_account="alice"),
        of(t007(rtm("alice")), channel_name="lesson-1", user_account="alice"),
    ),
    (
        FindingReason.USER_SPELLING,
        of(t007(rtc(uid="Alice")), user_account="alice"),
        of(t007(rtc(uid="Alice")), user_account="Alice"),
    ),
    (
        FindingReason.USER_SPELLING,
        of(t006(uid="alice"), channel_name="lesson-1", user_account="Alice "),
        of(t006(uid="bob"), channel_name="lesson-1", user_account="Alice "),
    ),
    (FindingReason.USER_EMPTY, of(t007(rtm(""))), of(t007(rtc(uid="")))),
    (
        FindingReason.USER_EMPTY,
        of(t007(v007.chat("", {1: HOUR}))),
        of(t007(v007.chat("", {2: HOUR}))),
    ),
    (
        FindingReason.USER_EMPTY,
        of(t007(v007.education("r", "", 1, {1: HOUR}))),
        of(t007(v007.education("", "", -1, {3: HOUR}))),
    ),
    (FindingReason.USER_EMPTY, of(t006("", "", privileges={1000: NOW + HOUR})), of(RTM_006)),
    (
        FindingReason.USER_EMPTY,
        of(t007(rtc(), rtm("")), error_code=5),
        of(t007(rtc(), rtm("")), error_code=110),
    ),
    *[
        (
            FindingReason.RTM_USER_MISPLACED,
            of(t006(place, "alice", privileges={1000: NOW + HOUR}), user_account="alice"),
            of(t006("alice", "", privileges={1000: NOW + HOUR}), user_account="alice"),
        )
        for place in ("alice", "lesson-1", "")
    ],
    (
        FindingReason.RTM_USER_MISPLACED,
        of(t006("lesson-1", "alice", privileges={1000: NOW + HOUR})),
        of(t006("lesson-1", "alice", privileges={1: NOW + HOUR, 1000: NOW + HOUR})),
    ),
    (
        FindingReason.CHAT_USER_ID_FORM,
        of(t007(v007.chat(CHAT_UUID, {1: HOUR})), user_account="alice"),
        of(t007(v007.chat(CHAT_UUID, {1: HOUR})), user_account=CHAT_UUID),
    ),
    (
        FindingReason.CHAT_USER_ID_FORM,
        of(t007(v007.chat("alice", {1: HOUR})), user_account=CHAT_UUID, error="104"),
        of(t007(v007.chat("bob", {1: HOUR})), user_account="alice", error="104"),
    ),
    (
        FindingReason.CHAT_USER_ID_FORM,
        of(t007(v007.chat(CHAT_UUID, {1: HOUR})), user_account="alice"),
        of(t007(rtm(CHAT_UUID)), user_account="alice"),
    ),
    (
        FindingReason.ACCOUNT_FOR_UID,
        of(t007(rtc(uid="4a50cb3b-6a0c")), uid=7),
        of(t007(rtc(uid="4")), uid=7),
    ),
    (FindingReason.UID_FOR_ACCOUNT, of(GOOD, user_account="alice"), of(GOOD, user_account="7")),
    (FindingReason.UID_ZERO_AS_TEXT, of(t007(rtc(uid="0")), uid=7), of(t007(rtc(uid="")), uid=7)),
    (
        FindingReason.UID_ZERO_AS_TEXT,
        of(t007(rtc(uid="0"))),
        of(t007(rtc(uid="0")), user_account="0"),
    ),
    (FindingReason.UID_ZERO_AS_TEXT, of(t006(uid="0")), of(t006(uid=""))),
    (
        FindingReason.UID_OUT_OF_RANGE,
        of(t007(rtc(uid="4294967296"))),
        of(t007(rtc(uid="4294967295"))),
    ),
    (FindingReason.UID_OUT_OF_RANGE, of(GOOD, uid=7894561230), of(GOOD, uid=2**32 - 1)),
    (FindingReason.UID_OUT_OF_RANGE, of(GOOD, uid=-1), of(GOOD, uid=0)),
    (FindingReason.UID_OUT_OF_RANGE, of(t006(), uid=2**32), of(t006(), user_account=str(2**32))),
    (FindingReason.UID_OUT_OF_RANGE, of(t007(rtc(uid="-7"))), of(t007(rtc(uid="-seven")))),
    (FindingReason.UNSET_AS_TEXT, of(t007(rtc("null"))), of(t007(rtc("nulls")))),
    (FindingReason.UNSET_AS_TEXT, of(t006("NaN")), of(t006("nan"))),
    (FindingReason.UNSET_AS_TEXT, of(t006(uid="None")), of(t006(uid="none"))),
    (FindingReason.UNSET_AS_TEXT, of(t007(rtm("undefined"))), of(t007(rtm("undefined1")))),
    (
        FindingReason.UNSET_AS_TEXT,
        of(whiteboard(content={"role": "1", "uuid": "null"})),
        of(whiteboard(content={"role": "null", "uuid": "nul"})),
    ),
    (
        FindingReason.UNSET_AS_TEXT,
        of(t007(v007.education("undefined", "alice", 1, {1: HOUR}))),
        of(t007(v007.education("defined", "alice", 1, {1: HOUR}))),
    ),
    (FindingReason.ANY_USER, of(t007(rtc(uid=""))), of(t007(rtc(uid="0")))),
    (FindingReason.ANY_USER, of(t006(uid="")), of(RTM_006)),
    (
        FindingReason.WRONG_ROOM,
        of(ROOM_TOKEN, room_uuid=ROOM[:-1]),
        of(ROOM_TOKEN, room_uuid=ROOM),
    ),
    (
        FindingReason.WRONG_ROOM,
        of(t007(v007.education("r1", "alice", 2, {1: HOUR})), room_uuid="r2"),
        of(t007(v007.education("r2", "alice", 2, {1: HOUR})), room_uuid="r2"),
    ),
    (
        FindingReason.WRONG_ROOM,
        of(ROOM_TOKEN, room_uuid=DASHED_ROOM[:-1]),
        of(ROOM_TOKEN, room_uuid=DASHED_ROOM),
    ),
    (
        FindingReason.ROOM_SPELLING,
        of(ROOM_TOKEN, room_uuid=DASHED_ROOM),
        of(ROOM_TOKEN, room_uuid=ROOM),
    ),
    (
        FindingReason.ROOM_SPELLING,
        of(whiteboard(content={"role": "1", "uuid": DASHED_ROOM}), room_uuid=ROOM),
        of(whiteboard(content={"role": "1", "uuid": DASHED_ROOM}), room_uuid=DASHED_ROOM),
    ),
    # The product.
    (FindingReason.RTC_TOKEN_FOR_RTM, of(GOOD, error_code=5), of(GOOD, error_code=110)),
    (FindingReason.RTC_TOKEN_FOR_RTM, of(t006(), error_code=6), of(RTM_006, error_code=6)),
    (
        FindingReason.RTC_TOKEN_FOR_RTM,
        of(t007(rtc()), error_code=5),
        of(t007(rtc(), rtm()), error_code=5),
    ),
    (
        FindingReason.RTC_TOKEN_FOR_RTM,
        of(t007(rtc()), error_code=5, user_account="7"),
        of(t007(rtc()), error_code=5, channel_name="lesson-1", user_account="7"),
    ),
    (FindingReason.RTC_TOKEN_FOR_RTM, of(GOOD, error_code=6), of(GOOD, error_code=6, uid=7)),
    (FindingReason.RTC_TOKEN_FOR_RTM, of(GOOD, error_code=-10005), of(GOOD, error_code=-10006)),
    (
        FindingReason.RTC_TOKEN_FOR_RTM,
        of(GOOD, error_code=-10009),
        of(t007(rtm()), error_code=-10009),
    ),
    (
        FindingReason.RTM_TOKEN_FOR_RTC,
        of(t007(rtm()), channel_name="lesson-1"),
        of(t007(rtm(), rtc()), channel_name="lesson-1"),
    ),
    (
        FindingReason.RTM_TOKEN_FOR_RTC,
        of(t007(rtm()), channel_name="room", user_account="alice", error_code=110),
        of(t007(rtm()), channel_name="room", user_account="alice", error_code=5),
    ),
    (
        FindingReason.RTM_TOKEN_FOR_RTC,
        of(t007(rtm()), channel_name="room", product=Product.RTC),
        of(t007(rtm()), channel_name="room", product=Product.RTM),
    ),
    (FindingReason.RTM_TOKEN_FOR_RTC, of(RTM_006, error_code=110), of(RTM_006, error_code=5)),
    (FindingReason.WRONG_PRODUCT, of(ROOM_TOKEN, error_code=110), of(GOOD, error_code=110)),
    (
        FindingReason.WRONG_PRODUCT,
        of(t007(v007.chat("alice", {1: HOUR})), error_code=5),
        of(t007(rtm()), error_code=5),
    ),
    (
        FindingReason.WRONG_PRODUCT,
        of(GOOD, error_code=104),
        of(t007(v007.chat("alice", {1: HOUR})), error_code=104),
    ),
    (
        FindingReason.WRONG_PRODUCT,
        of(t007(rtm()), product=Product.CHAT),
        of(t007(rtm(), v007.chat("alice", {1: HOUR})), product=Product.CHAT),
    ),
    (
        FindingReason.WRONG_PRODUCT,
        of(GOOD, product=Product.WHITEBOARD),
        of(ROOM_TOKEN, product=Product.WHITEBOARD),
    ),
    (FindingReason.WRONG_PRODUCT, of(GOOD, room_uuid=ROOM), of(ROOM_TOKEN, room_uuid=ROOM)),
    (FindingReason.WRONG_PRODUCT, of(ROOM_TOKEN, uid=7), of(ROOM_TOKEN, uid=7, room_uuid=ROOM)),
    (
        FindingReason.WRONG_PRODUCT,
        of(t007(v007.streaming("lesson-1", "7", {1: HOUR})), error_code=110, **RTC_USE),
        of(t007(v007.streaming("lesson-1", "7", {1: HOUR})), **RTC_USE),
    ),
    (
        FindingReason.WRONG_PRODUCT,
        of(t007(v007.fcdn("lesson-1", "7", {1: HOUR})), error_code=110, **RTC_USE),
        of(t007(v007.fcdn("lesson-1", "7", {1: HOUR}), rtc()), error_code=110, **RTC_USE),
    ),
    (
        FindingReason.NO_JOIN_PRIVILEGE,
        of(t007(rtc(rights={2: HOUR, 3: HOUR, 4: HOUR}))),
        of(t007(rtc(rights={1: HOUR}))),
    ),
    (
        FindingReason.NO_LOGIN_PRIVILEGE,
        of(t007(v007.education("r", "u", 1, {}))),
        of(t007(v007.education("r", "u", 1, {1: HOUR}))),
    ),
    (
        FindingReason.SUBSCRIBER_NOT_ENFORCED,
        of(t007(rtc(rights={1: HOUR}))),
        of(t007(rtc(rights=publisher()))),
    ),
    (FindingReason.LEGACY_FORMAT_006, of(t006()), of(t007())),
    (FindingReason.LEGACY_FORMAT_006, of(t006(), error_code=110), of(t007(), error_code=110)),
    (FindingReason.RTM_PERMISSIONS_INACTIVE, of(rtm_permissions(1)), of(t007(rtm()))),
    (FindingReason.RTM_PERMISSIONS_INACTIVE, of(rtm_permissions(0)), of(t007(rtc(), rtm()))),
    (
        FindingReason.APP_TOKEN_SERVER_SIDE_ONLY,
        of(t007(v007.chat("", {2: HOUR}))),
        of(t007(v007.chat("", {1: HOUR}))),
    ),
    (
        FindingReason.APP_TOKEN_SERVER_SIDE_ONLY,
        of(t007(v007.education("", "", -1, {3: HOUR}))),
        of(t007(v007.education("", "", -1, {2: HOUR}))),
    ),
    (FindingReason.SDK_TOKEN_SERVER_SIDE_ONLY, of(whiteboard("sdk")), of(whiteboard("room"))),
    (
        FindingReason.PREFIX_RELABELLED,
        of(relabelled(ROOM_TOKEN, "NETLESSSDK")),
        of(relabelled(ROOM_TOKEN, "NETLESSTASK")),
    ),
    (
        FindingReason.PREFIX_RELABELLED,
        of(relabelled(whiteboard("sdk"), "NETLESSROOM")),
        of(ROOM_TOKEN),
    ),
    (FindingReason.UUID_SHORT, of(ROOM_TOKEN[:-16], keys=()), of(ROOM_TOKEN, keys=())),
    (
        FindingReason.UUID_SHORT,
        of(ROOM_TOKEN[:-39]),
        of(whiteboard(content={"role": "1", "uuid": ROOM[:3]})),
    ),
    (
        FindingReason.UUID_SHORT,
        of(whiteboard("task", content={"role": "1", "uuid": "4a50"}), keys=()),
        of(whiteboard("task", content={"role": "1", "uuid": "4a5x"}), keys=()),
    ),
    (
        FindingReason.ROLE_UNKNOWN,
        of(whiteboard(content={"role": "3", "uuid": ROOM})),
        of(whiteboard(content={"role": "2", "uuid": ROOM})),
    ),
    (
        FindingReason.ROLE_UNKNOWN,
        of(whiteboard(content={"uuid": ROOM})),
        of(whiteboard(content={"uuid": ROOM, "role": "0"})),
    ),
    # The times.
    (
        FindingReason.EXPIRED,
        of(GOOD, now_ms=(NOW + HOUR) * 1000),
        of(GOOD, now_ms=(NOW + HOUR) * 1000 - 1),
    ),
    (
        FindingReason.EXPIRED,
        of(GOOD, at_ms=(NOW + HOUR) * 1000),
        of(GOOD, at_ms=NOW_MS, now_ms=NOW_MS + 2 * HOUR * 1000),
    ),
    (
        FindingReason.EXPIRED,
        of(t006(privileges=publisher(NOW))),
        of(t006(privileges=publisher(NOW + 1))),
    ),
    (
        FindingReason.EXPIRED,
        of(ROOM_TOKEN, now_ms=NOW_MS + HOUR * 1000),
        of(ROOM_TOKEN, now_ms=NOW_MS + HOUR * 1000 - 1),
    ),
    # Agora ends tokens after a day, whatever they say.
    (
        FindingReason.EXPIRED,
        of(t007(rtc(rights=publisher(9 * DAY)), issued_at=NOW - DAY, expire_seconds=9 * DAY)),
        of(t007(rtc(rights=publisher(9 * DAY)), issued_at=NOW - DAY + 1, expire_seconds=9 * DAY)),
    ),
    (FindingReason.JOIN_ENDED, of(early(join=HOUR)), of(early(join=HOUR + 1))),
    (
        FindingReason.JOIN_ENDED,
        of(rtc_and_rtm(3480, 60)),
        of(rtc_and_rtm(3480, 60), **RTC_USE),
    ),
    (
        FindingReason.JOIN_ENDED,
        of(rtc_and_rtm(60, 3480), **RTC_USE),
        of(rtc_and_rtm(60, 3480), **RTM_USE),
    ),
    (
        FindingReason.JOIN_ENDED,
        of(rtc_and_rtm(3480, 60), **RTM_USE),
        of(rtc_and_rtm(3480, 121), **RTM_USE),
    ),
    (
        FindingReason.JOIN_ENDED,
        of(t007(rtc(rights={1: 1}), rtc("lesson-2"), issued_at=NOW - 9), channel_name="lesson-1"),
        of(t007(rtc(rights={1: 1}), rtc("lesson-2"), issued_at=NOW - 9), channel_name="lesson-2"),
    ),
    (FindingReason.PUBLISH_ENDED, of(early(audio=HOUR)), of(early(audio=HOUR + 1))),
    (
        FindingReason.PUBLISH_ENDED,
        of(
            t007(rtc(rights=publisher() | {2: 60}), rtm(seconds=60), issued_at=NOW - 120), **RTC_USE
        ),
        of(
            t007(rtc(rights=publisher() | {2: 60}), rtm(seconds=60), issued_at=NOW - 120), **RTM_USE
        ),
    ),
    (FindingReason.CLOCK_SKEW, of(t007(issued_at=NOW + 31)), of(t007(issued_at=NOW + 30))),
    (
        FindingReason.CLOCK_SKEW,
        of(GOOD, error_code=109),
        of(GOOD, error_code=109, now_ms=(NOW + HOUR) * 1000),
    ),
    (FindingReason.CLOCK_SKEW, of(t007(rtm()), error_code=6), of(t007(rtm()), error_code=5)),
    (FindingReason.CLOCK_SKEW, of(GOOD, error_code=9), of(GOOD, error_code=8)),
    (
        FindingReason.CLOCK_SKEW,
        of(GOOD, error="dynamic key or token timeout"),
        of(GOOD, error="dynamic use static key"),
    ),
    (
        FindingReason.CLOCK_SKEW,
        of(t007(v007.chat("alice", {1: HOUR})), error_code=108),
        of(t007(v007.chat("alice", {1: HOUR})), error_code=104),
    ),
    (
        FindingReason.CLOCK_SKEW,
        of(t007(rtm()), error_code=-10009),
        of(t007(rtm()), error_code=-10005),
    ),
    (
        FindingReason.CLOCK_SKEW,
        of(RTM_006, error_code=6),
        of(t006("alice", "", privileges={1000: 0}), error_code=6),
    ),
    (
        FindingReason.CLOCK_SKEW,
        of(early(audio=HOUR + 1), error_code=109),
        of(early(audio=HOUR), error_code=109),
    ),
    (
        FindingReason.CLOCK_SKEW,
        of(t007(rtc(rights={1: 1}), rtm(), issued_at=NOW - 9), error_code=6),
        of(t007(rtc(), rtm(seconds=1), issued_at=NOW - 9), error_code=6),
    ),
    (
        FindingReason.EPOCH_AS_SECONDS,
        of(t007(expire_seconds=NOW + HOUR)),
        of(t007(expire_seconds=HOUR)),
    ),
    (
        FindingReason.EPOCH_AS_SECONDS,
        of(t007(rtc(rights=publisher(NOW + HOUR)))),
        of(t007(rtc(rights=publisher(9 * DAY)))),
    ),
    (
        FindingReason.SECONDS_AS_EPOCH,
        of(t006(privileges=publisher(HOUR))),
        of(t006(privileges=publisher(NOW + HOUR))),
    ),
    (
        FindingReason.SECONDS_AS_EPOCH,
        of(t006("alice", "", privileges={1000: 1})),
        of(t006("alice", "", privileges={1000: 0})),
    ),
    (
        FindingReason.ENDS_BEFORE_ISSUE,
        of(t006(privileges=publisher(NOW - 1))),
        of(t006(privileges=publisher(NOW))),
    ),
    (
        FindingReason.ENDS_BEFORE_ISSUE,
        of(t006("alice", "", privileges={1000: NOW - DAY})),
        of(t006("alice", "", privileges={1000: HOUR})),
    ),
    (
        FindingReason.EXPIRY_IN_SECONDS,
        of(whiteboard(now_ms=NOW, lifespan_ms=HOUR)),
        of(whiteboard(now_ms=NOW_MS, lifespan_ms=HOUR)),
    ),
    # The nonce of the original libraries is a UUID of version 1, which has the time of issue.
    (
        FindingReason.LIFESPAN_IN_SECONDS,
        of(whiteboard(lifespan_ms=HOUR, nonce=uuid_1(NOW_MS))),
        of(whiteboard(lifespan_ms=HOUR * 1000, nonce=uuid_1(NOW_MS))),
    ),
    (
        FindingReason.LIFESPAN_IN_SECONDS,
        of(whiteboard("sdk", lifespan_ms=DAY, nonce=uuid_1(NOW_MS - 2))),
        of(whiteboard("sdk", lifespan_ms=60_000, nonce=uuid_1(NOW_MS - 2))),
    ),
    (
        FindingReason.LIFESPAN_IN_SECONDS,
        of(whiteboard(lifespan_ms=600, nonce=uuid_1(NOW_MS)), now_ms=NOW_MS + DAY * 1000),
        of(whiteboard(lifespan_ms=600), now_ms=NOW_MS + DAY * 1000),
    ),
    (
        FindingReason.EPOCH_AS_LIFESPAN,
        of(whiteboard(lifespan_ms=NOW_MS + HOUR * 1000)),
        of(whiteboard(lifespan_ms=10 * 365 * DAY * 1000)),
    ),
    (
        FindingReason.EPOCH_AS_LIFESPAN,
        of(whiteboard("sdk", lifespan_ms=NOW_MS, nonce=uuid_1(NOW_MS))),
        of(whiteboard("sdk", lifespan_ms=0, nonce=uuid_1(NOW_MS))),
    ),
    (
        FindingReason.LIFE_OVER_24_HOURS,
        of(t007(expire_seconds=DAY + 1)),
        of(t007(expire_seconds=DAY)),
    ),
    (
        FindingReason.LIFE_OVER_24_HOURS,
        of(t006(privileges=publisher(NOW + DAY + 1))),
        of(t006(privileges=publisher(NOW + DAY))),
    ),
    (FindingReason.ZERO_LIFE, of(t007(expire_seconds=0)), of(t007(expire_seconds=1))),
    (FindingReason.ZERO_LIFE, of(t006(privileges=publisher(0))), of(t006(privileges=publisher(1)))),
    (
        FindingReason.ZERO_LIFE,
        of(t006("alice", "", privileges={1000: 0})),
        of(t006(privileges={1: NOW + HOUR, 77: 0})),
    ),
    (
        FindingReason.SHORT_LIFE,
        of(t007(rtc(rights=publisher(60)), expire_seconds=60)),
        of(t007(rtc(rights=publisher(61)), expire_seconds=61)),
    ),
    (FindingReason.SHORT_LIFE, of(t007(rtm(seconds=60))), of(t007(rtm(seconds=61)))),
    (
        FindingReason.SHORT_LIFE,
        of(t007(rtc(), rtm(seconds=60))),
        of(t007(rtc(), rtm(seconds=60)), channel_name="lesson-1"),
    ),
    (
        FindingReason.JOIN_ENDS_BEFORE_PUBLISH,
        of(t007(rtc(rights=publisher() | {1: HOUR - 1}))),
        of(t007(rtc(rights=publisher() | {2: HOUR - 1}))),
    ),
    (
        FindingReason.JOIN_ENDS_BEFORE_PUBLISH,
        of(t007(rtc(rights={1: HOUR, 2: 2 * HOUR}), expire_seconds=HOUR + 1)),
        of(t007(rtc(rights={1: HOUR, 2: 2 * HOUR}), expire_seconds=HOUR)),
    ),
    (
        FindingReason.JOIN_ENDS_BEFORE_PUBLISH,
        of(t007(rtc(rights={1: DAY - 1, 2: DAY + HOUR}), expire_seconds=2 * DAY)),
        of(t007(rtc(rights={1: DAY, 2: DAY + HOUR}), expire_seconds=2 * DAY)),
    ),
    (
        FindingReason.JOIN_ENDS_BEFORE_PUBLISH,
        of(t007(rtc(rights={1: 600, 2: 0}))),
        of(t007(rtc(rights={1: 0, 2: 600}))),
    ),
    (
        FindingReason.JOIN_ENDS_BEFORE_PUBLISH,
        of(t006(privileges={1: NOW + 600, 2: NOW + 601})),
        of(t006(privileges={1: NOW + 600, 2: 0})),
    ),
    (
        FindingReason.JOIN_ENDS_BEFORE_PUBLISH,
        of(t006(privileges={1: NOW + DAY - 1, 2: NOW + 2 * DAY})),
        of(t006(privileges={1: NOW + DAY, 2: NOW + 2 * DAY})),
    ),
    (
        FindingReason.PRIVILEGE_OUTLIVES_TOKEN,
        of(t007(rtc(rights=publisher(HOUR + 1)))),
        of(t007(rtc(rights=publisher(HOUR)))),
    ),
    (FindingReason.NON_EXPIRING, of(whiteboard(lifespan_ms=0)), of(whiteboard(lifespan_ms=1))),
    # The error, where the token does not explain it.
    (FindingReason.APP_ID_REFUSED, of(GOOD, error_code=101), of(GOOD, error_code=110)),
    (
        FindingReason.APP_ID_REFUSED,
        of(GOOD, error=WEB_ERROR.format("invalid vendor key, can not find appid")),
        of(GOOD, error=WEB_ERROR.format("invalid token, authorized failed")),
    ),
    (FindingReason.APP_ID_REFUSED, of(t007(rtm()), error_code=4), of(t007(rtm()), error_code=7)),
    (
        FindingReason.APP_ID_REFUSED,
        of(GOOD, error_code=101, app_id=APP_ID),
        of(GOOD, error_code=101, app_id=OTHER_APP_ID),
    ),
    (FindingReason.CERTIFICATE_NOT_ENABLED, of(GOOD, error_code=119), of(GOOD, error_code=118)),
    *[
        (FindingReason.TOKEN_NOT_SENT, of(GOOD, error=text), of(GOOD, error=other))
        for text, other in (
            ("dynamic use static key", "static use dynamic key"),
            (WEB_ERROR.format("dynamic use static key"), WEB_ERROR.format("no authorized")),
            (
                "The vendor enabled the dynamic key, but uses the static key.",
                "The vendor enabled the dynamic key.",
            ),
        )
    ],
    (
        FindingReason.REFUSED_UNEXPLAINED,
        of(GOOD, error_code=110, uid=7),
        of(GOOD, error_code=110, uid=8),
    ),
    (
        FindingReason.REFUSED_UNEXPLAINED,
        of(t007(rtm()), error_code=5),
        of(t007(rtm(), app_certificate=UNKNOWN_CERTIFICATE), error_code=5),
    ),
    (
        FindingReason.REFUSED_UNEXPLAINED,
        of(t007(rtm()), error_code=-10005),
        of(t007(rtm()), error_code=-10006),
    ),
    *[
        (
            FindingReason.REFUSED_UNEXPLAINED,
            of(GOOD, error_code=110),
            of(text, error_code=110),
        )
        for text in (quote(GOOD), f"{GOOD}\n", f'"{GOOD}"', f"Bearer {GOOD}")
    ],
    (
        FindingReason.REFUSED_UNEXPLAINED,
        of(t007(app_certificate=OLD_CERTIFICATE), error_code=110),
        of(t007(app_id="0" * 32), app_id="0" * 32, error_code=110),
    ),
    (
        FindingReason.REFUSED_UNEXPLAINED,
        of(GOOD, error_code=110, **RTC_USE),
        of(t006(), error_code=110, **RTC_USE),
    ),
    (
        FindingReason.REFUSED_UNEXPLAINED,
        of(t007(rtm()), error_code=5),
        of(RTM_006, error_code=5),
    ),
    *[
        (FindingReason.REFUSED_UNEXPLAINED, of(GOOD, error=text), of(GOOD, error=other))
        for text, other in (
            ("8", "10"),
            ("ERR_INVALID_TOKEN", "ERR_INVALID_TOKENS"),
            ("AgoraRTCError CAN_NOT_GET_GATEWAY_SERVER", "AgoraRTCError CAN_NOT_GET_GATEWAY"),
            ("invalid token, authorized failed", "authorized failed"),
            ("flag: 4096", "flag: 4097"),
            ("Error code: 110", "Error code: 1100"),
            ("AgoraConnectionChangedInvalidToken", "AgoraConnectionChangedInvalidChannelName"),
        )
    ],
    (FindingReason.CODE_NOT_ABOUT_TOKENS, of(GOOD, error="gibberish"), of(GOOD, error="  ")),
    (
        FindingReason.CODE_NOT_ABOUT_TOKENS,
        of(t007(rtm()), error_code=9),
        of(t007(rtc()), error_code=9),
    ),
    (FindingReason.CODE_NOT_ABOUT_TOKENS, of(GOOD, error_code=17), of(GOOD, error_code=110)),
    (FindingReason.CODE_NOT_ABOUT_TOKENS, of(GOOD, error_code=-10006), of(GOOD, error_code=-10005)),
    (
        FindingReason.CODE_NOT_ABOUT_TOKENS,
        of(GOOD, error_code=5, **RTC_USE),
        of(t007(rtm()), **RTM_USE),
    ),
]

# More that must not trigger it: one cause has one finding.
MISSES: list[tuple[FindingReason, Trial]] = [
    (FindingReason.WHITESPACE, of(with_plus().replace("+", " "))),
    (FindingReason.TRUNCATED, of(netless(f"ak={ACCESS_KEY}&sig=short&uuid={ROOM}"))),
    (FindingReason.SIGNATURE_WRONG, of(t007(app_certificate=OTHER_CERTIFICATE))),
    (FindingReason.KEY_UNKNOWN, of(t007(app_id="0" * 32, app_certificate=OTHER_CERTIFICATE))),
    (FindingReason.SIGNATURE_UNCHECKED, of(t006()[:-4])),
    (FindingReason.SIGNATURE_UNCHECKED, of(GOOD[:-4])),
    (FindingReason.SIGNATURE_UNCHECKED, of(t006(app_id="0" * 32))),
    (FindingReason.WRONG_APP_ID, of(ROOM_TOKEN, app_id=OTHER_APP_ID)),
    (FindingReason.WRONG_APP_ID, of(GOOD, app_id=f"{APP_ID} ")),
    (FindingReason.APP_ID_SPELLING, of(GOOD)),
    (FindingReason.APP_ID_SPELLING, of(sealed_007(b"\1\0 " + bytes(14)))),
    (FindingReason.APP_ID_MALFORMED, of(t007(app_id=CERTIFICATE))),
    (FindingReason.APP_ID_MALFORMED, of(ROOM_TOKEN)),
    (FindingReason.APP_ID_MALFORMED, of("007")),
    (FindingReason.WRONG_CHANNEL, of(t007(rtc("Lesson-1 ")), channel_name="lesson-1")),
    (FindingReason.WRONG_CHANNEL, of(t007(rtc("a"), rtc("b")), channel_name="b")),
    (FindingReason.CHANNEL_SPELLING, of(t007(rtc("A"), rtc("a")), channel_name="a")),
    (FindingReason.WRONG_ROOM, of(whiteboard("sdk"), room_uuid=ROOM)),
    (FindingReason.WRONG_USER, of(t007(rtc(uid="")), uid=7)),
    (FindingReason.WRONG_USER, of(t007(rtc(uid="0")), uid=7)),
    (FindingReason.WRONG_USER, of(t007(rtc(uid="Alice")), user_account="alice")),
    (FindingReason.WRONG_USER, of(t007(rtc(uid="alice")), uid=7)),
    (FindingReason.WRONG_USER, of(GOOD, user_account="alice")),
    (FindingReason.WRONG_USER, of(t007(rtc("*", "8"), rtc()), uid=7)),
    (FindingReason.WRONG_USER, of(t007(rtc("", "8"), rtc()), uid=7)),
    (FindingReason.ACCOUNT_FOR_UID, of(t007(rtc(uid="bob")), user_account="alice")),
    (FindingReason.UID_FOR_ACCOUNT, of(t007(rtc(uid="bob")), user_account="alice")),
    (FindingReason.UID_FOR_ACCOUNT, of(t007(rtm("7")), user_account="alice")),
    (FindingReason.UID_FOR_ACCOUNT, of(GOOD, uid=8)),
    (FindingReason.USER_SPELLING, of(t007(rtc(uid="0")), uid=0)),
    (FindingReason.UID_ZERO_AS_TEXT, of(t007(rtm("0")), uid=7)),
    (FindingReason.UID_ZERO_AS_TEXT, of(t007(rtc(), rtc("lesson-2", "0")), **RTC_USE)),
    (FindingReason.UID_OUT_OF_RANGE, of(t007(rtc(uid="0")))),
    (FindingReason.ANY_USER, of(t007(v007.chat("", {2: HOUR})))),
    (FindingReason.RTC_TOKEN_FOR_RTM, of(t007(v007.chat("alice", {1: HOUR})), error_code=5)),
    (FindingReason.RTC_TOKEN_FOR_RTM, of(CUT_RTC, error_code=5)),
    (FindingReason.RTC_TOKEN_FOR_RTM, of(GOOD, error_code=5, **RTC_USE)),
    (FindingReason.RTM_TOKEN_FOR_RTC, of(t007(v007.chat("a", {1: HOUR})), channel_name="c")),
    (FindingReason.RTM_TOKEN_FOR_RTC, of(CUT_RTM, channel_name="c")),
    (FindingReason.WRONG_PRODUCT, of(GOOD, error_code=5)),
    (FindingReason.WRONG_PRODUCT, of(t007(rtm()), channel_name="c")),
    (FindingReason.WRONG_PRODUCT, of("007", error_code=110)),
    (
        FindingReason.WRONG_PRODUCT,
        of(t007(v007.education("r", "u", 1, {1: HOUR})), room_uuid="r"),
    ),
    (FindingReason.NO_JOIN_PRIVILEGE, of(t007(rtm()))),
    (FindingReason.NO_LOGIN_PRIVILEGE, of(t007(v007.fpa({}), v007.stt({})))),
    (FindingReason.SUBSCRIBER_NOT_ENFORCED, of(t007(rtc(rights={2: HOUR})))),
    (FindingReason.LEGACY_FORMAT_006, of("006")),
    (FindingReason.SDK_TOKEN_SERVER_SIDE_ONLY, of("NETLESSSDK_")),
    (FindingReason.PREFIX_RELABELLED, of(whiteboard("sdk"))),
    (FindingReason.PREFIX_RELABELLED, of(ROOM_TOKEN[:-80])),
    (FindingReason.ROLE_UNKNOWN, of("NETLESSROOM_YWs9YQ")),
    (FindingReason.EXPIRED, of(early(join=HOUR))),
    (FindingReason.JOIN_ENDED, of(GOOD, now_ms=(NOW + HOUR) * 1000)),
    (FindingReason.PUBLISH_ENDED, of(GOOD, now_ms=(NOW + HOUR) * 1000)),
    (
        FindingReason.PUBLISH_ENDED,
        of(t007(rtc(rights=publisher(2 * HOUR) | {77: 1}), issued_at=NOW - 9)),
    ),
    (FindingReason.CLOCK_SKEW, of(GOOD[:-4], error_code=109)),
    (FindingReason.CLOCK_SKEW, of(GOOD)),
    (FindingReason.CLOCK_SKEW, of(whiteboard(lifespan_ms=0), error_code=109)),
    (FindingReason.REFUSED_UNEXPLAINED, of(t007(issued_at=NOW + 31), error_code=110)),
    (FindingReason.REFUSED_UNEXPLAINED, of(GOOD, error_code=5, **RTC_USE)),
    (FindingReason.EPOCH_AS_SECONDS, of(t006())),
    (FindingReason.SECONDS_AS_EPOCH, of(t007())),
    (FindingReason.SECONDS_AS_EPOCH, of(t006(privileges={}))),
    (FindingReason.EXPIRY_IN_SECONDS, of(t006(privileges={1: HOUR}))),
    (FindingReason.LIFE_OVER_24_HOURS, of(t007(expire_seconds=NOW + HOUR))),
    (FindingReason.LIFE_OVER_24_HOURS, of(t007(v007.service(99, {1: 9 * DAY})))),
    (FindingReason.SHORT_LIFE, of(t006(privileges=publisher(HOUR)))),
    (FindingReason.SHORT_LIFE, of(whiteboard(lifespan_ms=1000))),
    (FindingReason.JOIN_ENDS_BEFORE_PUBLISH, of(t007(rtc(rights=publisher() | {77: DAY})))),
    (FindingReason.JOIN_ENDS_BEFORE_PUBLISH, of(t007(rtc(rights={2: HOUR})))),
    (FindingReason.PRIVILEGE_OUTLIVES_TOKEN, of(t007(expire_seconds=0))),
    (FindingReason.PRIVILEGE_OUTLIVES_TOKEN, of(t006())),
    (FindingReason.NON_EXPIRING, of("NETLESSROOM_YWs9YQ")),
    *[
        (FindingReason.CODE_NOT_ABOUT_TOKENS, of(GOOD, error_code=code))
        for code in (101, 119, 118, 5, 6)
    ],
    *[
        (FindingReason.CODE_NOT_ABOUT_TOKENS, of(GOOD, error_code=code))
        for code in (-10005, -10009)
    ],
    *[(FindingReason.CLOCK_SKEW, of(GOOD, error_code=code)) for code in (101, 110, 119, 5)],
    *[(FindingReason.CLOCK_SKEW, of(GOOD, error_code=code, **RTC_USE)) for code in (2, 6)],
]
HITS: list[tuple[FindingReason, Trial]] = [
    *[(FindingReason.CLOCK_SKEW, of(GOOD, error_code=code)) for code in (109, 118)],
    *[(FindingReason.CLOCK_SKEW, of(t007(rtm()), error_code=code)) for code in (6, -10009)],
    (FindingReason.WRONG_PRODUCT, of(whiteboard(lifespan_ms=0), error_code=109)),
    *[
        (FindingReason.RTM_TOKEN_FOR_RTC, of(t007(rtm()), error_code=code))
        for code in (101, 109, 110, 118, 119)
    ],
    (FindingReason.WRONG_USER, of(t007(rtc(uid="bob")), user_account="alice")),
    (FindingReason.NO_JOIN_PRIVILEGE, of(t006(privileges={}))),
    (FindingReason.ANY_USER, of(t006(uid="", privileges={1: NOW + HOUR, 1000: NOW + HOUR}))),
]

# The token, and a part of the sentences about it.
SAYINGS: list[tuple[FindingReason, Trial, str]] = [
    (
        FindingReason.SIGNED_WITH_OTHER_KEY,
        of(whiteboard(secret_key=OTHER_SECRET_KEY)),
        "has the access key 'a-test-access-key', but is signed with the active key 'lab-ak' of "
        "project 'lab', which belongs to the access key 'another-access-key'.",
    ),
    (
        FindingReason.SIGNATURE_WRONG,
        of(t007(app_certificate=UNKNOWN_CERTIFICATE)),
        f"App ID '{APP_ID}'",
    ),
    (
        FindingReason.WRONG_CHANNEL,
        of(t006(), channel_name="x"),
        "'x'; the token is for another one, or for another spelling of it.",
    ),
    (FindingReason.WRONG_USER, of(GOOD, uid=8), "logged in as uid 8; the token is for '7'."),
    (FindingReason.WRONG_USER, of(GOOD, uid=0), "joined with uid 0, so that Agora chose a uid"),
    (
        FindingReason.WRONG_USER,
        of(t007(rtm("bob")), user_account="al"),
        "logged in as 'al'; the",
    ),
    (
        FindingReason.WRONG_PRODUCT,
        of(ROOM_TOKEN, error_code=5),
        "the whiteboard, and was used to log in",
    ),
    (
        FindingReason.WRONG_PRODUCT,
        of(t007(v007.chat("a", {1: HOUR}), v007.fpa({1: 0})), uid=7),
        "is for FPA and Chat, and was used to join an RTC channel.",
    ),
    (
        FindingReason.WRONG_PRODUCT,
        of(t007(v007.service(99, {})), uid=7),
        "is for another product, and",
    ),
    (
        FindingReason.WRONG_PRODUCT,
        of(GOOD, room_uuid="r"),
        "is for RTC, and was used to enter a room.",
    ),
    (
        FindingReason.SUBSCRIBER_NOT_ENFORCED,
        of(t007(rtc(rights={1: HOUR, 3: HOUR}))),
        "does not grant publish_audio, publish_data; Agora",
    ),
    (
        FindingReason.PREFIX_RELABELLED,
        of(relabelled(whiteboard("sdk"), "NETLESSROOM")),
        "By its prefix this is a room token, but its content names neither a room nor a task",
    ),
    (
        FindingReason.UUID_SHORT,
        of(ROOM_TOKEN[:-16], keys=()),
        "The token's uuid has 20 hex digits instead of 32: its end is probably missing.",
    ),
    (
        FindingReason.ROLE_UNKNOWN,
        of(whiteboard(content={"uuid": ROOM})),
        "The token has no role; the roles are 0 (admin)",
    ),
    (
        FindingReason.EXPIRED,
        of(GOOD, now_ms=(NOW + 3 * HOUR) * 1000),
        "had expired 2 h before it was used: it was valid until 2023-11-14 23:13:20 UTC (1 h after",
    ),
    (
        FindingReason.JOIN_ENDED,
        of(early(join=HOUR - 60)),
        "had ended at 2023-11-14 22:12:20 UTC, 1 m before it was used",
    ),
    (
        FindingReason.PUBLISH_ENDED,
        of(early(video=HOUR - 60)),
        "privileges to publish had ended: publish_video at 2023-11-14 22:12:20 UTC.",
    ),
    (
        FindingReason.CLOCK_SKEW,
        of(t007(issued_at=NOW + HOUR), now_ms=NOW * 1000),
        "issued at 2023-11-14 23:13:20 UTC, 1 h after it was used.",
    ),
    (
        FindingReason.EPOCH_AS_SECONDS,
        of(t007(expire_seconds=NOW + HOUR)),
        "until 2077-09-27 21:26:40 UTC: 007 expects seconds from issue, and 1700003600 is a point "
        "in time (2023-11-14 23:13:20 UTC).",
    ),
    (
        FindingReason.EXPIRY_IN_SECONDS,
        of(whiteboard(now_ms=NOW, lifespan_ms=HOUR)),
        "expireAt is 1700003600: whiteboard tokens expect milliseconds, and as seconds this is "
        "2023-11-14 23:13:20 UTC.",
    ),
    (
        FindingReason.LIFE_OVER_24_HOURS,
        of(t006(privileges={1: NOW + 3 * DAY})),
        "The token asks for 3 d; Agora ends it 24 h after issue.",
    ),
    (
        FindingReason.PRIVILEGE_OUTLIVES_TOKEN,
        of(t007(rtc(rights=publisher(2 * HOUR)))),
        "A privilege lasts for 2 h; the token ends after 1 h",
    ),
    (
        FindingReason.REFUSED_UNEXPLAINED,
        of(GOOD, error_code=110),
        "(code 110), and nothing in it explains that. Provide the App ID of the SDK, the channel "
        "and the user for a more specific diagnosis.",
    ),
    (
        FindingReason.REFUSED_UNEXPLAINED,
        of(t007(rtm()), error_code=5, user_account="alice"),
        "nothing in it explains that. Provide the App ID of the SDK for a more specific diagnosis.",
    ),
    (
        FindingReason.REFUSED_UNEXPLAINED,
        of(t007(app_certificate=UNKNOWN_CERTIFICATE), keys=(), error_code=110, app_id=APP_ID),
        "nothing in it explains that, and its signature was not checked. Provide the channel and "
        "the user for a more specific diagnosis.",
    ),
    (
        FindingReason.CODE_NOT_ABOUT_TOKENS,
        of(GOOD, error_code=-10006),
        "The error (code -10006) is not about the token: it means that RTM does not allow the "
        "user id.",
    ),
    (
        FindingReason.TOKEN_NOT_SENT,
        of(GOOD, error=WEB_ERROR.format("dynamic use static key")),
        "the client sent none (ERR_DYNAMIC_USE_STATIC_KEY)",
    ),
    (
        FindingReason.REFUSED_UNEXPLAINED,
        of(GOOD, error=" 110 "),
        "Agora calls the token invalid (code 110)",
    ),
    (
        FindingReason.CODE_NOT_ABOUT_TOKENS,
        of(GOOD, error="<b>\x1b[31m strange"),
        "The error ('<b>\\x1b[31m strange') is not known here.",
    ),
    (
        FindingReason.CODE_NOT_ABOUT_TOKENS,
        of(GOOD, error_code=17),
        "The error (code 17) is not known here.",
    ),
    *[
        (
            FindingReason.CODE_NOT_ABOUT_TOKENS,
            of(GOOD, error_code=code, **RTC_USE),
            f"The error (code {code}) is about tokens only as an answer to renewToken: it means "
            f"that the new token {said}.",
        )
        for code, said in (
            (2, "had expired"),
            (3, "is invalid"),
            (4, "is for another channel"),
            (5, "is for another App ID"),
            (6, "was superseded by a newer one"),
        )
    ],
]
