"""The warnings about a token that is valid but may not work as expected: one table. Values only.

Issuing gives them as advisories, and inspection as findings with the same reason and advice.
"""

from typing import Final, NamedTuple

SHORT_LIFE_MS: Final = 60_000
"""The longest lifetime that is too short. The SDK calls back 30 s before the end: this is half of
the shortest lifetime with which that can work."""
ZERO_ACCOUNT: Final = "0"
"""The account that is mistaken for uid 0. Agora's builders write the integer 0 as the empty text,
which admits anyone; the text "0" is an account like any other."""
UNSET_TEXTS: Final = ("null", "undefined", "NaN", "None")
"""What JavaScript and Python print for an unset variable."""


class TokenWarning(NamedTuple):
    """A row of the table."""

    reason: str
    """In UPPER_SNAKE_CASE; stable."""
    problem: str
    """What to expect. A finding may replace it with details of its token."""
    advice: str
    """What to do."""
    not_inspected: str = ""
    """Why inspection has no finding of this reason; "": it has."""


SUBSCRIBER_NOT_ENFORCED: Final = TokenWarning(
    "SUBSCRIBER_NOT_ENFORCED",
    "Agora lets the holder publish until co-host authentication is enabled for the project, and "
    "then enforces the role in the live broadcasting profile only.",
    "Enable co-host authentication in the Agora console if subscribers must not publish.",
)
NO_JOIN_PRIVILEGE: Final = TokenWarning(
    "NO_JOIN_PRIVILEGE",
    "The RTC service lacks the privilege to join the channel.",
    "Grant join_channel: the privileges to publish have no effect without it.",
)
JOIN_ENDS_BEFORE_PUBLISH: Final = TokenWarning(
    "JOIN_ENDS_BEFORE_PUBLISH",
    "The privilege to join expires before a privilege to publish: Agora then removes the user from "
    "the channel.",
    "Give the privilege to join the longest lifetime.",
)
LEGACY_FORMAT_006: Final = TokenWarning(
    "LEGACY_FORMAT_006",
    "The token has the older format 006, which newer SDKs and products refuse.",
    "Make a 007 token, unless the client's SDK is too old for it.",
)
APP_TOKEN_SERVER_SIDE_ONLY: Final = TokenWarning(
    "APP_TOKEN_SERVER_SIDE_ONLY",
    "This is an app token: its holder may call the REST API with all permissions.",
    "Keep it on servers, and give clients user tokens. If a client had it, replace the "
    "certificate.",
)
SDK_TOKEN_SERVER_SIDE_ONLY: Final = TokenWarning(
    "SDK_TOKEN_SERVER_SIDE_ONLY",
    "This is an SDK token: its holder may enter, and make tokens for, every room of the project.",
    "Keep it on servers, and give clients room or task tokens. If a client had it, replace its "
    "access key.",
)
WILDCARD_CHANNEL: Final = TokenWarning(
    "WILDCARD_CHANNEL",
    "The token is valid for every channel of the project.",
    "Set USE_NEW_TOKEN in Web clients; if one channel is enough, make the token for it.",
)
WILDCARD_PATTERN: Final = TokenWarning(
    "WILDCARD_PATTERN",
    "The token's channel is a pattern, in which `*` matches any text.",
    "Ask Agora whether extended wildcard matching is enabled for the project: only Shengwang "
    "documents it. Set USE_NEW_TOKEN in Web clients.",
)
ANY_USER: Final = TokenWarning(
    "ANY_USER",
    "The token admits everyone who has it.",
    "Make the token for the uid or account that joins, unless anyone is meant.",
)
UID_ZERO_AS_TEXT: Final = TokenWarning(
    "UID_ZERO_AS_TEXT",
    'The token is for the account "0". The integer 0 admits anyone; the text "0" does not.',
    "Make the token for the user's own uid, and pass that uid in the client; to admit anyone, make "
    "it for any user.",
)
UNSET_AS_TEXT: Final = TokenWarning(
    "UNSET_AS_TEXT",
    "A name in the token is the text of an unset variable.",
    "Check the variable where the token is requested; make the token for the name that the client "
    "uses.",
)
RTM_PERMISSIONS_INACTIVE: Final = TokenWarning(
    "RTM_PERMISSIONS_INACTIVE",
    "The token has RTM resource permissions, which have no effect until Agora activates them for "
    "the project.",
    "Ask Agora to activate them, and try with a resource that the token must not open.",
)
NON_EXPIRING: Final = TokenWarning(
    "NON_EXPIRING",
    "The token never expires: it works until its access key is deleted.",
    "Make tokens with a lifespan. To revoke this one, delete the access key that signed it.",
)
SHORT_LIFE: Final = TokenWarning(
    "SHORT_LIFE",
    "The lifetime is too short to renew the token: the SDK's callback runs 30 s before the end.",
    "Request a lifetime of several minutes.",
)
CHAT_USER_ID_UPPER_CASE: Final = TokenWarning(
    "CHAT_USER_ID_UPPER_CASE",
    "Chat user IDs are case-insensitive: Chat changes upper-case letters to lower case.",
    "Request the token for the lower-case user ID.",
    not_inspected="Chat accepts the token; only servers that compare IDs by case are affected.",
)
"""Source: Agora Chat SDK reference, ChatClient.loginWithToken, parameter `userId`."""
TTL_CLAMPED: Final = TokenWarning(
    "TTL_CLAMPED",
    "The requested lifetime was shortened to the grant's max_ttl.",
    "Request a shorter lifetime, or renew the token by its expire_time.",
    not_inspected="A token does not tell which lifetime was requested.",
)

TOKEN_WARNINGS: Final = (
    SUBSCRIBER_NOT_ENFORCED,
    NO_JOIN_PRIVILEGE,
    JOIN_ENDS_BEFORE_PUBLISH,
    LEGACY_FORMAT_006,
    APP_TOKEN_SERVER_SIDE_ONLY,
    SDK_TOKEN_SERVER_SIDE_ONLY,
    WILDCARD_CHANNEL,
    WILDCARD_PATTERN,
    ANY_USER,
    UID_ZERO_AS_TEXT,
    UNSET_AS_TEXT,
    RTM_PERMISSIONS_INACTIVE,
    NON_EXPIRING,
    SHORT_LIFE,
    CHAT_USER_ID_UPPER_CASE,
    TTL_CLAMPED,
)
"""All of them."""


def is_short_life(life_ms: int) -> bool:
    """Tells whether a lifetime is too short for the SDK's renewal callback."""
    return 0 < life_ms <= SHORT_LIFE_MS
