"""Key rotation: which keys the audit trails show to be safe to remove."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from token_authority_server.access.key_retirement import Deletion
from token_authority_server.audit import KeyRecords, TrailRecords, rfc_3339
from token_authority_server.families import FAMILIES
from token_authority_server.keyring import AppCertificate, KeyState, SigningKey

_PRODUCTS: Final[Mapping[str, str]] = {
    token_type.name: family.key_type.product
    for family in FAMILIES
    for token_type in family.token_types
}
_MAX_TTL_MS: Final = max(
    family.max_ttl_ms for family in FAMILIES if family.key_type is AppCertificate
)
"""The longest lifetime of a token that an App Certificate signs. Tokens of whiteboard keys need not
expire."""


@dataclass(frozen=True, slots=True)
class AuditedKey:
    """A key, as the audit trails and the configuration, if given, show it.

    Times are in milliseconds since 1970.
    """

    project: str
    key_id: str
    product: str
    """`agora` or `whiteboard`; "" if unknown."""
    state: KeyState | None
    """None: not in the configuration, or no configuration was given."""
    retired_ms: int | None
    """When it was retired, as configured."""
    tokens: int
    """How many records of its tokens the trails have."""
    first_issue_ms: int | None
    last_issue_ms: int | None
    end_ms: int | None
    """When the last expiring one of these tokens expires; None if there is none."""
    never_expires: bool
    """Whether one of them never expires."""
    deletion: Deletion
    safe_ms: int | None
    """When the last token expires that it can have signed; None if unknown or never."""
    warnings: tuple[str, ...]
    """Sentences: what is wrong, and why `deletion` is unknown."""


class _Use(NamedTuple):
    records: KeyRecords | None
    product: str
    state: KeyState | None
    retired_ms: int | None


def audit_keys(
    trails: Sequence[TrailRecords], now_ms: int, configured: Iterable[tuple[str, SigningKey]] = ()
) -> list[AuditedKey]:
    """Reports on every key that signed a token or is configured, by project and id.

    A key is safe to remove if it is not active, all its tokens have expired, and the trails are
    complete since its first use.

    Args:
        trails: The trails of all instances that may have signed.
        now_ms: Milliseconds since 1970.
        configured: Project names and keys of the configuration, for states and `retired_at`.
    """
    by_name = {(project, key.key_id): key for project, key in configured}
    joined: dict[tuple[str, str], KeyRecords] = {}
    for trail in trails:
        for name, records in trail.keys.items():
            joined[name] = joined[name].joined(records) if name in joined else records
    gaps = sorted(
        [(trail.gap_ms, trail.gap) for trail in trails if trail.gap_ms is not None], reverse=True
    )
    return [
        _audited(name, by_name.get(name), joined.get(name), gaps, now_ms)
        for name in sorted({*joined, *by_name})
    ]


def _audited(
    name: tuple[str, str],
    key: SigningKey | None,
    records: KeyRecords | None,
    gaps: Sequence[tuple[int, str]],
    now_ms: int,
) -> AuditedKey:
    product = key.product if key else _PRODUCTS.get(records.token_type, "") if records else ""
    use = _Use(records, product, key.state if key else None, key.retired_ms if key else None)
    deletion, safe_ms = _deletion(use, gaps, now_ms)
    return AuditedKey(
        project=name[0],
        key_id=name[1],
        product=product,
        state=use.state,
        retired_ms=use.retired_ms,
        tokens=records.tokens if records else 0,
        first_issue_ms=records.first_issue_ms if records else None,
        last_issue_ms=records.last_issue_ms if records else None,
        end_ms=records.end_ms or None if records else None,
        never_expires=bool(records and records.never_expires),
        deletion=deletion,
        safe_ms=safe_ms,
        warnings=tuple(_warnings(use, gaps)),
    )


def _deletion(
    use: _Use, gaps: Sequence[tuple[int, str]], now_ms: int
) -> tuple[Deletion, int | None]:
    """Returns whether a key can be removed, and when its last token expires."""
    if use.records and use.records.never_expires:
        return Deletion.NEVER_SAFE, None
    if use.state is KeyState.ACTIVE or any(_hides_tokens(use, gap_ms) for gap_ms, _ in gaps):
        return Deletion.UNKNOWN, None
    # Tokens that a gap before the first use may hide are valid for `_MAX_TTL_MS` at most.
    hidden_ms = max([gap_ms + _MAX_TTL_MS for gap_ms, _ in gaps], default=0)
    safe_ms = max(use.records.end_ms if use.records else 0, hidden_ms)
    return Deletion.WAIT if safe_ms > now_ms else Deletion.SAFE, safe_ms or None


def _hides_tokens(use: _Use, gap_ms: int) -> bool:
    """Whether a gap may hide tokens of a key whose end is not known.

    After the first use, it breaks the chain since then. Before, the key may have been in use too,
    and tokens of a whiteboard key need not expire.
    """
    is_later = use.records is not None and use.records.first_issue_ms <= gap_ms
    return is_later or use.product != AppCertificate.product


def _warnings(use: _Use, gaps: Sequence[tuple[int, str]]) -> Iterator[str]:
    records = use.records
    if records and use.retired_ms is not None and records.last_issue_ms > use.retired_ms:
        yield (
            f"retired_at ({rfc_3339(use.retired_ms)}) is earlier than the last token that the key "
            f"signed ({rfc_3339(records.last_issue_ms)}): the later time is used"
        )
    for gap_ms, gap in gaps:
        if _hides_tokens(use, gap_ms):
            yield f"{gap}: tokens signed until {rfc_3339(gap_ms)} may have no record"
        else:
            yield (
                f"{gap}: tokens signed until {rfc_3339(gap_ms)} may have no record; they expire by "
                f"{rfc_3339(gap_ms + _MAX_TTL_MS)}"
            )
