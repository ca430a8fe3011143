"""Key rotation: when a retired key can be removed, from its retirement time and the grants."""

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
    """A key, and when it can be removed."""

    project: str
    key: SigningKey
    deletion: Deletion
    safe_ms: int | None
    """When the last token that it can have signed expires, in milliseconds since 1970."""


def key_report(project: str, key: SigningKey, grants: Iterable[Grant], now_ms: int) -> KeyReport:
    """Reports whether a key can be removed.

    Args:
        project: The name of its project.
        key: The key.
        grants: All grants of all callers.
        now_ms: Milliseconds since 1970.
    """
    longest_ms = _longest_ttl_ms(project, key, grants)
    if key.state is KeyState.ACTIVE or key.retired_ms is None or longest_ms == 0:
        return KeyReport(project, key, Deletion.UNKNOWN, None)
    if longest_ms is None:
        return KeyReport(project, key, Deletion.NEVER_SAFE, None)
    safe_ms = key.retired_ms + longest_ms
    return KeyReport(project, key, Deletion.SAFE if safe_ms <= now_ms else Deletion.WAIT, safe_ms)


def _longest_ttl_ms(project: str, key: SigningKey, grants: Iterable[Grant]) -> int | None:
    """Returns the longest lifetime that a grant allows for a token of this key.

    None: tokens may never expire. 0: no grant is for its tokens, so nothing tells what it signed.
    """
    max_ttls_ms = {
        token_type.name: family.max_ttl_ms
        for family in FAMILIES
        if family.key_type is type(key)
        for token_type in family.token_types
    }
    longest_ms = 0
    for grant in grants:
        ttls_ms = [max_ttls_ms[name] for name in grant.token_types if name in max_ttls_ms]
        if grant.project != project or not ttls_ms:
            continue
        if isinstance(key, AccessKey) and "non_expiring" in grant.allow:
            return None
        longest_ms = max(longest_ms, min(grant.max_ttl_ms, max(ttls_ms)))
    return longest_ms
