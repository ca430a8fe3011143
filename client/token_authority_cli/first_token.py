"""Chooses a request that the caller's grants should allow, for `token-authority doctor`."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from token_authority_client import AuthorityInfo, Grant, TokenRequest, prepare

_NAME: Final = "doctor"


def request_for(info: AuthorityInfo | None) -> TokenRequest | None:
    """Returns a request that a grant of the caller should allow; None if no grant can be tried.

    Args:
        info: The caller's grants; None if unknown, which leads to the most common request.
    """
    if info is None:
        return _rtc(None)
    for grant in info.grants:
        for kind, make in _KINDS.items():
            if any(_matches(pattern, kind) for pattern in grant.tokens):
                return make(grant)
    return None


def _rtc(grant: Grant | None) -> TokenRequest:
    if grant is None:
        return prepare.issue_rtc_token(channel=_NAME, uid=1, role="subscriber")
    role: Any = _first(grant.roles, ("subscriber", "publisher"))
    return prepare.issue_rtc_token(
        channel=_example(grant.channels), **_user(grant), role=role, project=grant.project
    )


def _rtm(grant: Grant) -> TokenRequest:
    user = _user(grant)
    return prepare.issue_rtm_token(
        user_id=str(user.get("user_account", user.get("uid"))), project=grant.project
    )


def _room(grant: Grant) -> TokenRequest:
    role: Any = _first(grant.roles, ("reader", "writer", "admin"))
    return prepare.issue_whiteboard_token(
        room=_example(grant.rooms), role=role, project=grant.project
    )


def _chat(grant: Grant) -> TokenRequest:
    return prepare.issue_chat_token(
        user_id=str(_user(grant).get("user_account", _NAME)), project=grant.project
    )


_KINDS: Final[Mapping[str, Callable[[Grant], TokenRequest]]] = {
    "rtc": _rtc,
    "whiteboard.room": _room,
    "rtm": _rtm,
    "chat.user": _chat,
}


def _user(grant: Grant) -> dict[str, Any]:
    """Returns a user that a grant's patterns match."""
    for pattern in grant.users:
        kind, _, name = pattern.partition(":")
        if kind == "uid" and (name == "*" or name.isdigit()):
            return {"uid": 1 if name == "*" else int(name)}
        if kind == "account":
            return {"user_account": name.replace("*", _NAME)}
    return {"uid": 1}


def _example(patterns: Iterable[str]) -> str:
    return next((pattern.replace("*", _NAME) for pattern in patterns), _NAME)


def _first(patterns: Iterable[str], candidates: tuple[str, ...]) -> str:
    """Returns the first candidate that a pattern matches, else the first."""
    allowed = list(patterns)
    return next(
        (name for name in candidates if any(_matches(pattern, name) for pattern in allowed)),
        candidates[0],
    )


def _matches(pattern: str, text: str) -> bool:
    """Whether a grant's pattern matches; only `*` is special and matches any characters."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None
