"""When a key can be removed: computed from when it stopped to sign, and what could be asked for."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from token_authority_server.access.grants import Grant
from token_authority_server.families import FAMILIES
from token_authority_server.keyring import AccessKey, KeyState, SigningKey


class Deletion(StrEnum):
    """Whether a key can be removed from the configuration."""

    SAFE = "safe"
    WAIT = "wait"
    NEVER_SAFE = "never_safe"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class KeyReport:
    """What operators may know of a key."""

    project: str
    key: SigningKey
    deletion: Deletion
    safe_ms: int | None
    """When the last token that it can have signed ends, in milliseconds since 1970."""


def key_report(project: str, key: SigningKey, grants: Iterable[Grant], now_ms: int) -> KeyReport:
    """Says whether a key can be removed.

    Args:
        project: The project it belongs to.
        key: The key.
        grants: Every grant of every caller.
        now_ms: Milliseconds since 1970.
    """
    longest_ms = _longest_life_ms(project, key, grants)
    if key.state is KeyState.ACTIVE or key.retired_ms is None or longest_ms == 0:
        return KeyReport(project, key, Deletion.UNKNOWN, None)
    if longest_ms is None:
        return KeyReport(project, key, Deletion.NEVER_SAFE, None)
    safe_ms = key.retired_ms + longest_ms
    return KeyReport(project, key, Deletion.SAFE if safe_ms <= now_ms else Deletion.WAIT, safe_ms)


def _longest_life_ms(project: str, key: SigningKey, grants: Iterable[Grant]) -> int | None:
    """Returns the longest life that any grant gives a token of this key.

    None: for ever. 0: no grant is for its tokens, so that nothing says what it has signed.
    """
    kinds = {
        token_kind.name: kind.max_ttl_ms
        for kind in FAMILIES
        if kind.key_type is type(key)
        for token_kind in kind.token_types
    }
    longest_ms = 0
    for grant in grants:
        lives = [kinds[name] for name in grant.kinds if name in kinds]
        if grant.project != project or not lives:
            continue
        if isinstance(key, AccessKey) and "non_expiring" in grant.allow:
            return None
        longest_ms = max(longest_ms, min(grant.max_ttl_ms, max(lives)))
    return longest_ms
