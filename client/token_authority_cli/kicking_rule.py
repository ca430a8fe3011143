"""Bodies for Agora's REST API that remove a user from channels, for an operator to send.

Source: https://docs.agora.io/en/api-reference/api-ref/rtc/create-ban-rule. The API takes the
account-wide customer ID and secret, which the token authority does not have.
"""

import json
import sys
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from math import ceil
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from token_authority_server.audit import Found

_URL: Final = "https://api.agora.io/dev/v1/kicking-rule"
# The range of `time_in_seconds`.
_SHORTEST_SECONDS: Final = 10
_LONGEST_SECONDS: Final = 86_430
_UID: Final = "uid:"


class KickingRules:
    """Collects the projects in which a user has unexpired tokens for channels.

    Args:
        app_ids: The App ID of each project.
        user: The user as records name it.
        now: The time.
    """

    def __init__(self, app_ids: Mapping[str, str], user: str, now: datetime | None) -> None:
        self._app_ids = app_ids
        self._user = user
        self._now = now
        self._seconds: dict[str, int] = {}
        """Seconds until the user's tokens have expired, by project."""

    def reading(self, records: Iterable["Found"]) -> Generator["Found"]:
        """Yields records, and remembers those of tokens for channels."""
        for found in records:
            fields = found.fields
            if fields.get("channel") or fields.get("any_channel"):
                project = str(fields.get("project"))
                self._seconds[project] = max(self._seconds.get(project, 0), self._remaining(fields))
            yield found

    def _remaining(self, fields: dict[str, Any]) -> int:
        """Returns the seconds until a token expires; the longest time if it is not readable."""
        from token_authority_server.audit import expire_time_of  # noqa: PLC0415  # lazily

        with suppress(ValueError):
            expires = expire_time_of(fields)
            if expires and self._now:
                return max(_SHORTEST_SECONDS, ceil((expires - self._now).total_seconds()))
        return _LONGEST_SECONDS

    def print(self, *, as_json: bool) -> None:
        """Prints a body for each project, and on standard error where to send it."""
        if not self._seconds:
            return
        if not self._user.startswith(_UID):
            _note("Agora's kicking-rule accepts integer uids only: it cannot remove this user")
            return
        known = {name: seconds for name, seconds in self._seconds.items() if name in self._app_ids}
        for name in sorted(self._seconds.keys() - known.keys()):
            _note(f"the configuration has no App ID for project {name!r}")
        if known:
            _note(
                f"to remove {self._user} from all channels until its tokens have expired, POST "
                f'each body to {_URL} with your Agora customer ID and secret (add "cname" for '
                "one channel only):"
            )
        for name, seconds in sorted(known.items()):
            body = {
                "appid": self._app_ids[name],
                "uid": int(self._user.removeprefix(_UID)),
                "time_in_seconds": min(seconds, _LONGEST_SECONDS),
                "privileges": ["join_channel"],
            }
            print(json.dumps({"kicking_rule": body} if as_json else body))


def _note(text: str) -> None:
    print(f"token-authority: note: {text}", file=sys.stderr)
