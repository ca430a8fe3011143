import dataclasses
from typing import Any

import pytest

from support import granting
from support.keys import NOW_MS, access_key, certificate
from token_authority_server.access.grants import Grant
from token_authority_server.access.key_retirement import Deletion, GrantedTtls, KeyUses, key_report
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
    report = key_report("classroom", key, GrantedTtls(grants), NOW_MS)
    assert report.safe_ms is not None
    assert report.deletion is (Deletion.WAIT if report.safe_ms > NOW_MS else Deletion.UNKNOWN)
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


def test_present_grants_never_show_that_a_key_is_safe_to_remove() -> None:
    for now_ms, deletion in (
        (NOW_MS + HOUR_MS - 1, Deletion.WAIT),
        (NOW_MS + HOUR_MS, Deletion.UNKNOWN),
        (NOW_MS + 10**12, Deletion.UNKNOWN),
    ):
        report = key_report("classroom", CERTIFICATE, GrantedTtls([grant(max_ttl="1h")]), now_ms)
        assert (report.deletion, report.safe_ms) == (deletion, NOW_MS + HOUR_MS)


def test_it_is_never_safe_where_tokens_may_never_expire() -> None:
    for grants in (
        [grant(allow=("non_expiring",))],
        [grant(**ROOM), grant(name="second", allow=("non_expiring",), **ROOM)],
    ):
        report = key_report("classroom", ACCESS_KEY, GrantedTtls(grants), NOW_MS + 10**12)
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
    report = key_report("classroom", key, GrantedTtls(grants), NOW_MS + 10**12)
    assert (report.deletion, report.safe_ms) == (Deletion.UNKNOWN, None)


@pytest.mark.parametrize("state", KeyState)
def test_it_is_not_known_while_a_key_signs_or_nobody_says_since_when_not(state: KeyState) -> None:
    for key in (certificate(), access_key()):
        for at_ms in (None, *([NOW_MS] if state is KeyState.ACTIVE else [])):
            report = key_report(
                "classroom", retired(key, at_ms, state=state), GrantedTtls([grant()]), NOW_MS
            )
            assert (report.deletion, report.safe_ms) == (Deletion.UNKNOWN, None)


def test_a_disabled_key_is_needed_as_long_as_a_retired_one() -> None:
    # Agora goes on accepting what it signed.
    key = retired(certificate(), state=KeyState.DISABLED)
    assert wait_ms(key, grant(max_ttl="1h")) == HOUR_MS


def warnings(key: SigningKey, *grants: Grant, uses: KeyUses | None = None) -> tuple[str, ...]:
    use = (uses or KeyUses()).of("classroom", key.key_id)
    return key_report("classroom", key, GrantedTtls(grants), NOW_MS, use).warnings


def test_it_warns_that_earlier_grants_may_have_allowed_more() -> None:
    assert warnings(CERTIFICATE, grant(max_ttl="1h")) == (
        "current grants allow tokens of at most 3600 s; earlier grants may have allowed tokens of "
        "up to 86400 s",
    )
    assert warnings(ACCESS_KEY, grant(max_ttl="3650d", **ROOM)) == (
        "current grants allow tokens of at most 315360000 s; earlier grants may have allowed "
        "tokens that never expire",
    )
    assert warnings(CERTIFICATE) == (
        "current grants allow no tokens of this key; earlier grants may have allowed tokens of up "
        "to 86400 s",
    )
    # No grant can allow more.
    assert warnings(CERTIFICATE, grant(max_ttl="24h")) == ()
    assert warnings(ACCESS_KEY, grant(allow=("non_expiring",))) == ()


def test_a_non_expiring_token_counts_though_no_grant_allows_one_any_more() -> None:
    uses = KeyUses()
    uses.add("classroom", ACCESS_KEY.key_id, NOW_MS - HOUR_MS, None)
    uses.add("classroom", ACCESS_KEY.key_id, NOW_MS - 1, NOW_MS)
    use = uses.of("classroom", ACCESS_KEY.key_id)
    report = key_report("classroom", ACCESS_KEY, GrantedTtls([grant(**ROOM)]), NOW_MS + 10**12, use)
    assert (report.deletion, report.safe_ms) == (Deletion.NEVER_SAFE, None)
    assert report.warnings == (
        "this instance signed a token with the key that never expires, which current grants do "
        "not allow",
    )


def test_a_longer_token_counts_though_no_grant_allows_one_any_more() -> None:
    uses = KeyUses()
    uses.add("classroom", CERTIFICATE.key_id, NOW_MS - 1, NOW_MS + DAY_MS)
    uses.add("classroom", CERTIFICATE.key_id, NOW_MS, NOW_MS + 1)
    uses.add("office", CERTIFICATE.key_id, NOW_MS, None)
    use = uses.of("classroom", CERTIFICATE.key_id)
    for grants in ([grant(max_ttl="1h")], []):
        report = key_report("classroom", CERTIFICATE, GrantedTtls(grants), NOW_MS, use)
        assert (report.deletion, report.safe_ms) == (Deletion.WAIT, NOW_MS + DAY_MS)
        assert report.warnings[0] == (
            "this instance signed a token with the key that expires at 2023-11-15T22:13:20.123Z, "
            "which is later than current grants allow"
        )


def test_a_token_signed_after_retired_at_counts() -> None:
    uses = KeyUses()
    uses.add("classroom", CERTIFICATE.key_id, NOW_MS + HOUR_MS, NOW_MS + HOUR_MS + 1)
    use = uses.of("classroom", CERTIFICATE.key_id)
    report = key_report("classroom", CERTIFICATE, GrantedTtls([grant(max_ttl="24h")]), NOW_MS, use)
    assert (report.deletion, report.safe_ms) == (Deletion.WAIT, NOW_MS + HOUR_MS + DAY_MS)
    assert report.warnings == (
        "retired_at (2023-11-14T22:13:20.123Z) is earlier than the last token that this instance "
        "signed with the key (2023-11-14T23:13:20.123Z): the later time is used",
    )


def test_it_warns_of_a_retirement_in_the_future() -> None:
    assert warnings(retired(certificate(), NOW_MS + HOUR_MS), grant(max_ttl="24h")) == (
        "retired_at is in the future (2023-11-14T23:13:20.123Z): correct it",
    )
