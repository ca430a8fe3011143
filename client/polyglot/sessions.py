"""Compares the sessions that a client prints with those that the Python client issues.

`SESSIONS` and `REFUSED_SESSIONS` are the requests that each sample makes.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from authority import CHANNEL, ROOM, SHORT_ROOM, RunningAuthority
from support.decoding import decode
from token_authority_client import Tls, TokenAuthorityClient

SESSIONS: Final[Sequence[Mapping[str, Any]]] = (
    {
        "channel": CHANNEL,
        "uid": 7,
        "role": "publisher",
        "rtm": "ada",
        "chat": "ada.l",
        "whiteboard_room": ROOM,
        "ttl": timedelta(minutes=20),
    },
    # Without optional arguments, and with the largest uid.
    {"channel": CHANNEL, "uid": 4294967295, "role": "subscriber"},
    # The grant for this room shortens every token to 5 minutes.
    {"channel": CHANNEL, "uid": 7, "role": "subscriber", "whiteboard_room": SHORT_ROOM},
)
REFUSED_SESSIONS: Final[Sequence[Mapping[str, str]]] = (
    # The first session with another room, which no grant allows.
    {"product": "whiteboard", "code": "PERMISSION_DENIED", "reason": "GRANT_MISSING"},
    # The first session with the RTM user ID "é".
    {"product": "rtm", "code": "INVALID_ARGUMENT", "reason": "INVALID_REQUEST"},
)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_NOW: Final = timedelta(minutes=1)
_TOGETHER: Final = timedelta(seconds=2)
_DIFFERENT: Final = frozenset({"issue_ts", "salt", "nonce", "expireAt", "sig"})
"""The fields in which two tokens for one request differ."""

Form = Mapping[str, Any]
"""The JSON form of a session."""


def check_sessions(authority: RunningAuthority, answer: Mapping[str, Any]) -> None:
    """Checks the sessions that a client printed, and its errors for those that were refused.

    Raises:
        AssertionError: A session is not the one that the Python client issues for that request, or
            an error does not name the product whose token was refused.
    """
    printed = answer["sessions"]
    assert len(printed) == len(SESSIONS), f"{len(printed)} sessions"
    for form, expected in zip(printed, issued_by_python(authority), strict=True):
        _check_form(form, expected)
        _check_tokens(authority, form, expected)
    renewals = [renew_after_seconds(form) for form in printed]
    assert answer["renew_after_seconds"] == renewals, answer["renew_after_seconds"]
    refused = answer["sessions_refused"]
    assert [_refusal(error) for error in refused] == list(REFUSED_SESSIONS), refused


def issued_by_python(authority: RunningAuthority) -> list[Form]:
    """Issues `SESSIONS` with the Python client; returns their JSON forms."""
    with TokenAuthorityClient(
        authority.target, tls=Tls(ca=authority.ca), credential=authority.api_key
    ) as client:
        return [client.issue_session(**request).to_dict() for request in SESSIONS]


def renew_after_seconds(form: Form) -> float:
    """Returns when to renew a session, counted from its request."""
    return (_time(form, "renew_time") - _time(form, "issue_time")).total_seconds()


def _refusal(error: Mapping[str, str]) -> dict[str, str]:
    return {name: error[name] for name in ("product", "code", "reason")}


def _check_form(form: Form, expected: Form) -> None:
    """Compares keys, their order, and all values except tokens."""
    assert list(form) == list(expected), f"keys {list(form)}"
    for name, value in expected.items():
        if name.endswith("_time"):
            assert _TIME.fullmatch(form[name]), f"{name} {form[name]}"
        elif not name.endswith("_token"):
            same = type(form[name]) is type(value) and form[name] == value
            assert same, f"{name} {form[name]!r}, not {value!r}"
    issued = _time(form, "issue_time")
    assert abs(issued - _time(expected, "issue_time")) < _NOW, f"issue_time {issued}"
    for name in ("expire_time", "renew_time"):
        after = _time(form, name) - issued
        usual = _time(expected, name) - _time(expected, "issue_time")
        assert abs(after - usual) <= _TOGETHER, f"{name} is {after} after issue_time, not {usual}"


def _check_tokens(authority: RunningAuthority, form: Form, expected: Form) -> None:
    """Compares the fields of tokens, their signatures and their ends."""
    ends = []
    for name in [name for name in expected if name.endswith("_token")]:
        token, usual = decode(form[name]), decode(expected[name])
        shown = _same(token.fields)
        assert shown == _same(usual.fields), f"{name}: {shown}"
        is_board = name == "whiteboard_token"
        key = authority.secret_key if is_board else authority.certificate
        assert token.verifies(key), f"the signature of {name}"
        fields = token.fields
        ends.append(
            int(fields["expireAt"]) / 1000 if is_board else fields["issue_ts"] + fields["expire"]
        )
    end = _time(form, "expire_time").timestamp()
    assert end == min(ends), f"expire_time {end}, the tokens expire at {ends}"
    assert max(ends) - min(ends) <= _TOGETHER.total_seconds(), f"the tokens expire at {ends}"


def _same(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in _DIFFERENT}


def _time(form: Form, name: str) -> datetime:
    return datetime.fromisoformat(form[name])
