"""What a token was used for, and what came of it. Values only."""

from collections.abc import Iterator
from dataclasses import dataclass

from token_authority_server.inspection.decoded import spellings
from token_authority_server.inspection.sealed import Subject


@dataclass(frozen=True, slots=True)
class Expected:
    """Each value that is set gets compared with the token."""

    app_id: str = ""
    """The App ID the SDK was initialised with; "" for any."""
    channel_name: str = ""
    """The channel that was joined; "" for any."""
    uid: int | None = None
    """The integer the client joined with; 0: it let Agora choose."""
    user_account: str | None = None
    """The string account, or the RTM, Chat or education user."""
    room_uuid: str = ""
    """The whiteboard or classroom room; "" for any."""
    at_ms: int | None = None
    """When the token was used, in milliseconds since 1970; None for now."""
    error_code: int = 0
    """The code that Agora's SDK gave; 0 for none."""

    @property
    def user(self) -> str | None:
        """The user as tokens write it; None for any. A token for anyone has "" instead."""
        return self.user_account if self.uid is None else str(self.uid)

    def subjects(self) -> Iterator[Subject]:
        """Yields who a 006 token may be for, misspellings and anyone included."""
        users = () if self.user is None else spellings(self.user)
        if self.channel_name:
            for channel in spellings(self.channel_name):
                for user in ("", *users):
                    yield Subject(channel, user)
        # RTM tokens have the user in the channel's place.
        for user in users:
            yield Subject(user, "")
