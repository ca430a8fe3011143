"""What can be found about a token: the reasons, stable and in one place."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from enum import StrEnum


class FindingReason(StrEnum):
    """Why a token is refused, or will surprise. Programs branch on these; new ones may appear."""

    # What was pasted.
    NOT_A_TOKEN = "NOT_A_TOKEN"  # noqa: S105  # not a secret
    """It does not start as a token of any format does."""
    TOO_LARGE = "TOO_LARGE"
    """It is, or inflates to, more than any token holds."""
    TRUNCATED = "TRUNCATED"
    """Its end is missing."""
    BAD_CHARACTER = "BAD_CHARACTER"
    """It holds a character that its encoding does not have."""
    DAMAGED = "DAMAGED"
    """Characters were changed or added: it cannot be decoded, or no encoder writes it so."""
    CORRUPT = "CORRUPT"
    """It arrived as it was made, and contradicts itself."""
    SPACES_FOR_PLUS = "SPACES_FOR_PLUS"
    """It has spaces where `+` was, as after decoding a form or URL that did not encode it."""
    WHITESPACE = "WHITESPACE"
    """White space or line breaks stood around or in it."""
    QUOTED = "QUOTED"
    """Quotes stood around it, or escapes in it."""
    URL_ENCODED = "URL_ENCODED"
    """It was percent-encoded."""
    SURROUNDED = "SURROUNDED"
    """Other text stood around it."""
    FIELD_REPEATED = "FIELD_REPEATED"
    """A whiteboard token names a field twice."""
    UNKNOWN_SERVICE = "UNKNOWN_SERVICE"
    """It has a service that we do not know, behind which nothing can be read."""
    UNREAD_BYTES = "UNREAD_BYTES"
    """Bytes are left behind its last value."""
    TOO_MANY_VALUES = "TOO_MANY_VALUES"
    """It holds more values than are read."""
    NOT_UTF8 = "NOT_UTF8"
    """Text in it is not UTF-8."""

    # Who signed.
    SECRET_IN_TOKEN = "SECRET_IN_TOKEN"  # noqa: S105  # not a secret
    """A key's secret stands where its public id belongs, for everyone to read."""
    SIGNED_WITH_OTHER_KEY = "SIGNED_WITH_OTHER_KEY"
    """A key that belongs to another App ID or access key made the signature."""
    SIGNATURE_WRONG = "SIGNATURE_WRONG"
    """None of the keys of the App ID or access key that it names made the signature."""
    KEY_UNKNOWN = "KEY_UNKNOWN"
    """There is no key for the App ID or access key that it names."""
    KEY_DISABLED = "KEY_DISABLED"
    """A disabled key made the signature."""
    KEY_RETIRED = "KEY_RETIRED"
    """A retired (verify_only) key made the signature."""
    SIGNATURE_UNCHECKED = "SIGNATURE_UNCHECKED"
    """A 006 token, whose channel and user were not given, or are others."""

    # Which app.
    WRONG_APP_ID = "WRONG_APP_ID"
    """It is for another App ID."""
    APP_ID_SPELLING = "APP_ID_SPELLING"
    """The App ID differs in white space or case only."""
    APP_ID_MALFORMED = "APP_ID_MALFORMED"
    """Its App ID is not 32 hex digits."""

    # Which channel, user and room.
    WRONG_CHANNEL = "WRONG_CHANNEL"
    """It is for another channel."""
    CHANNEL_SPELLING = "CHANNEL_SPELLING"
    """The channel differs in white space or case only."""
    CHANNEL_NAME_INVALID = "CHANNEL_NAME_INVALID"
    """Its channel name is not one that Agora allows."""
    WILDCARD_CHANNEL = "WILDCARD_CHANNEL"
    """It opens every channel."""
    WILDCARD_NEEDS_007 = "WILDCARD_NEEDS_007"
    """It names every channel in 006, which cannot."""
    WRONG_USER = "WRONG_USER"
    """It is for another user."""
    USER_SPELLING = "USER_SPELLING"
    """The user differs in white space or case only."""
    ACCOUNT_FOR_UID = "ACCOUNT_FOR_UID"
    """It is for a string account, and the client joined with an integer."""
    UID_FOR_ACCOUNT = "UID_FOR_ACCOUNT"
    """It is for an integer uid, and the client joined with a string account."""
    UID_ZERO_AS_TEXT = "UID_ZERO_AS_TEXT"
    """It is for the account "0", which was meant to admit anyone and does not."""
    UID_OUT_OF_RANGE = "UID_OUT_OF_RANGE"
    """Its uid is a number that does not fit 32 bits."""
    ANY_USER = "ANY_USER"
    """It admits anyone who holds it."""
    WRONG_ROOM = "WRONG_ROOM"
    """It is for another room."""

    # Which product.
    RTC_TOKEN_FOR_RTM = "RTC_TOKEN_FOR_RTM"  # noqa: S105  # not a secret
    """It joins RTC channels, and was used to log in to RTM."""
    RTM_TOKEN_FOR_RTC = "RTM_TOKEN_FOR_RTC"  # noqa: S105  # not a secret
    """It logs in to RTM, and was used to join an RTC channel."""
    WRONG_PRODUCT = "WRONG_PRODUCT"
    """It is for another product than the one it was used with."""
    NO_JOIN_PRIVILEGE = "NO_JOIN_PRIVILEGE"
    """It has RTC, and not the right to join."""
    NO_LOGIN_PRIVILEGE = "NO_LOGIN_PRIVILEGE"
    """It has RTM, Chat or Education, and no right in it."""
    SUBSCRIBER_NOT_ENFORCED = "SUBSCRIBER_NOT_ENFORCED"
    """It lacks rights to publish, which Agora does not enforce by default."""
    LEGACY_FORMAT_006 = "LEGACY_FORMAT_006"
    """Its format is the older 006, which newer SDKs do not read."""
    APP_TOKEN_SERVER_SIDE_ONLY = "APP_TOKEN_SERVER_SIDE_ONLY"  # noqa: S105  # not a secret
    """It is an app token, which no client may have."""
    SDK_TOKEN_SERVER_SIDE_ONLY = "SDK_TOKEN_SERVER_SIDE_ONLY"  # noqa: S105  # not a secret
    """It is a whiteboard SDK token, which no client may have."""
    PREFIX_RELABELLED = "PREFIX_RELABELLED"
    """Its prefix says another kind of whiteboard token than its content."""
    UUID_SHORT = "UUID_SHORT"
    """The uuid of a whiteboard token looks cut off, and no key vouches for it."""
    ROLE_UNKNOWN = "ROLE_UNKNOWN"
    """A whiteboard token whose role is none of admin, writer and reader."""

    # Since when, and until when.
    EXPIRED = "EXPIRED"
    """It was over when it was used."""
    JOIN_ENDED = "JOIN_ENDED"
    """It lives, and the right to join or log in is over."""
    PUBLISH_ENDED = "PUBLISH_ENDED"
    """Its holder may join, and a right to publish is over."""
    CLOCK_SKEW = "CLOCK_SKEW"
    """It was issued in the future, or Agora calls it expired and it is not."""
    EPOCH_AS_SECONDS = "EPOCH_AS_SECONDS"
    """A point in time was written where 007 wants seconds from issue."""
    SECONDS_AS_EPOCH = "SECONDS_AS_EPOCH"
    """Seconds from issue, or 0, were written where 006 wants a point in time."""
    EXPIRY_IN_SECONDS = "EXPIRY_IN_SECONDS"
    """Seconds since 1970 were written where whiteboard tokens want milliseconds."""
    LIFE_OVER_24_HOURS = "LIFE_OVER_24_HOURS"
    """It asks for more than the 24 hours that Agora allows."""
    ZERO_LIFE = "ZERO_LIFE"
    """It asks for 0 seconds, which means 24 hours."""
    SHORT_LIFE = "SHORT_LIFE"
    """It ends too soon for the SDK's renewal callback to be of use."""
    JOIN_ENDS_BEFORE_PUBLISH = "JOIN_ENDS_BEFORE_PUBLISH"
    """The right to join ends before a right to publish."""
    PRIVILEGE_OUTLIVES_TOKEN = "PRIVILEGE_OUTLIVES_TOKEN"  # noqa: S105  # not a secret
    """A right is to last longer than the token."""
    NON_EXPIRING = "NON_EXPIRING"
    """It never expires."""

    # What the error code means where the token does not explain it.
    APP_ID_REFUSED = "APP_ID_REFUSED"
    """Code 101: Agora does not know the App ID the SDK was given."""
    CERTIFICATE_NOT_ENABLED = "CERTIFICATE_NOT_ENABLED"
    """Code 119: a token was sent to a project that has no certificate enabled."""
    REFUSED_UNEXPLAINED = "REFUSED_UNEXPLAINED"
    """Code 110, or 5 or -10005 of RTM, and nothing in the token explains it."""
    CODE_NOT_ABOUT_TOKENS = "CODE_NOT_ABOUT_TOKENS"
    """The code is none of those that Agora gives for tokens to who joins or logs in."""


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    """FindingReason enough for Agora to refuse the token, or for us to be unable to read it."""
    WARNING = "warning"
    """It works, or may work, and will surprise."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that gets the token refused, or that will surprise. Holds no token, no secret."""

    reason: FindingReason
    severity: Severity
    problem: str
    """What is wrong, in a sentence."""
    advice: str
    """What to do about it, in a sentence."""


DecodeIssues = MutableMapping[FindingReason, str]
"""What decoding came across, each with a detail for its sentence."""

# Any of these, and the text is not, or not exactly, what was signed.
_UNREADABLE = (
    FindingReason.NOT_A_TOKEN,
    FindingReason.TOO_LARGE,
    FindingReason.TRUNCATED,
    FindingReason.BAD_CHARACTER,
    FindingReason.DAMAGED,
)


def is_readable(issues: DecodeIssues) -> bool:
    """Tells whether the token is, to the letter, one that an encoder wrote."""
    return not any(reason in issues for reason in _UNREADABLE)


def mark_unreadable(issues: DecodeIssues, reason: FindingReason, detail: str = "") -> None:
    """DecodeIssues why a token cannot be read on; later troubles are its consequences."""
    if is_readable(issues) and FindingReason.CORRUPT not in issues:
        issues[reason] = detail
