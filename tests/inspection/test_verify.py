import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.tokens import (
    HOUR,
    KEYS,
    LEAKED_CERTIFICATE,
    NOW,
    OTHER_APP_ID,
    OTHER_CERTIFICATE,
    OTHER_SECRET_KEY,
    ROOM,
    UNKNOWN_CERTIFICATE,
    inspect,
    netless,
    netless_signature,
    rtc,
    says_the_same,
    sealed_007,
    t006,
    t007,
    whiteboard,
)
from support.keys import ACCESS_KEY, APP_ID, CERTIFICATE, OLD_CERTIFICATE, SECRET_KEY, certificate
from token_authority_server.formats import service_packing as v007
from token_authority_server.inspection import Signature, Verdict
from token_authority_server.keyring import AppCertificate, KeyState, Secret

LAB_CERTIFICATE, LAB_ACCESS_KEY = KEYS[4], KEYS[5]
ACTIVE = Signature(Verdict.VALID, "classroom", "cert-2", KeyState.ACTIVE)
RETIRED = Signature(Verdict.VALID, "classroom", "cert-1", KeyState.VERIFY_ONLY)
DISABLED = Signature(Verdict.VALID, "classroom", "cert-0", KeyState.DISABLED)
WHITEBOARD = Signature(Verdict.VALID, "classroom", "ak-1", KeyState.ACTIVE)
INVALID = Signature(Verdict.INVALID)
UNKNOWN_KEY = Signature(Verdict.UNKNOWN_KEY)
UNVERIFIABLE = Signature(Verdict.UNVERIFIABLE)
RTM_006 = t006("alice", "", privileges={1000: NOW + HOUR})


@pytest.mark.parametrize(
    ("token", "signature"),
    [
        (t007(), ACTIVE),
        (t007(app_certificate=OLD_CERTIFICATE), RETIRED),
        (t007(app_certificate=LEAKED_CERTIFICATE), DISABLED),
        (t007(app_certificate=UNKNOWN_CERTIFICATE), INVALID),
        (
            t007(app_certificate=OTHER_CERTIFICATE),
            Signature(Verdict.INVALID, made_by_other=LAB_CERTIFICATE),
        ),
        (t007(app_id="0" * 32, app_certificate=UNKNOWN_CERTIFICATE), UNKNOWN_KEY),
        (
            t007(app_id="0" * 32, app_certificate=OTHER_CERTIFICATE),
            Signature(Verdict.UNKNOWN_KEY, made_by_other=LAB_CERTIFICATE),
        ),
        (t007(app_id=APP_ID.lower(), app_certificate=UNKNOWN_CERTIFICATE), UNKNOWN_KEY),
        (t007()[:-4], UNVERIFIABLE),
        (t007(v007.service(99, {})), ACTIVE),
        (t007(v007.fpa({}), v007.service(4, {}, b"more")), ACTIVE),
        (t007(*[rtc()] * 100), ACTIVE),
        (whiteboard(), WHITEBOARD),
        (whiteboard(secret_key="x"), INVALID),
        (
            whiteboard(secret_key=OTHER_SECRET_KEY),
            Signature(Verdict.INVALID, made_by_other=LAB_ACCESS_KEY),
        ),
        (whiteboard(access_key="x", secret_key="x"), UNKNOWN_KEY),
        (whiteboard()[:-90], UNVERIFIABLE),
        # Not a signature of the other product's, and not of nothing.
        (whiteboard(access_key=APP_ID, secret_key=CERTIFICATE), UNKNOWN_KEY),
        (netless(f"ak={ACCESS_KEY}&sig={'0' * 64}"), INVALID),
        ("", UNVERIFIABLE),
    ],
)
def test_who_signed(token: str, signature: Signature) -> None:
    assert inspect(token).signature == signature


def test_the_order_of_a_whiteboard_tokens_fields_and_how_they_are_escaped_do_not_matter() -> None:
    fields = {"role": "1", "ak": ACCESS_KEY, "uuid": 'é"\n/'}
    signature = netless_signature(fields)
    query = f"sig={signature}&uuid=%C3%A9%22%0a%2F&%72ole=%31&ak={ACCESS_KEY}"
    assert inspect(netless(query)).signature == WHITEBOARD
    assert inspect(netless(query.replace("%31", "%32"))).signature == INVALID
    assert inspect(netless(query.replace(signature, signature.upper()))).signature == INVALID


@pytest.mark.parametrize(
    ("token", "use", "signature"),
    [
        (t006(), {}, UNVERIFIABLE),
        (t006(), {"channel_name": "lesson-1"}, UNVERIFIABLE),
        (t006(), {"uid": 7}, UNVERIFIABLE),
        (t006(), {"channel_name": "lesson-1", "uid": 7}, ACTIVE),
        (t006(), {"channel_name": "lesson-1", "user_account": "7"}, ACTIVE),
        (t006(), {"channel_name": "lesson-1", "uid": 8}, UNVERIFIABLE),
        (t006(), {"channel_name": " Lesson-1", "uid": 7}, ACTIVE),
        (t006(uid=""), {"channel_name": "lesson-1"}, ACTIVE),
        (t006(uid=""), {"channel_name": "lesson-1", "uid": 8}, ACTIVE),
        (t006(uid="0"), {"channel_name": "lesson-1", "uid": 0}, ACTIVE),
        (RTM_006, {"user_account": "alice"}, ACTIVE),
        (RTM_006, {"user_account": "bob"}, UNVERIFIABLE),
        (RTM_006, {"channel_name": "lesson-1", "user_account": "alice"}, ACTIVE),
        (t006(app_certificate=OLD_CERTIFICATE), {"channel_name": "lesson-1", "uid": 7}, RETIRED),
        (
            t006(app_certificate=UNKNOWN_CERTIFICATE),
            {"channel_name": "lesson-1", "uid": 7},
            INVALID,
        ),
        (
            t006(app_certificate=OTHER_CERTIFICATE),
            {"channel_name": "lesson-1", "uid": 7},
            Signature(Verdict.INVALID, made_by_other=LAB_CERTIFICATE),
        ),
        (t006(app_id="0" * 32), {"channel_name": "x"}, UNKNOWN_KEY),
        # The same bytes are signed; only the CRCs tell them apart.
        (t006("room1", "23"), {"channel_name": "room12", "uid": 3}, UNVERIFIABLE),
    ],
)
def test_who_signed_a_006_token_for_whom(
    token: str, use: dict[str, Any], signature: Signature
) -> None:
    assert inspect(token, **use).signature == signature


def test_of_several_keys_that_fit_the_one_most_in_use_is_named() -> None:
    keys = [
        ("a", certificate("disabled", state=KeyState.DISABLED)),
        ("b", certificate("retired", state=KeyState.VERIFY_ONLY)),
        ("c", certificate("active")),
        ("d", certificate("active too")),
    ]
    assert inspect(t007(), keys=keys).signature.key_id == "active"
    assert inspect(t007(), keys=keys[:2]).signature.project == "b"


def test_keys_of_other_apps_are_tried_on_tokens_of_real_size_only() -> None:
    def signer(resources: int) -> Any:
        names = ["x" * 60] * resources
        permissions = [v007.RtmPermission(0, 0, names)]
        token = t007(v007.rtm2("u", permissions, {1: 1}), app_certificate=OTHER_CERTIFICATE)
        return inspect(token).signature.made_by_other

    assert signer(30) == LAB_CERTIFICATE
    assert signer(40) is None


def test_an_app_id_that_is_a_secret_is_not_shown() -> None:
    for token in (
        t007(app_id=CERTIFICATE, app_certificate=APP_ID),
        t006(app_id=CERTIFICATE, app_certificate=APP_ID),
        whiteboard(access_key=OTHER_SECRET_KEY, secret_key="another-access-key"),
    ):
        inspection = inspect(token, app_id=APP_ID)
        assert CERTIFICATE not in repr(inspection)
        assert OTHER_SECRET_KEY not in repr(inspection)
        assert any("not shown" in field.value for field in inspection.fields)


@pytest.mark.parametrize(
    "use",
    [{}, {"channel_name": "other", "uid": 8, "room_uuid": "other"}, {"channel_name": CERTIFICATE}],
)
@pytest.mark.parametrize(
    ("token", "secret"),
    [
        (t007(rtc(channel=CERTIFICATE)), CERTIFICATE),
        (t007(rtc(channel=f" {CERTIFICATE}")), CERTIFICATE),
        (t007(rtc(channel="x" * 70 + " " + CERTIFICATE)), CERTIFICATE),
        (t007(rtc(uid=CERTIFICATE)), CERTIFICATE),
        (t007(v007.education(CERTIFICATE, "u", 1, {1: HOUR})), CERTIFICATE),
        (sealed_007(struct.pack("<H", 33) + f"{CERTIFICATE} ".encode() + bytes(14)), CERTIFICATE),
        (whiteboard(content={"role": "1", "uuid": SECRET_KEY}), SECRET_KEY),
        (whiteboard(content={"role": SECRET_KEY, "uuid": ROOM}), SECRET_KEY),
        (whiteboard(content={"role": "1", SECRET_KEY: ROOM}), SECRET_KEY),
    ],
)
def test_a_secret_is_not_shown_wherever_it_stands(
    token: str, secret: str, use: dict[str, Any]
) -> None:
    inspection = inspect(token, **use)
    assert secret not in repr(inspection)
    assert secret[:20] not in repr(inspection)
    assert "SECRET_IN_TOKEN" in [finding.reason for finding in inspection.findings]


def test_a_secret_is_hidden_alike_in_what_it_is_compared_with() -> None:
    token = t007(rtc(channel=CERTIFICATE))
    reasons = [finding.reason for finding in inspect(token, channel_name=CERTIFICATE).findings]
    assert "WRONG_CHANNEL" not in reasons
    assert "WRONG_CHANNEL" in [one.reason for one in inspect(token, channel_name="x").findings]


def test_an_empty_id_is_no_secret() -> None:
    keys = [("p", AppCertificate("k", KeyState.ACTIVE, OTHER_APP_ID, Secret("")))]
    assert inspect("007", keys=keys).findings[0].reason == "TRUNCATED"
    assert len(inspect("007", keys=keys).findings) == 1


@given(st.integers(0, 10**6), st.sampled_from("0123456789abcdefABCDEF+/xyzXYZ_-=!"))
def test_a_token_with_another_character_is_not_valid(position: int, character: str) -> None:
    for token in (t007(), t006(), whiteboard("room"), whiteboard("sdk")):
        at = position % len(token)
        altered = token[:at] + character + token[at + 1 :]
        verdict = inspect(altered, channel_name="lesson-1", uid=7).signature.verdict
        assert verdict is not Verdict.VALID or says_the_same(altered, token)
