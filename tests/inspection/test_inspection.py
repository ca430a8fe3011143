import base64
import dataclasses
import json
import tracemalloc
import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from inspection import fuzz
from inspection.tokens import (
    HOUR,
    KEYS,
    NOW,
    inspect,
    netless,
    rtm,
    says_the_same,
    t006,
    t007,
    whiteboard,
)
from support.keys import NOW_MS
from token_authority_server.formats.fingerprint import fingerprint
from token_authority_server.inspection import (
    Expected,
    FindingReason,
    Product,
    Verdict,
    inspect_token,
)
from token_authority_server.keyring import AccessKey, AppCertificate, KeyState, Secret, SigningKey

VECTORS = fuzz.official()


def key_of(inputs: dict[str, Any]) -> SigningKey:
    if "access_key" in inputs:
        secret = Secret(inputs["secret_key"])
        return AccessKey("own", KeyState.ACTIVE, inputs["access_key"], secret)
    secret = Secret(inputs["app_certificate"])
    return AppCertificate("own", KeyState.ACTIVE, inputs["app_id"], secret)


def use_of(inputs: dict[str, Any]) -> dict[str, Any]:
    """What a 006 token has in its signature only."""
    uid = inputs.get("uid")
    if isinstance(uid, int):
        return {"channel_name": inputs.get("channel_name", ""), "uid": uid}
    account = inputs.get("account", uid)
    return {"channel_name": inputs.get("channel_name", ""), "user_account": account}


@pytest.mark.parametrize("case", VECTORS.values(), ids=VECTORS)
def test_official_tokens_are_valid_by_their_own_key_and_altered_ones_are_not(
    case: dict[str, Any],
) -> None:
    token, inputs = case["token"], case["inputs"]
    keys = [("official", key_of(inputs)), *KEYS]
    inspection = inspect(token, keys=keys, **use_of(inputs))
    assert inspection.signature.verdict is Verdict.VALID
    assert (inspection.signature.project, inspection.signature.key_id) == ("official", "own")
    assert inspection.omitted_field_count == 0
    assert inspection.kind
    for at in range(0, len(token), 7):
        for character in ("A", "w", "_", "7"):
            altered = token[:at] + character + token[at + 1 :]
            verdict = inspect(altered, keys=keys, **use_of(inputs)).signature.verdict
            assert verdict is not Verdict.VALID or says_the_same(altered, token)


def test_there_are_official_tokens_of_every_format() -> None:
    formats = [inspect(case["token"]).format for case in VECTORS.values()]
    assert {name: formats.count(name) for name in set(formats)} == {
        "006": 85,
        "007": 67,
        "netless": 45,
    }


APIS = {
    "rtc.uid": "rtc",
    "rtc.with_rtm": "rtc",
    "rtm.login": "rtm",
    "rtm.permissions": "rtm",
    "chat.user": "chat.user",
    "chat.app": "chat.app",
    "education.room_user": "education.room_user",
    "apaas.user": "education.user",
    "education.app": "education.app",
    "fpa": "access_token",
}


@pytest.mark.parametrize(("api", "kind"), APIS.items())
def test_what_the_official_builders_make_is_of_that_kind(api: str, kind: str) -> None:
    tokens = [case["token"] for case in VECTORS.values() if case.get("api") == api]
    assert {inspect(token).kind for token in tokens} == {kind}


@pytest.mark.parametrize("token", [t007(), t006(), whiteboard()])
def test_the_id_is_that_of_the_token_alone(token: str) -> None:
    assert inspect(token).token_id == fingerprint(token)
    assert inspect(f'\n "{token}"').token_id == fingerprint(token)
    assert inspect("my password").token_id == ""


IN_A_DAY = {"at_ms": NOW_MS + 24 * HOUR * 1000}
SUMMARIES: list[tuple[str, dict[str, Any], str, bool]] = [
    (t007(), {}, "issued 123 ms ago, expires in 59 m 59 s", False),
    (t007(issued_at=NOW - 2 * HOUR), {}, "issued 2 h ago, expired 1 h ago", True),
    (t007(issued_at=NOW + 60), {}, "issued in 59 s, expires in 1 h 59 s", False),
    (t007(), IN_A_DAY, "issued 1 d before use, expired 23 h before use", True),
    (
        t007(),
        {"at_ms": (NOW - 60) * 1000},
        "issued 1 m after use, expires 1 h 1 m after use",
        False,
    ),
    (whiteboard(), {}, "expires in 1 h", False),
    (whiteboard(), {"now_ms": NOW_MS + HOUR * 1000}, "expired 0 s ago", True),
    (whiteboard(lifespan_ms=0), {}, "never expires", False),
    (t006(privileges={1: 0}), {}, "issued 123 ms ago, expires in 23 h 59 m", False),
    (
        t006(privileges={1: NOW + 28 * 24 * HOUR}),
        {"now_ms": NOW_MS + 48 * HOUR * 1000},
        "issued 2 d ago, expired 1 d ago",
        True,
    ),
    (netless(f"ak=x&expireAt=NaN&sig={'0' * 64}"), {}, "", False),
    ("NETLESSSDK_", {}, "", False),
    ("nothing", {}, "", False),
]


@pytest.mark.parametrize(("token", "use", "summary", "expired"), SUMMARIES)
def test_the_times_in_words(token: str, use: dict[str, Any], summary: str, expired: bool) -> None:
    inspection = inspect(token, **use)
    assert (inspection.time_summary, inspection.expired) == (summary, expired)


ANYTHING = st.text() | st.text('0123456789abcdefABCDEFxyzXYZ+/=-_%&" \n', max_size=300)
TOKENS = st.sampled_from(fuzz.real_tokens())
LIKE_TOKENS = st.one_of(
    ANYTHING,
    st.tuples(st.sampled_from(["006", "007", "007eJ", "NETLESSSDK_"]), ANYTHING).map("".join),
    st.tuples(TOKENS, st.integers(0, 300), ANYTHING).map(lambda cut: cut[0][: cut[1]] + cut[2]),
)
NAMES = st.text(max_size=70)
EXPECTED = st.builds(
    Expected,
    NAMES,
    NAMES,
    st.none() | st.integers(0, 2**32 - 1),
    st.none() | NAMES,
    NAMES,
    st.none() | st.integers(-(10**18), 10**18),
    st.integers(-(2**31), 2**31 - 1),
    st.text(max_size=200),
    st.none() | st.sampled_from(Product),
)


@given(LIKE_TOKENS, EXPECTED, st.integers(0, 10**14))
def test_every_text_gets_an_answer_within_bounds(
    text: str, expected: Expected, now_ms: int
) -> None:
    # What was expected is quoted, and a text given as both is quoted for that reason.
    parts = [part for part in dataclasses.astuple(expected) if isinstance(part, str)]
    assume(len(text) < 40 or not any(text in part for part in parts))
    fuzz.check(text, inspect_token(text, expected, KEYS, now_ms))


def test_what_costs_most_stays_cheap() -> None:
    inputs = len(fuzz.worst())
    verdicts, failure = fuzz.fuzz(inputs, seed=1)
    assert not failure
    assert sum(verdicts.values()) >= inputs


def test_what_inflates_to_most_takes_little_memory() -> None:
    bomb = base64.b64encode(zlib.compress(bytes(256 << 20), 9))[:60_000]
    # It is cut, and still inflates to some 45 MB.
    assert len(zlib.decompressobj().decompress(base64.b64decode(bomb))) > 40 << 20
    tracemalloc.start()
    try:
        inspect(f"007{bomb.decode()}")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 << 20


def test_codes_of_32_bits_and_long_error_texts() -> None:
    assert fuzz.sweep(fuzz.CODE_STEP * 1001) == ""
    assert "took too long" in fuzz.sweep(2**31, max_seconds=0)


def test_ten_tokens_in_one_paste() -> None:
    tokens = [t007(salt=salt) for salt in range(1, 13)]
    first = inspect("\n".join(tokens))
    assert [one.token_id for one in (first, *first.others)] == [
        fingerprint(token) for token in tokens[:10]
    ]
    assert FindingReason.SEVERAL_TOKENS in [finding.reason for finding in first.findings]
    assert not any(other.others for other in first.others)


def test_of_several_tokens_the_one_of_the_product_comes_first() -> None:
    pasted = json.dumps({"rtcToken": t007(), "rtmToken": t007(rtm())})
    assert [inspect(pasted).kind, inspect(pasted).others[0].kind] == ["rtc", "rtm"]
    for use in (
        {"error_code": -10005},
        {"product": Product.RTM},
        {"error": "LOGIN_ERR_INVALID_TOKEN"},
    ):
        for_rtm = inspect(pasted, **use)
        assert [for_rtm.kind, for_rtm.others[0].kind] == ["rtm", "rtc"]
        (finding,) = [one for one in for_rtm.findings if one.reason == "SEVERAL_TOKENS"]
        assert finding.problem.startswith(
            "The text contains 2 tokens: rtc, rtm. These findings are about rtm"
        )


def test_a_short_run_of_the_fuzzer(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.main(["--count", "2000"]) == 0, capsys.readouterr().out
    out = capsys.readouterr().out
    assert out.startswith("seed: ")
    for verdict in Verdict:
        assert f"{verdict}: " in out


def test_the_fuzzer_tells_what_went_wrong_and_with_which_input() -> None:
    _, failure = fuzz.fuzz(1, seed=1, max_seconds=0)
    assert "took 0." in failure
    assert "'007" in failure


def test_the_fuzzer_sees_a_secret_and_a_token() -> None:
    for shown in (KEYS[0][1].confidential()[0], t007()):
        inspection = inspect("x", channel_name="y")

        with pytest.raises(AssertionError):
            fuzz.check(t007(), replace(inspection, time_summary=shown))
