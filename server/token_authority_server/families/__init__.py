"""The kinds of token: what each allows, and what it signs. No transport."""

from typing import Any, Final

from token_authority_server.families.access_token import AccessToken
from token_authority_server.families.base import TokenFamily
from token_authority_server.families.chat import Chat
from token_authority_server.families.education import Education
from token_authority_server.families.rtc import Rtc
from token_authority_server.families.rtm import Rtm
from token_authority_server.families.whiteboard import Whiteboard

FAMILIES: Final[tuple[TokenFamily[Any, Any], ...]] = (
    Whiteboard(),
    Rtc(),
    Rtm(),
    Chat(),
    Education(),
    AccessToken(),
)
"""Every kind; `rpc.service` holds it against the contract at start."""
