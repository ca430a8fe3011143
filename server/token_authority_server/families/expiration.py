"""Reads the oneof `expiration` of a request."""

from collections.abc import Mapping
from typing import Protocol

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from token_authority.v1 import issued_token_pb2
from token_authority_server.errors import FieldViolation
from token_authority_server.families.advisories import Advisory
from token_authority_server.families.terms import (
    DAY_MS,
    DEFAULT_TTL_MS,
    NO_FIELDS,
    NO_TTLS,
    SECOND_MS,
    SECONDS,
    Terms,
    TtlUnit,
    outliving,
)


class HasExpiration(Protocol):
    """A request with the oneof `expiration`."""

    @property
    def expire_time(self) -> Timestamp:
        """When the token is to expire."""
        ...

    @property
    def ttl(self) -> Duration:
        """The lifetime of the token."""
        ...


def read_terms_in_seconds(
    request: HasExpiration,
    expiration: str | None,
    now_ms: int,
    violations: list[FieldViolation],
    *,
    privilege_ttls_ms: Mapping[str, int] = NO_TTLS,
    entries: frozenset[str] = NO_FIELDS,
    implied_ttl_ms: int | None = None,
    default_ttl_ms: int = DEFAULT_TTL_MS,
    token_format: issued_token_pb2.TokenFormat.ValueType = issued_token_pb2.TOKEN_FORMAT_V007,
    advisories: tuple[Advisory, ...] = (),
) -> Terms:
    """Returns the terms of a 006 or 007 token.

    Args:
        request: See requested_ttl_ms.
        expiration: See requested_ttl_ms.
        now_ms: Milliseconds since 1970.
        violations: Receives what is wrong; the terms are then meaningless.
        privilege_ttls_ms: See Terms.
        entries: See Terms.
        implied_ttl_ms: The lifetime if `expiration` is unset, as the rest of the request implies;
            None: nothing implies one.
        default_ttl_ms: The lifetime then, if the grant has no default.
        token_format: Unspecified means 007.
        advisories: The warnings.
    """
    is_default = expiration is None and implied_ttl_ms is None
    known = len(violations)
    ttl_ms = requested_ttl_ms(
        request, expiration, now_ms, SECONDS, DAY_MS, violations, implied_ttl_ms or default_ttl_ms
    )
    assert ttl_ms is not None
    # The grant may still set a default lifetime: then `Terms.with_ttl` compares.
    if privilege_ttls_ms and not is_default and len(violations) == known:
        violations += outliving(privilege_ttls_ms, ttl_ms)
    return Terms(
        format=token_format or issued_token_pb2.TOKEN_FORMAT_V007,
        issue_ms=now_ms // SECOND_MS * SECOND_MS,
        ttl_ms=ttl_ms,
        advisories=advisories,
        ttl_is_default=is_default,
        privilege_ttls_ms=privilege_ttls_ms,
        entries=entries,
    )


def requested_ttl_ms(
    request: HasExpiration,
    expiration: str | None,
    now_ms: int,
    unit: TtlUnit,
    max_ttl_ms: int,
    violations: list[FieldViolation],
    default_ttl_ms: int = DEFAULT_TTL_MS,
) -> int | None:
    """Returns the requested lifetime, a multiple of the unit; None for "never expires".

    Args:
        request: Its `ttl` is already known to be within the contract's limits.
        expiration: The member of the oneof that is set.
        now_ms: Milliseconds since 1970.
        unit: The resolution of the token's format.
        max_ttl_ms: The longest lifetime of the token family.
        violations: Receives what is wrong; the result is then meaningless.
        default_ttl_ms: The lifetime if `expiration` is unset.
    """
    match expiration:
        case "non_expiring":
            return None
        case "ttl":
            return duration_ms(request.ttl, "ttl", unit, violations)
        case "expire_time":
            return _ms_until(request.expire_time, now_ms, unit, max_ttl_ms, violations)
        case _:
            return default_ttl_ms


def _ms_until(
    end: Timestamp, now_ms: int, unit: TtlUnit, max_ttl_ms: int, violations: list[FieldViolation]
) -> int:
    end_ms = end.seconds * 1000 + end.nanos // 1_000_000
    # Counted from the token's issue time, so that an end that is a whole unit is met exactly.
    ttl_ms = (end_ms - now_ms // unit.ms * unit.ms) // unit.ms * unit.ms
    if not 0 <= end.nanos < 1_000_000_000:
        problem = ("TIMESTAMP_INVALID", "must be a valid Timestamp: nanos from 0 to 999999999")
    elif end_ms - now_ms < unit.ms:
        # Rounded down to 0, it would mean a day (007) or that the token never expires (whiteboard).
        problem = (
            "EXPIRE_TIME_TOO_EARLY",
            f"must be at least 1 {unit.name} after the time of issue, by the server's clock",
        )
    elif ttl_ms > max_ttl_ms:
        problem = (
            "EXPIRE_TIME_TOO_LATE",
            f"must be at most {max_ttl_ms // 3_600_000} hours after the time of issue, "
            "by the server's clock",
        )
    else:
        return ttl_ms
    violations.append(FieldViolation("expire_time", *problem))
    return unit.ms


def duration_ms(
    duration: Duration, field: str, unit: TtlUnit, violations: list[FieldViolation]
) -> int:
    """Returns a duration; adds a violation for `field` unless it is a whole number of units."""
    if not 0 <= duration.nanos < 1_000_000_000 or duration.nanos % (unit.ms * 1_000_000):
        reason = f"NOT_WHOLE_{unit.name.upper()}S"
        violations.append(FieldViolation(field, reason, f"must be a whole number of {unit.name}s"))
    return duration.seconds * 1000 + duration.nanos // 1_000_000
