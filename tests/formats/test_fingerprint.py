import hashlib

from token_authority_server.formats.fingerprint import fingerprint


def test_a_fingerprint_is_the_first_half_of_sha256() -> None:
    assert fingerprint("abc") == hashlib.sha256(b"abc").hexdigest()[:32]


def test_whatever_text_has_a_fingerprint() -> None:
    assert fingerprint("\ud800") != fingerprint("\ud801")
