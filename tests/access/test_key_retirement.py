import dataclasses
from typing import Any

import pytest

from support import granting
from support.keys import NOW_MS, access_key, certificate
from token_authority_server.access.grants import Grant
from token_authority_server.access.key_retirement import Deletion, key_report
from token_authority_server.config.callers import GrantSettings
from token_authority_server.keyring import KeyState, SigningKey

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
RTC: dict[str, Any] = {"tokens": ("rtc",), "rooms": ()}
ROOM: dict[str, Any] = {"tokens": ("whiteboard.room",), "channels": (), "users": ()}


def grant(project: str = "classroom", **changes: Any) -> Grant:
    row = granting.everything(project, **{"allow": (), **changes})
    return GrantSettings.model_validate(row).grant()


def retired(key: SigningKey, at_ms: int | None = NOW_MS, **changes: Any) -> SigningKey:
    return dataclasses.replace(
        key, **{"state": KeyState.VERIFY_ONLY, "retired_ms": at_ms, **changes}
    )


def wait_ms(key: SigningKey, *grants: Grant) -> int:
    """How long a key that has just been retired is still needed."""
    report = key_report("classroom", key, grants, NOW_MS)
    assert report.safe_ms is not None
    assert report.deletion is (Deletion.WAIT if report.safe_ms > NOW_MS else Deletion.SAFE)
    return report.safe_ms - NOW_MS


CERTIFICATE = retired(certificate())
ACCESS_KEY = retired(access_key())


@pytest.mark.parametrize(
    ("key", "grants", "expected_ms"),
    [
        # The longest of the grants for it, and what its tokens live at most.
        (CERTIFICATE, [grant(max_ttl="2h", **RTC), grant(max_ttl="1h", **RTC)], 2 * HOUR_MS),
        (CERTIFICATE, [grant(max_ttl="30d", **RTC)], DAY_MS),
        (ACCESS_KEY, [grant(max_ttl="7d", **ROOM)], WEEK_MS),
        (ACCESS_KEY, [grant(max_ttl="3650d", **ROOM)], 3650 * DAY_MS),
        # One grant for both products counts for both.
        (CERTIFICATE, [grant(max_ttl="7d")], DAY_MS),
        (ACCESS_KEY, [grant(max_ttl="7d")], WEEK_MS),
        # Grants for other tokens or projects do not.
        (CERTIFICATE, [grant(max_ttl="7d", **ROOM), grant(max_ttl="1h", **RTC)], HOUR_MS),
        (ACCESS_KEY, [grant(max_ttl="7d", **RTC), grant(max_ttl="1h", **ROOM)], HOUR_MS),
        (CERTIFICATE, [grant("office", max_ttl="2h"), grant(max_ttl="1h")], HOUR_MS),
    ],
)
def test_a_key_is_needed_as_long_as_any_grants_longest_token_lives(
    key: SigningKey, grants: list[Grant], expected_ms: int
) -> None:
    assert wait_ms(key, *grants) == expected_ms


def test_it_is_safe_from_the_millisecond_on_when_the_last_token_ends() -> None:
    for now_ms, deletion in (
        (NOW_MS + HOUR_MS - 1, Deletion.WAIT),
        (NOW_MS + HOUR_MS, Deletion.SAFE),
    ):
        report = key_report("classroom", CERTIFICATE, [grant(max_ttl="1h")], now_ms)
        assert (report.deletion, report.safe_ms) == (deletion, NOW_MS + HOUR_MS)


def test_it_is_never_safe_where_tokens_may_never_expire() -> None:
    for grants in (
        [grant(allow=("non_expiring",))],
        [grant(**ROOM), grant(name="second", allow=("non_expiring",), **ROOM)],
    ):
        report = key_report("classroom", ACCESS_KEY, grants, NOW_MS + 10**12)
        assert (report.deletion, report.safe_ms) == (Deletion.NEVER_SAFE, None)
    # Which tokens of App Certificates never do, nor those of other projects and kinds.
    assert wait_ms(CERTIFICATE, grant(allow=("non_expiring",))) == DAY_MS
    others = [grant("office", allow=("non_expiring",)), grant(allow=("non_expiring",), **RTC)]
    assert wait_ms(ACCESS_KEY, *others, grant(max_ttl="1h", **ROOM)) == HOUR_MS


@pytest.mark.parametrize(
    ("key", "grants"),
    [
        (CERTIFICATE, []),
        (CERTIFICATE, [grant("office")]),
        (CERTIFICATE, [grant(**ROOM)]),
        (ACCESS_KEY, [grant(**RTC)]),
    ],
)
def test_it_is_not_known_without_a_grant_that_says_what_it_signed(
    key: SigningKey, grants: list[Grant]
) -> None:
    # The grants may have gone with the key, and the tokens may be alive.
    report = key_report("classroom", key, grants, NOW_MS + 10**12)
    assert (report.deletion, report.safe_ms) == (Deletion.UNKNOWN, None)


@pytest.mark.parametrize("state", KeyState)
def test_it_is_not_known_while_a_key_signs_or_nobody_says_since_when_not(state: KeyState) -> None:
    for key in (certificate(), access_key()):
        for at_ms in (None, *([NOW_MS] if state is KeyState.ACTIVE else [])):
            report = key_report("classroom", retired(key, at_ms, state=state), [grant()], NOW_MS)
            assert (report.deletion, report.safe_ms) == (Deletion.UNKNOWN, None)


def test_a_disabled_key_is_needed_as_long_as_a_retired_one() -> None:
    # Agora goes on accepting what it signed.
    key = retired(certificate(), state=KeyState.DISABLED)
    assert wait_ms(key, grant(max_ttl="1h")) == HOUR_MS
