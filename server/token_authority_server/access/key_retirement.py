"""Key rotation: how long a retired key is needed, by present grants and this instance's signing.

No instance knows what the others signed or what earlier grants allowed, so none can tell that a key
is safe to remove. `access.key_audit` can, from the audit trails of all instances.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from token_authority_server.access.grants import Grant
from token_authority_server.audit import rfc_3339
from token_authority_server.families import FAMILIES
from token_authority_server.keyring import AccessKey, KeyState, SigningKey


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
    """When the last one expires that does; 0 for none."""
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


@dataclass(frozen=True, slots=True)
class KeyReport:
    """A key, and when it is no longer needed."""

    project: str
    key: SigningKey
    deletion: Deletion
    """Never `SAFE`."""
    safe_ms: int | None
    """When the last token expires that the key can have signed by present grants, in milliseconds
    since 1970; None if unknown or never."""
    warnings: tuple[str, ...] = ()
    """Sentences: why the report may be wrong."""


def key_report(
    project: str, key: SigningKey, grants: Iterable[Grant], now_ms: int, use: KeyUse = UNUSED
) -> KeyReport:
    """Reports when a key is no longer needed, by present grants.

    Args:
        project: The name of its project.
        key: The key.
        grants: Grants of all callers; those for other projects are ignored.
        now_ms: Milliseconds since 1970.
        use: What this instance signed with it.
    """
    retired_ms = key.retired_ms
    if key.state is KeyState.ACTIVE or retired_ms is None:
        return KeyReport(project, key, Deletion.UNKNOWN, None)
    longest_ms = _longest_ttl_ms(project, key, grants)
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
            f"retired_at ({rfc_3339(retired_ms)}) is earlier than a token that this instance "
            f"signed with the key ({rfc_3339(use.issue_ms)}): the later time counts"
        )
    if longest_ms is None:
        return
    if use.never_expires:
        yield (
            "this instance signed a token with the key that never expires, which present grants do "
            "not allow"
        )
        return
    if use.end_ms > max(retired_ms, use.issue_ms) + longest_ms:
        yield (
            f"this instance signed a token with the key that expires at {rfc_3339(use.end_ms)}, "
            "which is later than present grants allow"
        )
    if isinstance(key, AccessKey):
        earlier = "tokens that never expire"
    elif longest_ms < (most_ms := max(_max_ttls_ms(key).values())):
        earlier = f"tokens of up to {most_ms // 1000} s"
    else:
        return
    present = (
        f"tokens of at most {-(-longest_ms // 1000)} s" if longest_ms else "no tokens of this key"
    )
    yield f"present grants allow {present}; earlier grants may have allowed {earlier}"


def _max_ttls_ms(key: SigningKey) -> dict[str, int]:
    """Returns the longest lifetime of each token type that a key signs."""
    return {
        token_type.name: family.max_ttl_ms
        for family in FAMILIES
        if family.key_type is type(key)
        for token_type in family.token_types
    }


def _longest_ttl_ms(project: str, key: SigningKey, grants: Iterable[Grant]) -> int | None:
    """Returns the longest lifetime that a grant allows for a token of this key.

    None: tokens may never expire. 0: no grant is for its tokens, so nothing tells what it signed.
    """
    max_ttls_ms = _max_ttls_ms(key)
    longest_ms = 0
    for grant in grants:
        ttls_ms = [max_ttls_ms[name] for name in grant.token_types if name in max_ttls_ms]
        if grant.project != project or not ttls_ms:
            continue
        if isinstance(key, AccessKey) and "non_expiring" in grant.allow:
            return None
        longest_ms = max(longest_ms, min(grant.max_ttl_ms, max(ttls_ms)))
    return longest_ms
