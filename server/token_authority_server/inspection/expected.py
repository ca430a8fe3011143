"""How a token was used, and what happened. Values only."""

from collections.abc import Iterator
from dataclasses import dataclass

from token_authority_server.inspection.agora_errors import Product
from token_authority_server.inspection.decoded import spellings
from token_authority_server.inspection.sealed import Subject

MAX_UID = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Expected:
    """The client's values; each one that is set is compared with the token."""

    app_id: str = ""
    """The App ID the SDK was initialised with; "" for any."""
    channel_name: str = ""
    """The channel that was joined; "" for any."""
    uid: int | None = None
    """The integer the client joined with, in or out of range; 0: Agora chose one."""
    user_account: str | None = None
    """The string account, or the RTM, Chat or education user."""
    room_uuid: str = ""
    """The whiteboard or classroom room; "" for any."""
    at_ms: int | None = None
    """When the token was used, in milliseconds since 1970; None for now."""
    error_code: int = 0
    """The number that Agora's SDK reported; 0 for none."""
    error: str = ""
    """The name, number or message text that Agora's SDK reported; "" for none."""
    product: Product | None = None
    """The product that was used; None if it was not provided."""

    @property
    def user(self) -> str | None:
        """The user as tokens write it; None for any. A token for anyone has "" instead."""
        return self.user_account if self.uid is None else str(self.uid)

    @property
    def is_uid_in_range(self) -> bool:
        """Whether the client's uid, if it has one, fits 32 bits."""
        return self.uid is None or 0 <= self.uid <= MAX_UID

    def subjects(self) -> Iterator[Subject]:
        """Yields whom a 006 token may be for, with misspellings, anyone and misplaced users."""
        users = () if self.user is None else spellings(self.user)
        if self.channel_name:
            for channel in spellings(self.channel_name):
                for user in ("", *users):
                    yield Subject(channel, user)
        # RTM tokens have the user in the channel's place; some callers pass it in both places.
        for user in users:
            yield Subject(user, "")
            yield Subject(user, user)
        # The channel name was empty when the token was made.
        for user in ("", *users):
            yield Subject("", user)
