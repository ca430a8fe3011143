"""With a clock that stands still: its readings are arguments."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from token_authority_client import IssuedToken, PermissionDenied, RateLimited, Unavailable
from token_authority_client._renewal import JITTER, Renewal

ISSUED = datetime(2026, 1, 1, tzinfo=UTC)
DOWN = Unavailable("nothing listens")


def token(life: float | None = 3600, renew: float = 3240, **fields: Any) -> IssuedToken:
    ends = None if life is None else ISSUED + timedelta(seconds=life)
    renews = None if life is None else ISSUED + timedelta(seconds=renew)
    known = {"token_id": "t", "format": "007", "key_id": "k", "app_id": "a", "advisories": ()}
    return IssuedToken(
        token="007…",
        issue_time=ISSUED,
        expire_time=ends,
        renew_time=renews,
        **{**known, **fields},
    )


def test_without_a_token_there_is_nothing_to_use_and_nothing_to_do() -> None:
    renewal = Renewal[IssuedToken]()
    assert renewal.usable(100.0, 0) is None
    assert renewal.due_at is None
    renewal.failed(DOWN, 100.0)
    assert renewal.error is DOWN
    assert renewal.due_at is None


def test_a_token_is_usable_for_its_life_and_no_longer() -> None:
    renewal, first = Renewal[IssuedToken](), token()
    assert renewal.succeeded(first, 100.0) is False
    assert renewal.usable(100.0, 3600) is first
    assert renewal.usable(100.0, 3600.1) is None
    assert renewal.usable(3699.0, 0) is first
    assert renewal.usable(3699.0, 60) is None
    assert renewal.usable(3700.0, 0) is None


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 3240), (1.0, 3240 * (1 - JITTER))])
def test_it_is_renewed_some_time_before_renew_time(chance: float, wait: float) -> None:
    renewal = Renewal[IssuedToken](lambda: chance)
    renewal.succeeded(token(), 100.0)
    assert renewal.due_at == pytest.approx(100 + wait)
    assert renewal.succeeded(token(), 3000.0) is True
    assert renewal.due_at == pytest.approx(3000 + wait)


def test_a_short_token_is_not_renewed_in_a_loop() -> None:
    renewal = Renewal[IssuedToken](lambda: 0.0)
    # As the server says it for lives up to half a minute: renew at once.
    renewal.succeeded(token(life=20, renew=0), 100.0)
    assert renewal.due_at == 110.0
    renewal.succeeded(token(life=0.001, renew=0), 100.0)
    assert renewal.due_at == 101.0


def test_a_token_that_never_expires_is_never_renewed() -> None:
    renewal, forever = Renewal[IssuedToken](), token(life=None)
    renewal.succeeded(forever, 100.0)
    assert renewal.usable(1e12, 1e9) is forever
    assert renewal.due_at is None


def test_while_no_server_is_there_the_last_token_stands_and_attempts_come_slower() -> None:
    renewal, first = Renewal[IssuedToken](lambda: 1.0), token(life=100, renew=50)
    renewal.succeeded(first, 0.0)
    now, pauses = 45.0, list[float]()
    for _ in range(8):
        renewal.failed(DOWN, now)
        assert renewal.due_at is not None
        pauses.append(renewal.due_at - now)
        assert renewal.usable(now, 0) is first
        now += 5
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    assert renewal.usable(100.0, 0) is None
    assert renewal.error is DOWN
    renewal.succeeded(token(), 100.0)
    renewal.failed(DOWN, 200.0)
    assert renewal.due_at == 201.0


def test_a_server_that_says_when_is_not_asked_before() -> None:
    renewal = Renewal[IssuedToken](lambda: 0.0)
    renewal.succeeded(token(), 0.0)
    renewal.failed(RateLimited("no", retry_after=timedelta(seconds=90)), 10.0)
    assert renewal.due_at == 100.0
    renewal.failed(PermissionDenied("no"), 100.0)
    assert renewal.due_at == 101.0


@given(
    life=st.floats(1, 86400), ahead=st.floats(0, 1), chance=st.floats(0, 1), asked=st.floats(0, 1e6)
)
def test_the_next_token_is_asked_for_while_the_last_one_lives(
    life: float, ahead: float, chance: float, asked: float
) -> None:
    renewal = Renewal[IssuedToken](lambda: chance)
    renewal.succeeded(token(life=life + 1, renew=(life + 1) * ahead), asked)
    assert renewal.due_at is not None
    assert asked + 0.9 < renewal.due_at <= asked + life + 1.001
