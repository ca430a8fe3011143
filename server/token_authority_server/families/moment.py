"""The time and randomness of one token."""

from typing import NamedTuple

from token_authority_server.formats.netless import nonce_text


class Moment(NamedTuple):
    """Issue time and random bytes for one token, injected from outside the core."""

    now_ms: int
    """Milliseconds since 1970."""
    salt: int
    """A fresh random u32."""
    random_bytes: bytes
    """16 more fresh random bytes."""

    @property
    def nonce(self) -> str:
        """The random bytes as a UUIDv4 (v1 would leak the host's address and clock)."""
        return nonce_text(self.random_bytes)
