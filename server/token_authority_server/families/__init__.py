"""The token families: what each allows, and what it signs. No transport."""

from typing import Any, Final

from token_authority_server.families.access_advisories import access_advisories
from token_authority_server.families.access_token import AccessToken
from token_authority_server.families.channel_user import user_name
from token_authority_server.families.chat import Chat
from token_authority_server.families.education import Education
from token_authority_server.families.moment import Moment
from token_authority_server.families.rtc import Rtc
from token_authority_server.families.rtm import Rtm
from token_authority_server.families.service_access import (
    AccessRequest,
    Dimension,
    ServiceAccess,
    TokenType,
)
from token_authority_server.families.terms import Terms, TtlUnit
from token_authority_server.families.token_family import TokenFamily
from token_authority_server.families.whiteboard import Whiteboard

__all__ = [
    "FAMILIES",
    "AccessRequest",
    "Dimension",
    "Moment",
    "ServiceAccess",
    "Terms",
    "TokenFamily",
    "TokenType",
    "TtlUnit",
    "access_advisories",
    "user_name",
]

FAMILIES: Final[tuple[TokenFamily[Any, Any], ...]] = (
    Whiteboard(),
    Rtc(),
    Rtm(),
    Chat(),
    Education(),
    AccessToken(),
)
"""All families; `rpc.contract` compares them with the contract at start."""
