"""The errors that Agora's SDKs report about tokens: one table. Values only.

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

from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple


class Product(StrEnum):
    """A product whose SDK takes tokens."""

    RTC = "rtc"
    RTM = "rtm"
    CHAT = "chat"
    EDUCATION = "education"
    WHITEBOARD = "whiteboard"


class Meaning(StrEnum):
    """The meaning of an error for the token."""

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


class _Implication(NamedTuple):
    """The meaning of an error for the token."""

    meaning: Meaning
    explanation: str


_invalid: Final = partial(_Implication, Meaning.INVALID)
_app_id: Final = partial(_Implication, Meaning.APP_ID)
_no_certificate: Final = partial(_Implication, Meaning.NO_CERTIFICATE)
_renewal: Final = partial(_Implication, Meaning.RENEWAL)
_other: Final = partial(_Implication, Meaning.OTHER)

_EXPIRED: Final = _Implication(Meaning.EXPIRED, "the token has expired")
_INVALID: Final = _invalid("the token is invalid")
_APP_ID: Final = _app_id("Agora does not know the App ID")
_NO_TOKEN: Final = _Implication(
    Meaning.NO_TOKEN, "the project requires a token and the client sent none"
)


def _error(
    product: Product,
    code: int | None,
    name: str,
    source: str,
    implication: _Implication,
    *texts: str,
) -> AgoraError:
    return AgoraError(product, code, name, texts, *implication, source)


_rtc = partial(_error, Product.RTC)
_rtm = partial(_error, Product.RTM)
_chat = partial(_error, Product.CHAT)
# Among several entries that match, the first one counts.
ERRORS: Final[Sequence[AgoraError]] = (
    _rtc(
        None,
        "ERR_DYNAMIC_USE_STATIC_KEY",
        "WEB",
        _NO_TOKEN,
        "dynamic use static key",
        "dynamic use static ke",
        "enabled the dynamic key but uses the static key",
    ),
    _rtc(
        119,
        "ERR_STATIC_USE_DYNAMIC_KEY",
        "FAQ",
        _no_certificate("a token was sent to a project that has no App Certificate enabled"),
        "static use dynamic key",
        "static use dyanmic ke",
    ),
    _rtc(
        101,
        "ERR_INVALID_APP_ID",
        "FAQ",
        _APP_ID,
        "ERR_INVALID_VENDOR_KEY",
        "invalid vendor key",
        "can not find appid",
        "connection changed invalid app id",
    ),
    _rtc(
        109,
        "ERR_TOKEN_EXPIRED",
        "FAQ",
        _EXPIRED,
        "ERR_DYNAMIC_KEY_TIMEOUT",
        "dynamic key or token timeout",
    ),
    _rtc(
        110,
        "ERR_INVALID_TOKEN",
        "FAQ",
        _INVALID,
        "ERR_NO_AUTHORIZED",
        "invalid token authorized failed",
    ),
    _rtc(118, "ERR_DYNAMIC_KEY_EXPIRED", "FAQ", _EXPIRED, "dynamic key expired"),
    _rtc(
        8,
        "CONNECTION_CHANGED_INVALID_TOKEN",
        "RTC",
        _invalid("the token is invalid, or the project requires one and none was sent"),
    ),
    _rtc(
        9,
        "CONNECTION_CHANGED_TOKEN_EXPIRED",
        "RTC",
        _EXPIRED,
    ),
    _rtm(4, "LOGIN_ERR_INVALID_APP_ID", "RTM1", _APP_ID, "rtm login error invalid app id"),
    _rtm(5, "LOGIN_ERR_INVALID_TOKEN", "RTM1", _INVALID, "rtm login error invalid token"),
    _rtm(6, "LOGIN_ERR_TOKEN_EXPIRED", "RTM1", _EXPIRED, "rtm login error token expired"),
    _rtm(
        7,
        "LOGIN_ERR_NOT_AUTHORIZED",
        "RTM1",
        _invalid("the login is not authorized"),
        "rtm login error not authorized",
    ),
    _rtm(
        8,
        "LOGIN_ERR_ALREADY_LOGIN",
        "RTM1",
        _other("the user is already logged in"),
        "rtm login error already login",
    ),
    _rtm(
        9,
        "LOGIN_ERR_TIMEOUT",
        "RTM1",
        _other("the login timed out"),
        "rtm login error timeout",
    ),
    _rtm(-10002, "RTM_ERROR_NOT_LOGIN", "RTM2", _other("the user has not logged in")),
    _rtm(-10003, "RTM_ERROR_INVALID_APP_ID", "RTM2", _APP_ID),
    _rtm(-10005, "RTM_ERROR_INVALID_TOKEN", "RTM2", _INVALID),
    _rtm(
        -10006,
        "RTM_ERROR_INVALID_USER_ID",
        "RTM2",
        _other("RTM does not allow the user id"),
    ),
    _rtm(
        -10008,
        "RTM_ERROR_INVALID_CHANNEL_NAME",
        "RTM2",
        _other("RTM does not allow the channel name"),
    ),
    _rtm(-10009, "RTM_ERROR_TOKEN_EXPIRED", "RTM2", _EXPIRED),
    _rtm(-10011, "RTM_ERROR_LOGIN_TIMEOUT", "RTM2", _other("the login timed out")),
    _rtm(-10012, "RTM_ERROR_LOGIN_REJECTED", "RTM2", _invalid("the server rejected the login")),
    _rtc(2, "RENEW_TOKEN_TOKEN_EXPIRED", "RENEW", _renewal("the new token had expired")),
    _rtc(3, "RENEW_TOKEN_INVALID_TOKEN", "RENEW", _renewal("the new token is invalid")),
    _rtc(
        4,
        "RENEW_TOKEN_INVALID_CHANNEL_NAME",
        "RENEW",
        _renewal("the new token is for another channel"),
    ),
    _rtc(
        5,
        "RENEW_TOKEN_INCONSISTENT_APPID",
        "RENEW",
        _renewal("the new token is for another App ID"),
    ),
    _rtc(
        6,
        "RENEW_TOKEN_CANCELED_BY_NEW_REQUEST",
        "RENEW",
        _renewal("the new token was superseded by a newer one"),
    ),
    _chat(100, "INVALID_APP_KEY", "CHAT", _app_id("Chat does not know the App Key")),
    _chat(101, "INVALID_USER_NAME", "CHAT", _other("the Chat user id is empty or not allowed")),
    _chat(104, "INVALID_TOKEN", "CHAT", _invalid("the token is empty or invalid")),
    _chat(108, "TOKEN_EXPIRED", "CHAT", _EXPIRED),
    _chat(
        109,
        "TOKEN_WILL_EXPIRE",
        "CHAT",
        _other("half of the token's life has passed: pass a new one to renewToken"),
    ),
    _chat(110, "INVALID_PARAM", "CHAT", _other("an argument is invalid")),
    _chat(
        202,
        "USER_AUTHENTICATION_FAILED",
        "CHAT",
        _invalid("Chat could not authenticate the user: the token is expired or invalid"),
        "user authentication failed",
    ),
    _chat(204, "USER_NOT_FOUND", "CHAT", _other("the user is not registered with Chat")),
    # Last: the Web SDK wraps every refusal to join in this, followed by the cause.
    _rtc(
        4096,
        "CAN_NOT_GET_GATEWAY_SERVER",
        "WEB",
        _invalid("Agora refused the App ID or the token; the text after it names the cause"),
        "flag 4096",
    ),
)
