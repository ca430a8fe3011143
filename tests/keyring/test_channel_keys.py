"""The derivation of channel keys, compared with implementations that know only its description."""

import base64
import hmac
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.installing import BIN
from support.keys import NOW_MS
from token_authority_server.formats.fingerprint import fingerprint
from token_authority_server.keyring import EncryptionSecret, KeyState, Secret, derive_channel_key
from token_authority_server.keyring.channel_keys import current_secret, first_with_a_bit, salt_names

VECTORS = Path(__file__).parents[1] / "vectors/channel_keys"
CASES = json.loads((VECTORS / "vectors.json").read_text())["cases"]


def derive(secret: str, app_id: str, channel: str, context: str) -> dict[str, str]:
    key = derive_channel_key(
        EncryptionSecret("k", KeyState.ACTIVE, app_id, Secret(secret)), channel, context
    )
    return {
        "encryption_key": key.encryption_key,
        "salt_base64": base64.b64encode(key.salt).decode(),
        "fingerprint": fingerprint(key.encryption_key),
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_known_answer(case: dict[str, Any]) -> None:
    assert derive(**case["inputs"]) == case["expected"]
    assert len(case["expected"]["encryption_key"]) == 43


def test_node_derives_the_same() -> None:
    script = VECTORS / "derive.js"
    ran = subprocess.run([BIN / "node", script], check=True, capture_output=True, timeout=60)
    assert json.loads(ran.stdout) == [case["expected"] for case in CASES]


def test_the_standard_library_derives_the_same() -> None:
    """HKDF from RFC 5869 in two lines."""
    inputs = CASES[0]["inputs"]
    texts = (
        "agora-token-authority channel key",
        "1",
        inputs["app_id"].lower(),
        inputs["channel"],
        inputs["context"],
        "key",
    )
    info = b"".join(len(text).to_bytes(2, "big") + text.encode() for text in texts)
    extracted = hmac.digest(bytes(32), bytes.fromhex(inputs["secret"]), "sha256")
    expanded = hmac.digest(extracted, info + b"\x01", "sha256")
    assert base64.urlsafe_b64encode(expanded) == f"{derive(**inputs)['encryption_key']}=".encode()


def test_no_two_cases_share_a_key_or_salt_but_the_spellings_of_an_app_id() -> None:
    answers = [case["expected"] for case in CASES]
    for name in ("encryption_key", "salt_base64"):
        assert len({answer[name] for answer in answers}) == len(answers) - 1


def test_a_salt_is_never_all_zero() -> None:
    names = iter(salt_names())
    assert [next(names) for _ in range(3)] == ["salt", "salt 2", "salt 3"]
    assert first_with_a_bit([bytes(32), bytes(32), b"\0\1"]) == b"\0\1"


def secret(key_id: str, state: KeyState, not_before_ms: int = 0) -> EncryptionSecret:
    return EncryptionSecret(key_id, state, "a" * 32, Secret("00" * 32), not_before_ms)


def test_the_current_secret_is_the_active_one_that_began_last() -> None:
    old = secret("old", KeyState.ACTIVE)
    new = secret("new", KeyState.ACTIVE, NOW_MS)
    retired = secret("retired", KeyState.VERIFY_ONLY, 1)
    assert current_secret([old, new, retired], NOW_MS - 1) is old
    assert current_secret([new, old, retired], NOW_MS) is new
    assert current_secret([retired], NOW_MS) is None
    assert current_secret([new], NOW_MS - 1) is None


def test_nothing_shows_a_key() -> None:
    key = derive_channel_key(secret("k", KeyState.ACTIVE), "c", "m")
    assert repr(key) == "ChannelKey(key_id='k')"
    assert "00" not in repr(secret("k", KeyState.ACTIVE))
