r"""Patterns of grants: refuses those that can match nothing, and warns of those that rarely match.

In a pattern `*` matches any characters. The syntax of globs and regular expressions (`[0-9]`, `?`,
`{a,b}`, `\d`, `.*`) is literal here, because Agora allows some of these characters in names.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple


class _Names(NamedTuple):
    """The names that a token type allows in a dimension: the contract's rule."""

    allowed: re.Pattern[str]
    """A character of a name."""
    max_length: int


# protos/token_authority/v1: the rules of channel_name, user_account, user_id and room_uuid.
_CHANNEL: Final = _Names(re.compile(r"[-a-zA-Z0-9 !#$%&()+:;<=.>?@\[\]^_{}|~,]"), 64)
_ACCOUNT: Final = _CHANNEL._replace(max_length=255)
_PRINTABLE: Final = _Names(re.compile(r"[ -~]"), 64)
_UUID: Final = _Names(re.compile(r"[0-9A-Za-z_-]"), 64)
_CHAT_USER: Final = _Names(re.compile(r"[0-9A-Za-z_.-]"), 64)

_BY_DIMENSION: Final[Mapping[str, Mapping[str, _Names]]] = {
    "channels": {"rtc": _CHANNEL, "channel_key": _CHANNEL, "streaming": _CHANNEL, "fcdn": _CHANNEL},
    "users": {
        "rtc": _ACCOUNT,
        "streaming": _ACCOUNT,
        "fcdn": _ACCOUNT,
        "rtm": _PRINTABLE,
        "chat.user": _CHAT_USER,
        "education.room_user": _PRINTABLE,
        "education.user": _PRINTABLE,
    },
    "rooms": {
        "whiteboard.room": _UUID,
        "whiteboard.task": _UUID,
        "education.room_user": _PRINTABLE,
    },
}
_WITH_UID: Final = frozenset({"rtc", "streaming", "fcdn"})
_ACCOUNT_PREFIX: Final = "account:"
_OTHER_SYNTAX: Final = re.compile(r"\[[^\]]*\]|\?|\{[^}]*\}|\\[dwsDWS.]|\.\*|\.\+")
_HINT: Final = "only '*' is special in a pattern"


def impossible(dimension: str, pattern: str, token_types: Collection[str]) -> str:
    """Returns why a pattern can match no name; "" if it can.

    Args:
        dimension: `channels`, `users` or `rooms`.
        pattern: The pattern.
        token_types: The names of the token types that the grant is for, each in full.
    """
    names = {name: rule for name, rule in _BY_DIMENSION[dimension].items() if name in token_types}
    if dimension == "users" and pattern.startswith("uid:"):
        if names and not names.keys() & _WITH_UID:
            return f"{pattern!r} matches nothing: {_listed(names)} have no uid: use account:…"
        return ""
    text = pattern.removeprefix(_ACCOUNT_PREFIX) if dimension == "users" else pattern
    literal = text.replace("*", "")
    problems = {_problem(literal, rule) for rule in names.values()}
    if not problems or "" in problems:
        return ""
    hint = f"; {_HINT}" if _OTHER_SYNTAX.search(text) else ""
    return (
        f"{pattern!r} matches nothing: {min(problems)} in the {dimension} of {_listed(names)}{hint}"
    )


def suspicious(dimension: str, pattern: str) -> str:
    """Returns a warning about syntax that is literal in a pattern; "" if there is none."""
    if dimension not in _BY_DIMENSION or not (found := _OTHER_SYNTAX.search(pattern)):
        return ""
    return f"{dimension}: {pattern!r}: {found[0]!r} is literal: {_HINT}"


def _problem(literal: str, rule: _Names) -> str:
    if wrong := rule.allowed.sub("", literal):
        return f"{wrong[0]!r} is not allowed"
    if len(literal) > rule.max_length:
        return f"more than {rule.max_length} characters are not allowed"
    return ""


def _listed(names: Collection[str]) -> str:
    return f"{', '.join(sorted(names))} tokens"
