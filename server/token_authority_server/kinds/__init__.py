"""The kinds of token: what each allows, and what it signs. No transport."""

from typing import Any, Final

from token_authority_server.kinds.base import Kind
from token_authority_server.kinds.rtc import Rtc
from token_authority_server.kinds.whiteboard import Whiteboard

KINDS: Final[tuple[Kind[Any, Any], ...]] = (Whiteboard(), Rtc())
"""Every kind; `rpc.service` holds it against the contract at start."""
