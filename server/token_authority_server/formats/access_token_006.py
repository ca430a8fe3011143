"""AccessToken "006": the older format of RTC and RTM tokens. Pure.

The token has only the CRC-32 of channel and uid; the signature covers their text. RTM tokens have
the RTM user id as the channel, and no uid.
"""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from typing import Final
from zlib import crc32

from token_authority_server.formats.packing import (
    byte_string,
    check_id,
    privilege_map,
    u32,
    utf8,
)

# In addition to it, 006 has the privileges of services.RTC.
RTM_LOGIN: Final = 1000

# Agora's libraries always write the issue time plus this, whatever the privileges are.
TOKEN_SECONDS: Final = 86400


def build_access_token_006(
    *,
    app_id: str,
    app_certificate: str,
    channel_name: str,
    uid: str,
    ends_at: int,
    salt: int,
    privileges: Mapping[int, int],
) -> str:
    """Builds a 006 token.

    Args:
        app_id: 32 hex digits.
        app_certificate: 32 hex digits; its text signs.
        channel_name: The channel, or the RTM user id.
        uid: As `packing.uid_text` writes it, or a user account verbatim; "" stands for
            any user.
        ends_at: Unix seconds, u32: issue time + TOKEN_SECONDS.
        salt: Any u32, fresh for each token.
        privileges: Privilege -> **absolute** Unix seconds, u32.

    Raises:
        FormatError: An id is not 32 hex digits, a number exceeds its field, or text has no UTF-8
            encoding.
    """
    check_id("app_id", app_id)
    check_id("app_certificate", app_certificate)
    channel_bytes = utf8("channel_name", channel_name)
    uid_bytes = utf8("uid", uid)
    message = u32("salt", salt) + u32("ends_at", ends_at) + privilege_map(privileges)
    # Agora's format has no separators: ("room1", "23") and ("room12", "3") have the same signature.
    signature = signature_006(
        app_certificate, app_id.encode() + channel_bytes + uid_bytes + message
    )
    content = (
        byte_string("signature", signature)
        + u32("crc_channel", crc32(channel_bytes))
        + u32("crc_uid", crc32(uid_bytes))
        + byte_string("message", message)
    )
    return "006" + app_id + b64encode(content).decode()


def signature_006(app_certificate: str, signed: bytes) -> bytes:
    """Signs the concatenation of App ID, channel, uid and message."""
    return hmac.digest(app_certificate.encode(), signed, "sha256")
