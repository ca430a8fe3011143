"""Key rotation: how long a retired key is needed, from grants and the use by this instance.

No instance knows what the others signed or what earlier grants allowed, so none can tell that a key
is safe to remove. `access.key_audit` can, from the audit trails of all instances.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from token_authority_server.access.grants import Grant
from token_authority_server.audit import rfc_3339
from token_authority_server.families import FAMILIES
from token_authority_server.keyring import AccessKey, AppCertificate, KeyState, SigningKey


class Deletion(StrEnum):
    """Whether a key can be removed from the configuration."""

    SAFE = "safe"
    """Only audit trails show this."""
    WAIT = "wait"
    NEVER_SAFE = "never_safe"
    UNKNOWN = "unknown"


class KeyUse(NamedTuple):
    """The tokens that a key signed, as far as they are known."""

    issue_ms: int
    """When the last one was issued, in milliseconds since 1970."""
    end_ms: int
    """When the last expiring one expires; 0 if there is none."""
    never_expires: bool
    """Whether one never expires."""

    def joined(self, issue_ms: int, end_ms: int | None) -> "KeyUse":
        """Returns the use with another token; `end_ms` is None if it never expires."""
        return KeyUse(
            max(self.issue_ms, issue_ms),
            max(self.end_ms, end_ms or 0),
            self.never_expires or end_ms is None,
        )


UNUSED = KeyUse(0, 0, never_expires=False)


class KeyUses:
    """The use of each key by this instance since it started; one entry per key."""

    def __init__(self) -> None:
        self._uses: dict[tuple[str, str], KeyUse] = {}

    def add(self, project: str, key_id: str, issue_ms: int, end_ms: int | None) -> None:
        """Adds a signed token.

        Args:
            project: The name of the key's project.
            key_id: The key's id.
            issue_ms: When the token was issued, in milliseconds since 1970.
            end_ms: When it expires; None for never.
        """
        key = project, key_id
        use = self._uses.get(key, UNUSED)
        # Most tokens of one second end no later than another of them.
        if issue_ms > use.issue_ms or end_ms is None or end_ms > use.end_ms:
            self._uses[key] = use.joined(issue_ms, end_ms)

    def of(self, project: str, key_id: str) -> KeyUse:
        """Returns the use of a key; `UNUSED` if it signed nothing here."""
        return self._uses.get((project, key_id), UNUSED)


class GrantedTtls:
    """The longest lifetimes that grants allow, computed once for all keys of a project.

    Args:
        grants: Grants of all callers.
    """

    def __init__(self, grants: Iterable[Grant]) -> None:
        self._longest_ms: dict[tuple[str, type[SigningKey]], int | None] = {}
        family_ttls = lru_cache(_family_ttls_ms)
        for grant in grants:
            for key_type, family_ms in family_ttls(grant.token_types).items():
                place = grant.project, key_type
                longest_ms = self._longest_ms.get(place, 0)
                if longest_ms is None or (key_type is AccessKey and "non_expiring" in grant.allow):
                    self._longest_ms[place] = None
                else:
                    self._longest_ms[place] = max(longest_ms, min(grant.max_ttl_ms, family_ms))

    def longest_ms(self, project: str, key: SigningKey) -> int | None:
        """Returns the longest lifetime that a grant allows for a token of a key.

        None: tokens may never expire. 0: no grant is for its tokens, so it is unknown what it
        signed.
        """
        return self._longest_ms.get((project, type(key)), 0)


def _family_ttls_ms(token_types: frozenset[str]) -> dict[type[SigningKey], int]:
    """Returns the longest lifetime of some token types, by the kind of key that signs them."""
    ttls_ms: dict[type[SigningKey], int] = {}
    for key_type in (AppCertificate, AccessKey):
        family_ttls_ms = _max_ttls_ms(key_type)
        if found := [family_ttls_ms[name] for name in token_types if name in family_ttls_ms]:
            ttls_ms[key_type] = max(found)
    return ttls_ms


@dataclass(frozen=True, slots=True)
class KeyReport:
    """A key, and when it is no longer needed."""

    project: str
    key: SigningKey
    deletion: Deletion
    """Never `SAFE`."""
    safe_ms: int | None
    """When the last token expires that current grants let the key sign, in milliseconds
    since 1970; None if unknown or never."""
    warnings: tuple[str, ...] = ()
    """Sentences: why the report may be wrong."""


def key_report(
    project: str, key: SigningKey, granted: GrantedTtls, now_ms: int, use: KeyUse = UNUSED
) -> KeyReport:
    """Reports when a key is no longer needed under the current grants.

    Args:
        project: The name of its project.
        key: The key.
        granted: What current grants allow.
        now_ms: Milliseconds since 1970.
        use: What this instance signed with it.
    """
    retired_ms = key.retired_ms
    if key.state is KeyState.ACTIVE or retired_ms is None:
        return KeyReport(project, key, Deletion.UNKNOWN, None)
    longest_ms = granted.longest_ms(project, key)
    warnings = tuple(_warnings(key, retired_ms, longest_ms, now_ms, use))
    if longest_ms is None or use.never_expires:
        return KeyReport(project, key, Deletion.NEVER_SAFE, None, warnings)
    # A key that signed after `retired_at` was retired later than that.
    granted_ms = max(retired_ms, use.issue_ms) + longest_ms if longest_ms else 0
    safe_ms = max(granted_ms, use.end_ms) or None
    deletion = Deletion.WAIT if safe_ms and safe_ms > now_ms else Deletion.UNKNOWN
    return KeyReport(project, key, deletion, safe_ms, warnings)


def _warnings(
    key: SigningKey, retired_ms: int, longest_ms: int | None, now_ms: int, use: KeyUse
) -> Iterator[str]:
    if retired_ms > now_ms:
        yield f"retired_at is in the future ({rfc_3339(retired_ms)}): correct it"
    if use.issue_ms > retired_ms:
        yield (
            f"retired_at ({rfc_3339(retired_ms)}) is earlier than the last token that this "
            f"instance signed with the key ({rfc_3339(use.issue_ms)}): the later time is used"
        )
    if longest_ms is None:
        return
    if use.never_expires:
        yield (
            "this instance signed a token with the key that never expires, which current grants do "
            "not allow"
        )
        return
    if use.end_ms > max(retired_ms, use.issue_ms) + longest_ms:
        yield (
            f"this instance signed a token with the key that expires at {rfc_3339(use.end_ms)}, "
            "which is later than current grants allow"
        )
    if isinstance(key, AccessKey):
        earlier = "tokens that never expire"
    elif longest_ms < (most_ms := max(_max_ttls_ms(type(key)).values())):
        earlier = f"tokens of up to {most_ms // 1000} s"
    else:
        return
    present = (
        f"tokens of at most {-(-longest_ms // 1000)} s" if longest_ms else "no tokens of this key"
    )
    yield f"current grants allow {present}; earlier grants may have allowed {earlier}"


def _max_ttls_ms(key_type: type[SigningKey]) -> dict[str, int]:
    """Returns the longest lifetime of each token type that a kind of key signs."""
    return {
        token_type.name: family.max_ttl_ms
        for family in FAMILIES
        if family.key_type is key_type
        for token_type in family.token_types
    }
