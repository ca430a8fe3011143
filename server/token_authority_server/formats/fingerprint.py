"""Fingerprints: identify a token in logs and records without showing it. Pure."""

import hashlib


def fingerprint(token: str) -> str:
    """Returns the first 16 bytes of the token's SHA-256, as 32 lower-case hex digits.

    Accepts any text: a lone surrogate, which no token has, is encoded as if UTF-8 allowed it.
    """
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()[:16].hex()
