"""`[projects.NAME.encryption]`, and grants for channel keys."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.test_config import CALLER, MINIMAL, load
from token_authority_server.config.changes import switch_warnings
from token_authority_server.config.load import ConfigError
from token_authority_server.keyring import KeyState

SECRET = "0123456789abcdefcf48b37a6de2591017283950617283f4a5b6c7d8e9f01a2b"


def secret(key_id: str, state: str = "active", not_before: str = "", name: str = "S") -> str:
    when = f"not_before = {not_before}\n" if not_before else ""
    return (
        f'[[projects.classroom.encryption.secrets]]\nid = "{key_id}"\n'
        f'secret = {{ env = "{name}" }}\nstate = "{state}"\n{when}'
    )


def test_secrets_are_read(tmp_path: Path) -> None:
    text = MINIMAL + secret("a") + secret("b", "active", "2027-01-01T00:00:00Z")
    settings = load(tmp_path, text, {"S": SECRET})
    first, second = settings.keyring().project("classroom").encryption_secrets
    assert (first.key_id, first.state, first.not_before_ms) == ("a", KeyState.ACTIVE, 0)
    assert second.not_before_ms == 1_798_761_600_000
    assert first.secret.reveal() == SECRET
    assert SECRET not in repr(settings)


BAD_SECRETS = {
    "0" * 64: "is not random: run `openssl rand -hex 32`",
    SECRET[:-2]: "must be 64 or more hex digits",
    SECRET[:-1] + "g": "must be 64 or more hex digits",
    SECRET + "0": "must be 64 or more hex digits",
}


@pytest.mark.parametrize("value", BAD_SECRETS)
def test_a_secret_is_32_random_bytes(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(BAD_SECRETS[value])) as caught:
        load(tmp_path, MINIMAL + secret("a"), {"S": value})
    assert "[[projects.classroom.encryption.secrets]] key 1: secret" in str(caught.value)
    assert value not in str(caught.value)


MISTAKES = {
    "the same not_before, or no not_before": secret("a") + secret("b", "verify_only"),
    "two keys have the id 'a'": secret("a") + secret("a", "disabled"),
    "two keys have the id 'cert-1'": secret("cert-1"),
}


@pytest.mark.parametrize("problem", MISTAKES)
def test_what_replicas_or_people_would_mix_up_is_refused(tmp_path: Path, problem: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)):
        load(tmp_path, MINIMAL + MISTAKES[problem], {"S": SECRET})


def test_secrets_need_an_app_id(tmp_path: Path) -> None:
    board = (
        '[[projects.classroom.whiteboard.access_keys]]\nid = "k"\naccess_key = "AK"\n'
        'secret = { env = "S" }\nstate = "active"\n'
    )
    with pytest.raises(ConfigError, match="has an encryption table and no App ID"):
        load(tmp_path, board + secret("a") + CALLER, {"S": SECRET})


def test_a_switch_that_comes_too_soon_is_warned_about(tmp_path: Path) -> None:
    soon = (datetime.now(UTC) + timedelta(minutes=9)).isoformat()
    settings = load(tmp_path, MINIMAL + secret("a") + secret("b", "active", soon), {"S": SECRET})
    (warning,) = settings.warnings()
    assert "not_before of 'b' is less than ten minutes ahead" in warning
    settings = load(tmp_path, MINIMAL + secret("a", "verify_only"), {"S": SECRET})
    (warning,) = settings.warnings()
    assert "projects.classroom.encryption: no secret is active now" in warning


def at(minutes: int) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


REPLACED = "'b' replaced 'a' at this reload: replicas derive different keys until all have"
SWITCHES = {
    "as documented": (secret("a"), secret("a") + secret("b", not_before=at(15)), ""),
    "after its time": (secret("b", not_before=at(-5)), secret("b", "active", at(-5)), ""),
    "old one retired": (
        secret("b", not_before=at(-5)),
        secret("a", "verify_only") + secret("b", not_before=at(-5)),
        "",
    ),
    "in the past": (secret("a"), secret("a") + secret("b", not_before=at(-1)), REPLACED),
    "old one disabled": (secret("a"), secret("a", "disabled") + secret("b"), REPLACED),
    "old one removed": (secret("a"), secret("b"), REPLACED),
    "the first": ("", secret("b"), ""),
    "another value": (
        secret("a"),
        secret("a", name="T"),
        "secret 'a' has another value since this reload",
    ),
}


@pytest.mark.parametrize("name", SWITCHES)
def test_a_reload_that_replaces_the_current_secret_is_warned_about(
    tmp_path: Path, name: str
) -> None:
    old, new, expected = SWITCHES[name]
    environment = {"S": SECRET, "T": SECRET[::-1]}
    before, after = (load(tmp_path, MINIMAL + text, environment) for text in (old, new))
    found = list(switch_warnings(before, after, round(datetime.now(UTC).timestamp() * 1000)))
    assert len(found) == bool(expected)
    assert expected in "".join(found)
    assert SECRET not in "".join(found)


GRANT = """
[[callers.grants]]
name = "keys"
project = "classroom"
tokens = ["channel_key"]
channels = ["CHANNEL"]
"""


def test_a_grant_for_keys_names_channels(tmp_path: Path) -> None:
    text = MINIMAL + GRANT.replace("CHANNEL", "lesson-*") + secret("a")
    assert load(tmp_path, text, {"S": SECRET}).callers[0].grants[1].token_types() == {"channel_key"}
    for everything in ("*", "**"):
        with pytest.raises(ConfigError, match="is granted by channel, not for all of them"):
            load(tmp_path, MINIMAL + GRANT.replace("CHANNEL", everything), {})
    with pytest.raises(ConfigError, match="must list channels, because channel_key tokens"):
        load(tmp_path, MINIMAL + GRANT.replace('channels = ["CHANNEL"]\n', ""), {})
