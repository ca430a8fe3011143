"""Finds the key that signed a token. Pure.

Tries every candidate key, also after a match, and compares in constant time: the duration reveals
nothing about the keys.
"""

import re
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from token_authority_server.inspection.decoded import Decoded
from token_authority_server.inspection.exposure import digest
from token_authority_server.inspection.sealed import Sealed, Subject
from token_authority_server.keyring import AccessKey, KeyState, SigningKey

Keys = Sequence[tuple[str, SigningKey]]
"""Project names and keys."""

# There may be many keys of other App IDs. They are not tried on a token with more signed bytes than
# any real one.
_MAX_FOREIGN_BYTES: Final = 2048
_STATES: Final = tuple(KeyState)
_WORD: Final = re.compile(r"[0-9A-Za-z_-]+")


class Verdict(StrEnum):
    """Whether a signature is valid."""

    VALID = "valid"
    """It is signed with one of the keys."""
    INVALID = "invalid"
    """The App ID or access key in the token has keys, and it is signed with none of them."""
    UNKNOWN_KEY = "unknown_key"
    """There is no key for the App ID or access key in the token."""
    UNVERIFIABLE = "unverifiable"
    """The token cannot be read, or is a 006 token without its channel and user, or no key is
    configured."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The key that signed."""

    verdict: Verdict
    project: str = ""
    key_id: str = ""
    key_state: KeyState | None = None
    """These three are set only if the verdict is VALID."""
    made_by_other: tuple[str, SigningKey] | None = None
    """The project and key that signed, which belong to another App ID or access key."""


def verify(
    decoded: Decoded, keys: Keys, subjects: Iterable[Subject]
) -> Generator[None, None, Signature]:
    """Finds the key that signed, and yields after each key that was tried.

    Args:
        decoded: The token.
        keys: The candidates.
        subjects: The channels and users that a 006 token may be for.
    """
    sealed = decoded.sealed
    if sealed is None or not keys:
        return Signature(Verdict.UNVERIFIABLE)
    keys = [(project, key) for project, key in keys if key.product == sealed.product]
    own = [(project, key) for project, key in keys if _name(key) == decoded.key_name]
    others = [(project, key) for project, key in keys if _name(key) != decoded.key_name]
    fitting = sealed.fitting(subjects)
    if own and not fitting:
        return Signature(Verdict.UNVERIFIABLE)
    makers = yield from _makers(sealed, own, fitting)
    if makers:
        # Several projects may have the same key, in different states: the most active one counts.
        project, key = min(makers, key=lambda maker: _STATES.index(maker[1].state))
        return Signature(Verdict.VALID, project, key.key_id, key.state)
    foreign: Keys = ()
    if sealed.size <= _MAX_FOREIGN_BYTES:
        foreign = yield from _makers(sealed, others, fitting)
    verdict = Verdict.INVALID if own else Verdict.UNKNOWN_KEY
    return Signature(verdict, made_by_other=foreign[0] if foreign else None)


def _makers(sealed: Sealed, keys: Keys, subjects: Sequence[Subject]) -> Generator[None, None, Keys]:
    makers: list[tuple[str, SigningKey]] = []
    for project, key in keys:
        if sealed.sealed_by(_secret(key), subjects):
            makers.append((project, key))
        yield
    return makers


def _name(key: SigningKey) -> str:
    return key.access_key if isinstance(key, AccessKey) else key.app_id


def _secret(key: SigningKey) -> str:
    (secret,) = key.confidential()
    return secret


def exposed_secrets(decoded: Decoded, keys: Keys) -> frozenset[str]:
    """Returns the keys' secrets that are in the token, as a value or as a word of one."""
    secrets = [secret for _, key in keys for secret in key.confidential() if secret]
    lengths = {len(secret) for secret in secrets}
    digests = {digest(secret) for secret in secrets}
    texts = [text for path, value, _ in decoded.fields for text in (path, value)]
    return frozenset(
        word
        for text in (decoded.key_name, *texts)
        for word in (text, text.strip(), *_WORD.findall(text))
        if len(word) in lengths and digest(word) in digests
    )
