"""Tokens to inspect, made by our signing core, and what is needed to break them."""

import base64
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from support.decoding import decode, inflate
from support.keys import (
    ACCESS_KEY,
    APP_ID,
    CERTIFICATE,
    NONCE,
    NOW_MS,
    OLD_CERTIFICATE,
    SECRET_KEY,
    access_key,
    certificate,
)
from token_authority_server.formats import service_packing as v007
from token_authority_server.formats.access_token_006 import build_access_token_006
from token_authority_server.formats.access_token_007 import (
    build_access_token_007,
    signature_007,
)
from token_authority_server.formats.netless import (
    NetlessType,
    build_netless_token,
    signature_netless,
    signed_netless,
)
from token_authority_server.inspection import Expected, Inspection, inspect_token
from token_authority_server.keyring import AccessKey, AppCertificate, KeyState, Secret, SigningKey

NOW = NOW_MS // 1000
HOUR = 3600
DAY = 86400
OTHER_APP_ID = "0123456789abcdef0123456789abcdef"
OTHER_CERTIFICATE = "fedcba9876543210fedcba9876543210"
LEAKED_CERTIFICATE = "11111111111111111111111111111111"
UNKNOWN_CERTIFICATE = "22222222222222222222222222222222"
OTHER_SECRET_KEY = "another-test-secret-key"
ROOM = "4a50cb3b6a0c4b5e9a1d1c1f0e6d7c8b"
KEYS: Sequence[tuple[str, SigningKey]] = (
    ("classroom", certificate("cert-1", OLD_CERTIFICATE, KeyState.VERIFY_ONLY)),
    ("classroom", certificate()),
    ("classroom", certificate("cert-0", LEAKED_CERTIFICATE, KeyState.DISABLED)),
    ("classroom", access_key()),
    ("lab", AppCertificate("lab-1", KeyState.ACTIVE, OTHER_APP_ID, Secret(OTHER_CERTIFICATE))),
    ("lab", AccessKey("lab-ak", KeyState.ACTIVE, "another-access-key", Secret(OTHER_SECRET_KEY))),
)
SECRETS = [secret for _, key in KEYS for secret in key.confidential()]


def publisher(seconds: int = HOUR) -> dict[int, int]:
    return {1: seconds, 2: seconds, 3: seconds, 4: seconds}


def rtc(
    channel: str = "lesson-1", uid: str = "7", rights: Mapping[int, int] | None = None
) -> v007.PackedService:
    return v007.rtc(channel, uid, publisher() if rights is None else rights)


def rtm(user: str = "alice", seconds: int = HOUR) -> v007.PackedService:
    return v007.rtm(user, {1: seconds})


def t007(*services: v007.PackedService, **changes: Any) -> str:
    """An RTC token for an hour, or one of these services."""
    arguments = {
        "app_id": APP_ID,
        "app_certificate": CERTIFICATE,
        "issued_at": NOW,
        "expire_seconds": HOUR,
        "salt": 1,
        "services": services or [rtc()],
        **changes,
    }
    return build_access_token_007(**arguments)


def sealed_007(signed: bytes, issued_at: int = NOW, salt: int = 1) -> str:
    """Signs and packs any bytes, whatever they mean."""
    number = issued_at.to_bytes(4, "little"), salt.to_bytes(4, "little")
    signature = signature_007(CERTIFICATE, *number, signed)
    return packed_007(b"\x20\0" + signature + signed)


def cut_007(*services: v007.PackedService) -> str:
    """A token that breaks off in its last service."""
    content = inflate(t007(*services))[:-1]
    # Without the end of its checksum: deflated data ends where it says it does.
    return "007" + base64.b64encode(zlib.compress(content)[:-1]).decode()


def packed_007(content: bytes) -> str:
    return "007" + base64.b64encode(zlib.compress(content)).decode()


def t006(channel: str = "lesson-1", uid: str = "7", **changes: Any) -> str:
    """A 006 token, for RTC and an hour unless changed."""
    arguments = {
        "app_id": APP_ID,
        "app_certificate": CERTIFICATE,
        "channel_name": channel,
        "uid": uid,
        "ends_at": NOW + DAY,
        "salt": 1,
        "privileges": publisher(NOW + HOUR),
        **changes,
    }
    return build_access_token_006(**arguments)


def whiteboard(kind: NetlessType = "room", **changes: Any) -> str:
    """A writer's room token for an hour, unless changed."""
    content = {"role": "1"} if kind == "sdk" else {"role": "1", "uuid": ROOM}
    arguments = {
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        "content": content,
        "lifespan_ms": HOUR * 1000,
        "now_ms": NOW_MS,
        "nonce": NONCE,
        **changes,
    }
    return build_netless_token(kind, **arguments)


def netless(query: str, kind: str = "ROOM") -> str:
    """Packs any query."""
    body = base64.urlsafe_b64encode(query.encode()).decode().rstrip("=")
    return f"NETLESS{kind}_{body}"


def netless_signature(fields: Mapping[str, str]) -> str:
    return signature_netless(SECRET_KEY.encode(), signed_netless(fields))


def inspect(
    text: str,
    *,
    keys: Sequence[tuple[str, SigningKey]] = KEYS,
    now_ms: int = NOW_MS,
    **expected: Any,
) -> Inspection:
    return inspect_token(text, Expected(**expected), keys, now_ms)


def reasons(inspection: Inspection) -> list[str]:
    return [finding.reason.value for finding in inspection.findings]


def says_the_same(altered: str, token: str) -> bool:
    """Tells whether both are to the same effect, as a decoder sees it that is not ours.

    Some bits of deflated data mean nothing, and percent-encoding knows small and capital letters.
    """
    try:
        if token.startswith("007"):
            return inflate(altered) == inflate(token)
        return decode(altered).fields == decode(token).fields
    except (ValueError, zlib.error):
        return False
