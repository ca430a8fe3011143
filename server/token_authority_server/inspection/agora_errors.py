"""The errors that Agora's SDKs report about tokens: one table, and its lookup. Pure.

Sources, as of their state when this was written:
  FAQ          https://docs.agora.io/en/faq/token_error
  RTC          https://api-ref.agora.io/voice-sdk/electron/4.x/API/enum_connectionchangedreasontype.html
  RENEW        https://api-ref.agora.io/en/video-sdk/flutter/6.x/API/enum_renewtokenerrorcode.html
  RTM1         https://api-ref.agora.io/en/signaling-sdk/ios/1.x/Constants/AgoraRtmLoginErrorCode.html
  RTM2         RTM_ERROR_CODE in the headers of the Signaling 2.x SDK (IAgoraRtmClient.h)
  CHAT         https://docs.agora.io/en/agora-chat/reference/error-codes
  WEB          texts of the Web SDK: github.com/AgoraIO/API-Examples-Web/issues/82,
               github.com/AgoraIO/RTM/issues/28, docs.agora.io/en/faq/token_error
"""

import re
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from token_authority_server.inspection.wording import quoted


class Product(StrEnum):
    """A product whose SDK takes tokens."""

    RTC = "rtc"
    RTM = "rtm"
    CHAT = "chat"
    EDUCATION = "education"
    WHITEBOARD = "whiteboard"


class Meaning(StrEnum):
    """What an error says about the token."""

    EXPIRED = "expired"
    INVALID = "invalid"
    APP_ID = "app_id"
    """The App ID is unknown."""
    NO_CERTIFICATE = "no_certificate"
    """The project has no certificate, so it takes no token."""
    NO_TOKEN = "no_token"  # noqa: S105  # not a secret
    """The project requires a token, and none was sent."""
    RENEWAL = "renewal"
    """Only an answer to renewToken is about the token."""
    OTHER = "other"
    """Documented, and not about the token."""


class AgoraError(NamedTuple):
    """One documented error."""

    product: Product
    code: int | None
    name: str
    """As in the SDK's reference; other spellings follow in `texts`."""
    texts: tuple[str, ...]
    """Message texts and other names by which it is known."""
    meaning: Meaning
    explanation: str
    """Completes "it means that …"."""
    source: str


_RTC, _RTM, _CHAT = Product.RTC, Product.RTM, Product.CHAT
_EXPIRED = "the token has expired"
_INVALID = "the token is invalid"
_APP_ID = "Agora does not know the App ID"
_SENT_NONE = "the project requires a token and the client sent none"

# Among several entries that match, the first one counts.
ERRORS: Final[Sequence[AgoraError]] = (
    AgoraError(
        _RTC,
        None,
        "ERR_DYNAMIC_USE_STATIC_KEY",
        (
            "dynamic use static key",
            "dynamic use static ke",
            "enabled the dynamic key but uses the static key",
        ),
        Meaning.NO_TOKEN,
        _SENT_NONE,
        "WEB",
    ),
    AgoraError(
        _RTC,
        119,
        "ERR_STATIC_USE_DYNAMIC_KEY",
        ("static use dynamic key", "static use dynamic ke", "static use dyanmic ke"),
        Meaning.NO_CERTIFICATE,
        "a token was sent to a project that has no App Certificate enabled",
        "FAQ",
    ),
    AgoraError(
        _RTC,
        101,
        "ERR_INVALID_APP_ID",
        (
            "ERR_INVALID_VENDOR_KEY",
            "invalid vendor key",
            "can not find appid",
            "connection changed invalid app id",
            "connection changed reason invalid app id",
        ),
        Meaning.APP_ID,
        _APP_ID,
        "FAQ",
    ),
    AgoraError(
        _RTC,
        109,
        "ERR_TOKEN_EXPIRED",
        ("ERR_DYNAMIC_KEY_TIMEOUT", "dynamic key or token timeout", "dynamic key timeout"),
        Meaning.EXPIRED,
        _EXPIRED,
        "FAQ",
    ),
    AgoraError(
        _RTC,
        110,
        "ERR_INVALID_TOKEN",
        ("ERR_NO_AUTHORIZED", "invalid token authorized failed", "no authorized"),
        Meaning.INVALID,
        _INVALID,
        "FAQ",
    ),
    AgoraError(
        _RTC,
        118,
        "ERR_DYNAMIC_KEY_EXPIRED",
        ("dynamic key expired",),
        Meaning.EXPIRED,
        _EXPIRED,
        "FAQ",
    ),
    AgoraError(
        _RTC,
        8,
        "CONNECTION_CHANGED_INVALID_TOKEN",
        ("connection changed reason invalid token",),
        Meaning.INVALID,
        "the token is invalid, or the project requires one and none was sent",
        "RTC",
    ),
    AgoraError(
        _RTC,
        9,
        "CONNECTION_CHANGED_TOKEN_EXPIRED",
        ("connection changed reason token expired",),
        Meaning.EXPIRED,
        _EXPIRED,
        "RTC",
    ),
    AgoraError(
        _RTM,
        4,
        "LOGIN_ERR_INVALID_APP_ID",
        ("rtm login error invalid app id",),
        Meaning.APP_ID,
        _APP_ID,
        "RTM1",
    ),
    AgoraError(
        _RTM,
        5,
        "LOGIN_ERR_INVALID_TOKEN",
        ("rtm login error invalid token",),
        Meaning.INVALID,
        _INVALID,
        "RTM1",
    ),
    AgoraError(
        _RTM,
        6,
        "LOGIN_ERR_TOKEN_EXPIRED",
        ("rtm login error token expired",),
        Meaning.EXPIRED,
        _EXPIRED,
        "RTM1",
    ),
    AgoraError(
        _RTM,
        7,
        "LOGIN_ERR_NOT_AUTHORIZED",
        ("rtm login error not authorized",),
        Meaning.INVALID,
        "the login is not authorized",
        "RTM1",
    ),
    AgoraError(
        _RTM,
        8,
        "LOGIN_ERR_ALREADY_LOGIN",
        ("rtm login error already login",),
        Meaning.OTHER,
        "the user is already logged in",
        "RTM1",
    ),
    AgoraError(
        _RTM,
        9,
        "LOGIN_ERR_TIMEOUT",
        ("rtm login error timeout",),
        Meaning.OTHER,
        "the login timed out",
        "RTM1",
    ),
    AgoraError(
        _RTM,
        -10002,
        "RTM_ERROR_NOT_LOGIN",
        (),
        Meaning.OTHER,
        "the user has not logged in",
        "RTM2",
    ),
    AgoraError(_RTM, -10003, "RTM_ERROR_INVALID_APP_ID", (), Meaning.APP_ID, _APP_ID, "RTM2"),
    AgoraError(_RTM, -10005, "RTM_ERROR_INVALID_TOKEN", (), Meaning.INVALID, _INVALID, "RTM2"),
    AgoraError(
        _RTM,
        -10006,
        "RTM_ERROR_INVALID_USER_ID",
        (),
        Meaning.OTHER,
        "the user id is not one that RTM allows",
        "RTM2",
    ),
    AgoraError(
        _RTM,
        -10008,
        "RTM_ERROR_INVALID_CHANNEL_NAME",
        (),
        Meaning.OTHER,
        "the channel name is not one that RTM allows",
        "RTM2",
    ),
    AgoraError(_RTM, -10009, "RTM_ERROR_TOKEN_EXPIRED", (), Meaning.EXPIRED, _EXPIRED, "RTM2"),
    AgoraError(
        _RTM,
        -10011,
        "RTM_ERROR_LOGIN_TIMEOUT",
        (),
        Meaning.OTHER,
        "the login timed out",
        "RTM2",
    ),
    AgoraError(
        _RTM,
        -10012,
        "RTM_ERROR_LOGIN_REJECTED",
        (),
        Meaning.INVALID,
        "the server rejected the login",
        "RTM2",
    ),
    AgoraError(
        _RTC,
        2,
        "RENEW_TOKEN_TOKEN_EXPIRED",
        (),
        Meaning.RENEWAL,
        "the new token had expired",
        "RENEW",
    ),
    AgoraError(
        _RTC,
        3,
        "RENEW_TOKEN_INVALID_TOKEN",
        (),
        Meaning.RENEWAL,
        "the new token is invalid",
        "RENEW",
    ),
    AgoraError(
        _RTC,
        4,
        "RENEW_TOKEN_INVALID_CHANNEL_NAME",
        (),
        Meaning.RENEWAL,
        "the new token is for another channel",
        "RENEW",
    ),
    AgoraError(
        _RTC,
        5,
        "RENEW_TOKEN_INCONSISTENT_APPID",
        (),
        Meaning.RENEWAL,
        "the new token is for another App ID",
        "RENEW",
    ),
    AgoraError(
        _RTC,
        6,
        "RENEW_TOKEN_CANCELED_BY_NEW_REQUEST",
        (),
        Meaning.RENEWAL,
        "the new token was superseded by a newer one",
        "RENEW",
    ),
    AgoraError(
        _CHAT,
        100,
        "INVALID_APP_KEY",
        (),
        Meaning.APP_ID,
        "Chat does not know the App Key",
        "CHAT",
    ),
    AgoraError(
        _CHAT,
        101,
        "INVALID_USER_NAME",
        (),
        Meaning.OTHER,
        "the Chat user id is empty or not allowed",
        "CHAT",
    ),
    AgoraError(
        _CHAT, 104, "INVALID_TOKEN", (), Meaning.INVALID, "the token is empty or invalid", "CHAT"
    ),
    AgoraError(_CHAT, 108, "TOKEN_EXPIRED", (), Meaning.EXPIRED, _EXPIRED, "CHAT"),
    AgoraError(
        _CHAT,
        109,
        "TOKEN_WILL_EXPIRE",
        (),
        Meaning.OTHER,
        "half of the token's life has passed: pass a new one to renewToken",
        "CHAT",
    ),
    AgoraError(_CHAT, 110, "INVALID_PARAM", (), Meaning.OTHER, "an argument is invalid", "CHAT"),
    AgoraError(
        _CHAT,
        202,
        "USER_AUTHENTICATION_FAILED",
        ("user authentication failed",),
        Meaning.INVALID,
        "Chat could not authenticate the user: the token is expired or invalid",
        "CHAT",
    ),
    AgoraError(
        _CHAT,
        204,
        "USER_NOT_FOUND",
        (),
        Meaning.OTHER,
        "the user is not registered with Chat",
        "CHAT",
    ),
    # Last: the Web SDK wraps every refusal to join in this, with the cause behind it.
    AgoraError(
        _RTC,
        4096,
        "CAN_NOT_GET_GATEWAY_SERVER",
        ("flag 4096",),
        Meaning.INVALID,
        "Agora refused the App ID or the token; the text behind it names the cause",
        "WEB",
    ),
)
# Names that several SDKs use: they say what happened, and not in which product.
_SHARED_NAMES: Final = frozenset(["invalid token", "token expired", "token will expire"])
_CAMEL_CASE: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN_WORDS: Final = re.compile(r"[^a-z0-9]+")
_NUMBER: Final = re.compile(r"(?<![0-9A-Za-z._-])-?[0-9]{1,10}(?![0-9A-Za-z.])")
# An SDK's message is a line; a log that was pasted whole is searched for its first numbers only.
_MAX_NUMBERS: Final = 20


class ReportedError(NamedTuple):
    """The error that a client reported, as far as it is known."""

    code: int
    """0 where only a text was given that has no code."""
    text: str
    entry: AgoraError | None
    """None: not in the table."""
    product: Product | None
    """None where the error does not tell it."""

    def __str__(self) -> str:
        """Names it for a sentence, without line breaks and cut where it is long."""
        if self.code and not self.text:
            return f"code {self.code}"
        return quoted(" ".join(self.text.split()))

    @property
    def meaning(self) -> Meaning | None:
        """What it says about the token; None where that is not known."""
        return self.entry.meaning if self.entry else None


def _words(text: str) -> str:
    return f" {_BETWEEN_WORDS.sub(' ', _CAMEL_CASE.sub(' ', text).lower()).strip()} "


_PHRASES: Final = [
    (_words(phrase), entry) for entry in ERRORS for phrase in (entry.name, *entry.texts)
]
_BY_CODE: Final = {
    code: [entry for entry in ERRORS if entry.code == code]
    for code in {entry.code for entry in ERRORS if entry.code is not None}
}


def find_error(
    code: int,
    text: str,
    *,
    product: Product | None,
    token_products: Collection[Product],
    joined_channel: bool,
) -> ReportedError | None:
    """Looks up what a client reported.

    Args:
        code: The number, or 0.
        text: A name, number or message text in any form, or "".
        product: The product that was used, where it is known.
        token_products: What the token is for. The same number means different things in different
            SDKs: an entry of the token's product is preferred.
        joined_channel: Whether a channel or an integer uid was given, which only RTC's numbers of
            renewToken need.

    Returns:
        None if nothing was reported.
    """
    if not code and not text.strip():
        return None
    phrase, entry = _by_text(text, product, token_products)
    if entry is not None:
        shared = phrase.strip() in _SHARED_NAMES and entry.product not in token_products
        found = product or (None if shared else entry.product)
        return ReportedError(code or entry.code or 0, text, entry, found)
    for number in [*_numbers(text), code]:
        found_entry = _by_code(number, product, token_products, joined_channel)
        if found_entry is not None:
            about_token = found_entry.meaning is not Meaning.OTHER
            found = product or (found_entry.product if about_token else None)
            return ReportedError(number, text, found_entry, found)
    numbers = _numbers(text)
    return ReportedError(code or (numbers[0] if numbers else 0), text, None, product)


def _by_text(
    text: str, product: Product | None, token_products: Collection[Product]
) -> tuple[str, AgoraError | None]:
    """Returns the longest phrase of the table that is in the text, and its entry."""
    if not text:
        return "", None
    words = _words(text)
    matches = [(phrase, entry) for phrase, entry in _PHRASES if phrase in words]
    # The Web SDK's wrapper is in the text beside the cause.
    matches = [match for match in matches if match[1] is not ERRORS[-1]] or matches
    if not matches:
        return "", None
    preferred = {product} if product else set(token_products)
    return max(matches, key=lambda match: (len(match[0]), match[1].product in preferred))


def _numbers(text: str) -> list[int]:
    found = []
    for match in _NUMBER.finditer(text):
        number = int(match.group())
        if -(2**31) <= number < 2**31:
            found.append(number)
        if len(found) == _MAX_NUMBERS:
            break
    return found


def _by_code(
    code: int,
    product: Product | None,
    token_products: Collection[Product],
    joined_channel: bool,
) -> AgoraError | None:
    entries = _BY_CODE.get(code, [])
    if product is not None:
        return next((entry for entry in entries if entry.product is product), None)
    renewals = [entry for entry in entries if entry.meaning is Meaning.RENEWAL]
    if renewals and joined_channel and Product.RTM not in token_products:
        return renewals[0]
    others = [entry for entry in entries if entry.meaning is not Meaning.RENEWAL]
    own = [entry for entry in others if entry.product in token_products]
    return next(iter([*own, *others, *renewals]), None)
