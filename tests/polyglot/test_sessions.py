"""The check of the sessions that a client in another language prints."""

import copy
from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from typing import Any

import pytest

from authority import SHORT_ROOM, RunningAuthority, serving
from sessions import (
    REFUSED_SESSIONS,
    check_sessions,
    issued_by_python,
    renew_after_seconds,
)
from token_authority_client import Tls, TokenAuthorityClient

Change = Callable[[list[dict[str, Any]]], object]


@pytest.fixture(scope="module")
def authority() -> Generator[RunningAuthority]:
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def answer(authority: RunningAuthority) -> dict[str, Any]:
    sessions = issued_by_python(authority)
    return {
        "sessions": sessions,
        "renew_after_seconds": [renew_after_seconds(form) for form in sessions],
        "sessions_refused": [dict(error) for error in REFUSED_SESSIONS],
    }


def test_sessions_of_the_python_client_pass(
    authority: RunningAuthority, answer: dict[str, Any]
) -> None:
    check_sessions(authority, answer)
    whole, alone, short = answer["sessions"]
    assert lifetime(whole) == timedelta(minutes=20)
    assert lifetime(alone) == timedelta(hours=1)
    assert lifetime(short) == timedelta(minutes=5)


def lifetime(form: dict[str, Any]) -> timedelta:
    """Returns the lifetime of a session, to the second: its tokens have clocks of their own."""
    end, start = (datetime.fromisoformat(form[name]) for name in ("expire_time", "issue_time"))
    return timedelta(seconds=round((end - start).total_seconds()))


def later(form: dict[str, Any], name: str) -> None:
    moved = datetime.fromisoformat(form[name]) + timedelta(seconds=10)
    form[name] = moved.isoformat(timespec="milliseconds").replace("+00:00", "Z")


CHANGES: dict[str, Change] = {
    "uid '4294967295'": lambda forms: forms[1].update(uid="4294967295"),
    "role 'subscriber'": lambda forms: forms[0].update(role="subscriber"),
    "app_id ''": lambda forms: forms[0].update(app_id=""),
    "keys .*'rtm_token'": lambda forms: forms[1].update(rtm_token=None),
    "keys": lambda forms: forms[0].update(channel=forms[0].pop("channel")),
    "renew_time .*Z": lambda forms: forms[0].update(
        renew_time=forms[0]["renew_time"].replace(".000Z", "Z")
    ),
    "renew_time is": lambda forms: later(forms[0], "renew_time"),
    "expire_time is": lambda forms: later(forms[2], "expire_time"),
    "rtc_token: .*3600": lambda forms: forms[0].update(rtc_token=forms[1]["rtc_token"]),
    "chat_token: ": lambda forms: forms[0].update(chat_token=forms[0]["rtm_token"]),
    "1 sessions": lambda forms: forms.__delitem__(slice(1, None)),
}


@pytest.mark.parametrize("message", CHANGES)
def test_a_session_that_differs_is_refused(
    authority: RunningAuthority, answer: dict[str, Any], message: str
) -> None:
    changed = copy.deepcopy(answer)
    CHANGES[message](changed["sessions"])
    with pytest.raises(AssertionError, match=message):
        check_sessions(authority, changed)


def test_tokens_that_do_not_expire_together_are_refused(
    authority: RunningAuthority, answer: dict[str, Any]
) -> None:
    changed = copy.deepcopy(answer)
    with TokenAuthorityClient(
        authority.target, tls=Tls(ca=authority.ca), credential=authority.api_key
    ) as client:
        shorter = client.issue_whiteboard_token(
            room=SHORT_ROOM, role="reader", ttl=timedelta(minutes=1)
        )
    changed["sessions"][2]["whiteboard_token"] = shorter.token
    with pytest.raises(AssertionError, match="the tokens expire at"):
        check_sessions(authority, changed)


def test_another_time_of_renewal_is_refused(
    authority: RunningAuthority, answer: dict[str, Any]
) -> None:
    with pytest.raises(AssertionError, match=r"\[0\]"):
        check_sessions(authority, {**answer, "renew_after_seconds": [0]})


@pytest.mark.parametrize("name", ["product", "code", "reason"])
def test_an_error_that_differs_is_refused(
    authority: RunningAuthority, answer: dict[str, Any], name: str
) -> None:
    changed = copy.deepcopy(answer)
    changed["sessions_refused"][0][name] = "other"
    with pytest.raises(AssertionError, match="other"):
        check_sessions(authority, changed)
