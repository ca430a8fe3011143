"""JSON Web Key Sets (RFC 7517): reads the public keys that an identity provider signs JWTs with."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from token_authority_server.identity.jwks_fetch import JwksError

ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
"""Accepted signature algorithms, all asymmetric. Never HMAC, since a public key is no secret; never
`none`."""
_KEY_TYPES: Final = ("RSA", "EC", "OKP")
# RFC 7518, sections 6.2.2 and 6.3.2. A private key in a public set has leaked: every reader of the
# set can sign with it.
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})
_MIN_RSA_BITS: Final = 2048
"""RFC 7518, section 3.3."""
_CURVES: Final = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
_MAX_SHOWN: Final = 40
"""Characters of a value that a message quotes."""
_MAX_REASONS: Final = 3


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """Public key of an identity provider."""

    key_id: str | None
    algorithm: str | None
    """The only algorithm it may verify; None if the set does not name one."""
    key: Any


@dataclass(frozen=True, slots=True)
class KeySet:
    """A parsed key set."""

    keys: tuple[VerificationKey, ...]
    """The keys that can verify signatures, at least one."""
    skipped: tuple[str, ...]
    """For each other key, a sentence: which key it is, and why it cannot be used."""


class _UnusableKeyError(Exception):
    """A key that cannot verify; the message completes "key 1: "."""


def parse(data: bytes) -> KeySet:
    """Parses a key set; a key that cannot be used is skipped and does not affect the others.

    Raises:
        JwksError: The data is not a key set, or no key in it can be used.
    """
    try:
        document: Any = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    rows: Any = cast("dict[str, Any]", document).get("keys") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise JwksError('is not a JSON Web Key Set: { "keys": [ … ] }')
    keys: list[VerificationKey] = []
    skipped: list[str] = []
    for number, row in enumerate(cast("list[object]", rows), 1):
        try:
            keys.append(_verification_key(row))
        except _UnusableKeyError as error:
            skipped.append(f"{_label(number, row)}: {error}")
    if not keys:
        raise JwksError(f"has no key that can verify a signature: {_summary(skipped)}")
    return KeySet(tuple(keys), tuple(skipped))


def _verification_key(row: object) -> VerificationKey:
    if not isinstance(row, dict):
        raise _UnusableKeyError("it is not a JSON object")
    fields = cast("dict[str, Any]", row)
    for problem in _problems(fields):
        raise _UnusableKeyError(problem)
    try:
        key = jwt.PyJWK.from_dict(fields).key
    except Exception:  # noqa: BLE001  # PyJWT does not foresee every malformed key
        # Without PyJWT's message, which may quote the key.
        raise _UnusableKeyError(f"it is not a valid {fields['kty']} key") from None
    algorithm = fields.get("alg")
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _MIN_RSA_BITS:
        raise _UnusableKeyError(
            f"its {key.key_size} bits are fewer than the {_MIN_RSA_BITS} that RSA needs"
        )
    if isinstance(key, ec.EllipticCurvePublicKey) and not _fits(key.curve, algorithm):
        raise _UnusableKeyError(
            f"its alg {_quoted(algorithm)} needs another curve"
            if algorithm
            else f"its curve {_quoted(fields.get('crv'))} is not P-256, P-384 or P-521"
        )
    return VerificationKey(fields.get("kid"), algorithm, key)


def _problems(fields: dict[str, Any]) -> Iterator[str]:
    """Yields why a key cannot be used, judged by its fields before its numbers are read."""
    kty, alg, use = (fields.get(name) for name in ("kty", "alg", "use"))
    key_ops: object = fields.get("key_ops")
    if kty not in _KEY_TYPES:
        # "oct" too: with a shared secret in a public set, everyone could sign.
        yield f"its kty {_quoted(kty)} is not RSA, EC or OKP"
    if not _PRIVATE.isdisjoint(fields):
        yield (
            "it contains private key material: publish the public key alone, and replace this key "
            "pair, which must count as leaked"
        )
    if use not in (None, "sig"):
        yield f'its use is {_quoted(use)}, not "sig"'
    if key_ops is not None and "verify" not in _list(key_ops):
        yield f'its key_ops {_quoted(key_ops)} lack "verify"'
    if alg is not None and alg not in ALGORITHMS:
        yield f"its alg {_quoted(alg)} is not accepted (accepted: {', '.join(ALGORITHMS)})"
    if not isinstance(fields.get("kid"), str | None):
        yield "its kid is not a string"


def _list(value: object) -> list[object]:
    """Returns a list as it is, and an empty one for any other value."""
    return cast("list[object]", value) if isinstance(value, list) else []


def _fits(curve: ec.EllipticCurve, algorithm: str | None) -> bool:
    if algorithm is None:
        return isinstance(curve, tuple(_CURVES.values()))
    return isinstance(curve, _CURVES[algorithm])


def _label(number: int, row: object) -> str:
    kid = cast("dict[str, object]", row).get("kid") if isinstance(row, dict) else None
    return f"key {number} (kid {_quoted(kid)})" if isinstance(kid, str) else f"key {number}"


def _summary(skipped: list[str]) -> str:
    if not skipped:
        return "it is empty"
    more = len(skipped) - _MAX_REASONS
    return "; ".join(skipped[:_MAX_REASONS]) + (f"; and {more} more" if more > 0 else "")


def _quoted(value: object) -> str:
    """Quotes a value that the provider chose, in printable ASCII."""
    text = json.dumps(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
