"""The kinds of token: what each allows, and what it signs. No transport."""

from typing import Any, Final

from token_authority_server.kinds.access_token import AccessToken
from token_authority_server.kinds.base import Kind
from token_authority_server.kinds.chat import Chat
from token_authority_server.kinds.education import Education
from token_authority_server.kinds.rtc import Rtc
from token_authority_server.kinds.rtm import Rtm
from token_authority_server.kinds.whiteboard import Whiteboard

KINDS: Final[tuple[Kind[Any, Any], ...]] = (
    Whiteboard(),
    Rtc(),
    Rtm(),
    Chat(),
    Education(),
    AccessToken(),
)
"""Every kind; `rpc.service` holds it against the contract at start."""
