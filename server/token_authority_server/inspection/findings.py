"""The findings of an inspection: every reason, stable and in one place."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from enum import StrEnum


class FindingReason(StrEnum):
    """Causes of rejections, and warnings. Programs branch on these; new ones may appear."""

    # The pasted text.
    SECRET_EXPOSED = "SECRET_EXPOSED"  # noqa: S105  # not a secret
    """A credential was pasted where a token or an id belongs."""
    RETIRED_FORMAT = "RETIRED_FORMAT"
    """It is a dynamic key or signaling key, formats that Agora has retired."""
    NOT_A_TOKEN = "NOT_A_TOKEN"  # noqa: S105  # not a secret
    """It does not start as a token of any format does."""
    TOO_LARGE = "TOO_LARGE"
    """It is larger, or inflates to more, than any token."""
    TRUNCATED = "TRUNCATED"
    """Its end is missing."""
    BAD_CHARACTER = "BAD_CHARACTER"
    """It has a character outside its encoding's alphabet."""
    DAMAGED = "DAMAGED"
    """Characters were changed, lost or added: no encoder writes it so."""
    CORRUPT = "CORRUPT"
    """It is complete, but its content is inconsistent."""
    SPACES_FOR_PLUS = "SPACES_FOR_PLUS"
    """It has spaces in place of `+`, as after decoding a form or URL that did not encode it."""
    WHITESPACE = "WHITESPACE"
    """White space or line breaks are around or inside it."""
    QUOTED = "QUOTED"
    """It is quoted or has escapes."""
    URL_ENCODED = "URL_ENCODED"
    """It is percent-encoded."""
    SURROUNDED = "SURROUNDED"
    """Other text is around it."""
    SEVERAL_TOKENS = "SEVERAL_TOKENS"  # not a secret
    """The text has more than one token."""
    FIELD_REPEATED = "FIELD_REPEATED"
    """A whiteboard token has a field twice."""
    UNKNOWN_SERVICE = "UNKNOWN_SERVICE"
    """It has an unknown service type; nothing after it can be read."""
    UNREAD_BYTES = "UNREAD_BYTES"
    """It has bytes after its last value."""
    TOO_MANY_VALUES = "TOO_MANY_VALUES"
    """It has more values than are read."""
    NOT_UTF8 = "NOT_UTF8"
    """It has text that is not UTF-8."""

    # The signature.
    SECRET_IN_TOKEN = "SECRET_IN_TOKEN"  # noqa: S105  # not a secret
    """A key's secret is in the token, readable by every holder."""
    SIGNED_WITH_OTHER_KEY = "SIGNED_WITH_OTHER_KEY"
    """It is signed with a key of another App ID or access key."""
    SIGNATURE_WRONG = "SIGNATURE_WRONG"
    """It is not signed with any key of the App ID or access key that it names."""
    KEY_UNKNOWN = "KEY_UNKNOWN"
    """No key is configured for the App ID or access key that it names."""
    KEY_DISABLED = "KEY_DISABLED"
    """It is signed with a disabled key."""
    KEY_RETIRED = "KEY_RETIRED"
    """It is signed with a retired (verify_only) key."""
    SIGNATURE_UNCHECKED = "SIGNATURE_UNCHECKED"
    """It is a 006 token, and its channel and user were not given, or differ."""

    # The app.
    WRONG_APP_ID = "WRONG_APP_ID"
    """It is for another App ID."""
    APP_ID_SPELLING = "APP_ID_SPELLING"
    """The App ID differs only in white space or case."""
    APP_ID_MALFORMED = "APP_ID_MALFORMED"
    """Its App ID is not 32 hex digits."""

    # The channel, user and room.
    WRONG_CHANNEL = "WRONG_CHANNEL"
    """It is for another channel."""
    CHANNEL_SPELLING = "CHANNEL_SPELLING"
    """The channel differs only in white space or case."""
    CHANNEL_EMPTY = "CHANNEL_EMPTY"
    """It is a 006 token made with an empty channel name."""
    CHANNEL_NAME_INVALID = "CHANNEL_NAME_INVALID"
    """Agora does not allow its channel name."""
    WILDCARD_CHANNEL = "WILDCARD_CHANNEL"
    """It is valid for every channel."""
    WILDCARD_PATTERN = "WILDCARD_PATTERN"
    """Its channel or user is a pattern with `*`."""
    WILDCARD_NEEDS_007 = "WILDCARD_NEEDS_007"
    """It has the channel `*` in 006, which has no wildcards."""
    WRONG_USER = "WRONG_USER"
    """It is for another user."""
    USER_SPELLING = "USER_SPELLING"
    """The user differs only in white space or case."""
    USER_EMPTY = "USER_EMPTY"
    """Its RTM, Chat or Education user is empty; only RTC treats that as any user."""
    RTM_USER_MISPLACED = "RTM_USER_MISPLACED"
    """It is a 006 RTM token with the user in the uid's place."""
    CHAT_USER_ID_FORM = "CHAT_USER_ID_FORM"
    """It is for a Chat UUID and was used with a user id, or the other way round."""
    ACCOUNT_FOR_UID = "ACCOUNT_FOR_UID"
    """It is for a string account; the client joined with an integer."""
    UID_FOR_ACCOUNT = "UID_FOR_ACCOUNT"
    """It is for an integer uid; the client joined with a string account."""
    UID_ZERO_AS_TEXT = "UID_ZERO_AS_TEXT"
    """It is for the account "0", which does not admit anyone as the integer 0 does."""
    UID_OUT_OF_RANGE = "UID_OUT_OF_RANGE"
    """The uid of the token or of the client does not fit 32 bits."""
    UNSET_AS_TEXT = "UNSET_AS_TEXT"
    """Its channel, user or room is the text of an unset variable."""
    ANY_USER = "ANY_USER"
    """It admits every holder."""
    WRONG_ROOM = "WRONG_ROOM"
    """It is for another room."""
    ROOM_SPELLING = "ROOM_SPELLING"
    """The room differs only in dashes, white space or case."""

    # The product.
    RTC_TOKEN_FOR_RTM = "RTC_TOKEN_FOR_RTM"  # noqa: S105  # not a secret
    """It is for RTC and was used to log in to RTM."""
    RTM_TOKEN_FOR_RTC = "RTM_TOKEN_FOR_RTC"  # noqa: S105  # not a secret
    """It is for RTM and was used to join an RTC channel."""
    WRONG_PRODUCT = "WRONG_PRODUCT"
    """It is for another product than the one it was used with."""
    NO_JOIN_PRIVILEGE = "NO_JOIN_PRIVILEGE"
    """It is for RTC and lacks the privilege to join."""
    NO_LOGIN_PRIVILEGE = "NO_LOGIN_PRIVILEGE"
    """It is for RTM, Chat or Education and has no privilege there."""
    SUBSCRIBER_NOT_ENFORCED = "SUBSCRIBER_NOT_ENFORCED"
    """It lacks privileges to publish, which Agora does not enforce by default."""
    LEGACY_FORMAT_006 = "LEGACY_FORMAT_006"
    """Its format is 006, which newer SDKs do not read."""
    RTM_PERMISSIONS_INACTIVE = "RTM_PERMISSIONS_INACTIVE"
    """Its RTM resource permissions have no effect until Agora activates them."""
    APP_TOKEN_SERVER_SIDE_ONLY = "APP_TOKEN_SERVER_SIDE_ONLY"  # noqa: S105  # not a secret
    """It is an app token: for servers only."""
    SDK_TOKEN_SERVER_SIDE_ONLY = "SDK_TOKEN_SERVER_SIDE_ONLY"  # noqa: S105  # not a secret
    """It is a whiteboard SDK token: for servers only."""
    PREFIX_RELABELLED = "PREFIX_RELABELLED"
    """Its prefix and its content are of different kinds of whiteboard token."""
    UUID_SHORT = "UUID_SHORT"
    """The uuid of a whiteboard token looks cut off, and no key confirms it."""
    ROLE_UNKNOWN = "ROLE_UNKNOWN"
    """It is a whiteboard token whose role is not admin, writer or reader."""

    # The times.
    EXPIRED = "EXPIRED"
    """It had expired when it was used."""
    JOIN_ENDED = "JOIN_ENDED"
    """The token has not expired, but its privilege to join or log in has ended."""
    PUBLISH_ENDED = "PUBLISH_ENDED"
    """Its holder may join, but a privilege to publish has ended."""
    CLOCK_SKEW = "CLOCK_SKEW"
    """It was issued in the future, or Agora reports it as expired, but it is not."""
    EPOCH_AS_SECONDS = "EPOCH_AS_SECONDS"
    """It has a point in time where 007 expects seconds from issue."""
    SECONDS_AS_EPOCH = "SECONDS_AS_EPOCH"
    """It has seconds from issue where 006 expects a point in time."""
    ENDS_BEFORE_ISSUE = "ENDS_BEFORE_ISSUE"
    """It is a 006 token that ends before it was issued."""
    EXPIRY_IN_SECONDS = "EXPIRY_IN_SECONDS"
    """It has seconds since 1970 where whiteboard tokens expect milliseconds."""
    LIFESPAN_IN_SECONDS = "LIFESPAN_IN_SECONDS"
    """Its lifespan was given in seconds where whiteboard tokens expect milliseconds."""
    EPOCH_AS_LIFESPAN = "EPOCH_AS_LIFESPAN"
    """A point in time was given as the lifespan of a whiteboard token."""
    LIFE_OVER_24_HOURS = "LIFE_OVER_24_HOURS"
    """It asks for more than the 24 hours that Agora allows."""
    ZERO_LIFE = "ZERO_LIFE"
    """It asks for 0 seconds, which means 24 hours."""
    SHORT_LIFE = "SHORT_LIFE"
    """It expires too soon for the SDK's renewal callback."""
    JOIN_ENDS_BEFORE_PUBLISH = "JOIN_ENDS_BEFORE_PUBLISH"
    """The privilege to join ends before a privilege to publish."""
    PRIVILEGE_OUTLIVES_TOKEN = "PRIVILEGE_OUTLIVES_TOKEN"  # noqa: S105  # not a secret
    """A privilege is longer than the token."""
    NON_EXPIRING = "NON_EXPIRING"
    """It never expires."""

    # The error, if the token does not explain it.
    APP_ID_REFUSED = "APP_ID_REFUSED"
    """Agora does not know the App ID that the SDK was initialised with."""
    CERTIFICATE_NOT_ENABLED = "CERTIFICATE_NOT_ENABLED"
    """A token was sent to a project that has no certificate enabled."""
    TOKEN_NOT_SENT = "TOKEN_NOT_SENT"  # noqa: S105  # not a secret
    """The project requires a token and the client sent none."""
    REFUSED_UNEXPLAINED = "REFUSED_UNEXPLAINED"
    """Agora calls the token invalid, and nothing in the token explains it."""
    CODE_NOT_ABOUT_TOKENS = "CODE_NOT_ABOUT_TOKENS"
    """The error is not about the token, or is not known here."""


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    """Enough for Agora to refuse the token, or for us to be unable to read it."""
    WARNING = "warning"
    """It works, or may work, and will surprise."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause of a rejection, or a warning. Contains no token and no secret."""

    reason: FindingReason
    severity: Severity
    problem: str
    """One sentence: what is wrong."""
    advice: str
    """One sentence: what to do."""


DecodeIssues = MutableMapping[FindingReason, str]
"""What decoding found, each with a detail for its sentence."""

# With any of these, the text is not, or not exactly, what was signed.
_UNREADABLE = (
    FindingReason.RETIRED_FORMAT,
    FindingReason.NOT_A_TOKEN,
    FindingReason.TOO_LARGE,
    FindingReason.TRUNCATED,
    FindingReason.BAD_CHARACTER,
    FindingReason.DAMAGED,
)


def is_readable(issues: DecodeIssues) -> bool:
    """Tells whether the token is, character by character, what an encoder wrote."""
    return not any(reason in issues for reason in _UNREADABLE)


def mark_unreadable(issues: DecodeIssues, reason: FindingReason, detail: str = "") -> None:
    """Records why decoding stopped; later issues are consequences and are not recorded."""
    if is_readable(issues) and FindingReason.CORRUPT not in issues:
        issues[reason] = detail
