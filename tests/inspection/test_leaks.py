from base64 import b64encode, urlsafe_b64encode
from functools import partial
from hashlib import sha256
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.tokens import DAY, KEYS, NOW, rtc, t006, t007, whiteboard
from support.keys import (
    ACCESS_KEY,
    APP_ID,
    CERTIFICATE,
    ENCRYPTION_SECRET,
    NOW_MS,
    OLD_CERTIFICATE,
    SECRET_KEY,
    encryption_secrets,
)
from token_authority_server.inspection.leaks import Leak, LeakFinder
from token_authority_server.keyring import AccessKey, KeyState, Secret

API_KEY = "tak_" + "k" * 43
SECRETS = [("classroom", secret) for secret in encryption_secrets()]
HASHES = [sha256(API_KEY.encode()).hexdigest()]


def finder(now_ms: int = NOW_MS) -> LeakFinder:
    return LeakFinder(KEYS, SECRETS, HASHES, now_ms, b"k" * 32)


def find(text: str, now_ms: int = NOW_MS) -> list[Leak]:
    data = text.encode()
    return list(finder(now_ms).find(data, 0, len(data)))


TOKENS = {"007": t007(rtc()), "006": t006(), "netless": whiteboard()}
AROUND = ["{}", '"{}"', "token={}&x=1", "Bearer {}\n", "t%3D{}", "({})", r"\n{}", "é{}é"]


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("name", TOKENS)
def test_tokens_are_found_in_text(name: str, around: str) -> None:
    for token in (TOKENS[name], quote(TOKENS[name], safe=""), TOKENS[name].replace("/", r"\/")):
        (leak,) = find(around.format(token))
        assert (leak.what, leak.format, leak.is_live) == ("token", name, True)
        assert leak.app_id == ("a-test-access-key" if name == "netless" else APP_ID)
        assert leak.expire_ms is not None
        if name != "006":
            assert (leak.signature, leak.project) == ("valid", "classroom")
        (later,) = find(around.format(token), leak.expire_ms + 1)
        assert not later.is_live


@pytest.mark.parametrize(
    "between", ["%22%2C%22", "%2522%252C%2522", "%26", "%0A", r"\u0022,\u0022", r"\"},{\""]
)
def test_each_of_several_tokens_is_found_behind_escapes(between: str) -> None:
    ended, live = t007(rtc(), issued_at=NOW - DAY, expire_seconds=60), TOKENS["netless"]
    spellings = (str, partial(quote, safe=""), lambda text: quote(quote(text, safe=""), safe=""))
    for spell in (*spellings, _as_dot_net):
        found = find(f"{between}{spell(ended)}{between}{spell(live)}{between}")
        assert [(leak.format, leak.is_live) for leak in found] == [
            ("007", False),
            ("netless", True),
        ]


def _as_dot_net(text: str) -> str:
    """Spells text as System.Text.Json does."""
    return text.replace("+", r"\u002B").replace("/", r"\u002f").replace("=", r"\u003D")


def test_a_token_is_found_without_any_key() -> None:
    data = TOKENS["007"].encode()
    (leak,) = LeakFinder([], [], (), NOW_MS, b"k" * 32).find(data, 0, len(data))
    assert (leak.kind, leak.signature, leak.key_id) == ("rtc", "unverifiable", "")


@pytest.mark.parametrize(
    "text",
    [
        "a" + TOKENS["007"],
        "007e" + "A" * 200,
        "006" + APP_ID + "A" * 200,
        "NETLESSROOM_" + "A" * 200,
        TOKENS["007"][:30],
        CERTIFICATE + "0",
        CERTIFICATE[:-1],
        APP_ID,
        API_KEY[:-1],
    ],
)
def test_what_is_neither_token_nor_secret_is_not_reported(text: str) -> None:
    assert find(text) == []


def spelled(secret: str) -> dict[str, list[str]]:
    file = f"{secret}\n".encode()
    return {
        "clear": [secret],
        "base64": [
            b64encode(secret.encode()).decode(),
            b64encode(secret.encode()).decode().rstrip("="),
            urlsafe_b64encode(file).decode(),
        ],
    }


@pytest.mark.parametrize(
    "around", ["{}", "KEY={}", "'{}',", "https://h/?s={}&t=1", '{{"s": "{}"}}']
)
@pytest.mark.parametrize(
    ("secret", "what", "key_id"),
    [
        (CERTIFICATE, "agora", "cert-2"),
        (OLD_CERTIFICATE, "agora", "cert-1"),
        (SECRET_KEY, "whiteboard", "ak-1"),
        (ENCRYPTION_SECRET * 4, "encryption", "enc-2"),
    ],
)
def test_secrets_are_found_in_each_spelling(
    secret: str, what: str, key_id: str, around: str
) -> None:
    for spelling, words in spelled(secret).items():
        for word in words:
            (leak,) = find(around.format(word))
            assert (leak.what, leak.kind, leak.key_id) == (what, spelling, key_id)
            assert leak.is_live
            assert secret not in repr(leak)


def test_a_certificate_in_the_other_case_is_found() -> None:
    assert [leak.key_id for leak in find(f"{CERTIFICATE.upper()} {CERTIFICATE.lower()}")] == [
        "cert-2",
        "cert-2",
    ]


def test_a_url_encoded_secret_is_found() -> None:
    odd = AccessKey("odd", KeyState.ACTIVE, ACCESS_KEY, Secret("a/b+c=d ef?gh"))
    data = f"?key={quote('a/b+c=d ef?gh', safe='')}&x".encode()
    (leak,) = LeakFinder([("p", odd)], [], (), NOW_MS, b"k" * 32).find(data, 0, len(data))
    assert (leak.what, leak.kind, leak.key_id) == ("whiteboard", "url", "odd")


def test_an_api_key_of_a_caller_is_found_by_its_hash() -> None:
    (leak,) = find(f"authorization: Bearer {API_KEY}")
    assert (leak.what, leak.is_live) == ("api-key", True)


@given(st.binary(max_size=2000), st.integers(0, 2000))
def test_any_bytes_and_any_range_are_safe(noise: bytes, cut: int) -> None:
    data = noise[:cut] + b" " + TOKENS["007"].encode() + b" " + noise[cut:]
    leaks = [leak for leak in finder().find(data, 0, len(data)) if leak.what == "token"]
    middle = min(cut, len(data))
    halves = [
        *finder().find(data, 0, middle),
        *finder().find(data, middle, len(data)),
    ]
    assert len(leaks) >= 1
    assert [leak for leak in halves if leak.what == "token"] == leaks
