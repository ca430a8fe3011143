"""Throwaway projects with known keys, and fakes for clock and random bytes."""

import itertools

from token_authority_server.families import Moment
from token_authority_server.keyring import (
    AccessKey,
    AppCertificate,
    EncryptionSecret,
    Keyring,
    KeyState,
    Project,
    Secret,
)

APP_ID = "970CA35de60c44645bbae8a215061b33"
CERTIFICATE = "5CFd2fd1755d40ecb72977518be15d3b"
OLD_CERTIFICATE = "00000000000000000000000000000abc"
ACCESS_KEY = "a-test-access-key"
SECRET_KEY = "a-test-secret-key"
ENCRYPTION_SECRET = "0123456789abcdefcf48b37a6de25910"
SECRETS = (CERTIFICATE, OLD_CERTIFICATE, SECRET_KEY, ENCRYPTION_SECRET)

NOW_MS = 1_700_000_000_123
NONCE = "e9b0da8f-cca9-44bd-a836-c3f05eba2f3f"
CHANCE = bytes.fromhex(NONCE.replace("-", ""))


def certificate(
    key_id: str = "cert-2", secret: str = CERTIFICATE, state: KeyState = KeyState.ACTIVE
) -> AppCertificate:
    return AppCertificate(key_id, state, APP_ID, Secret(secret))


def access_key(key_id: str = "ak-1", state: KeyState = KeyState.ACTIVE) -> AccessKey:
    return AccessKey(key_id, state, ACCESS_KEY, Secret(SECRET_KEY))


def encryption_secrets() -> tuple[EncryptionSecret, ...]:
    """Returns a retired and a current secret, one for later, and one that is disabled."""
    return tuple(
        EncryptionSecret(key_id, state, APP_ID, Secret(digits * 4), not_before_ms)
        for key_id, state, digits, not_before_ms in (
            ("enc-1", KeyState.VERIFY_ONLY, ENCRYPTION_SECRET[::-1], 0),
            ("enc-2", KeyState.ACTIVE, ENCRYPTION_SECRET, 1),
            ("enc-3", KeyState.ACTIVE, "00112233445566778899aabbccddeeff", NOW_MS + 600_000),
            ("enc-0", KeyState.DISABLED, "ffeeddccbbaa99887766554433221100", 0),
        )
    )


def keyring() -> Keyring:
    """Returns a keyring with one complete project and three that lack something."""
    retired = certificate("cert-1", OLD_CERTIFICATE, KeyState.VERIFY_ONLY)
    return Keyring(
        [
            Project("classroom", (retired, certificate(), access_key()), encryption_secrets()),
            Project("rtc-only", (certificate(),)),
            Project("whiteboard-only", (access_key(),)),
            Project("retired", (retired, access_key(state=KeyState.DISABLED))),
        ]
    )


class Moments:
    """Fake clock that moves on request, and random bytes that count up."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.now_ms = now_ms
        self._salts = itertools.count(1)

    def clock(self) -> int:
        """The time, in milliseconds since 1970."""
        return self.now_ms

    def __call__(self) -> Moment:
        return Moment(self.now_ms, next(self._salts), CHANCE)
