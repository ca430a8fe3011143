import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from audit.trails import CHAIN_ID
from support.keys import NOW_MS
from token_authority_server.access.key_audit import audit_keys
from token_authority_server.audit import TrailRecords, read_trail, rfc_3339
from token_authority_server.audit.record import Chain, body_of, seal

LATER_MS = NOW_MS + 10**10
keys = st.sampled_from(["a", "b", "c"])
ends_ms = st.one_of(st.none(), st.integers(NOW_MS, NOW_MS + 10**9))
tokens = st.lists(st.tuples(keys, ends_ms), min_size=2, max_size=12)


def lines(issued: Sequence[tuple[str, int | None]], chain_id: str = CHAIN_ID) -> list[bytes]:
    """Returns a trail of tokens, by key id and end."""
    bodies = [
        body_of(
            {
                "event": "issued",
                "project": "p",
                "key_id": key_id,
                "kind": "whiteboard.room",
                "expire_time": None if end_ms is None else rfc_3339(end_ms),
            },
            NOW_MS + number,
        )
        for number, (key_id, end_ms) in enumerate(issued)
    ]
    return seal(Chain(chain_id), bodies)[0].splitlines(keepends=True)


def read(*files: Sequence[bytes]) -> TrailRecords:
    """Reads one trail with these files."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / str(number) for number in range(len(files))]
        for path, content in zip(paths, files, strict=True):
            path.write_bytes(b"".join(content))
        return read_trail(paths, LATER_MS)


def expected_ends(issued: Sequence[tuple[str, int | None]]) -> Mapping[str, int | None]:
    """Returns the latest end of each key, None for never, by brute force."""
    return {
        key_id: None
        if any(end is None for other, end in issued if other == key_id)
        else max(end for other, end in issued if other == key_id and end is not None)
        for key_id, _ in issued
    }


@given(tokens, tokens, st.integers(0, 12))
def test_the_latest_end_of_each_key_is_exact_over_all_trails(
    one: list[tuple[str, int | None]], other: list[tuple[str, int | None]], cut: int
) -> None:
    rotated = lines(one)
    trails = [read(rotated[:cut], rotated[cut:]), read(lines(other, "f" * 32))]
    assert [trail.gap_ms for trail in trails] == [None, None]
    ends = expected_ends([*one, *other])
    audited = audit_keys(trails, LATER_MS)
    assert {key.key_id: key.safe_ms for key in audited} == ends
    for key in audited:
        end_ms = ends[key.key_id]
        assert key.deletion == ("never_safe" if end_ms is None else "safe")
        assert key.tokens == [key_id for key_id, _ in [*one, *other]].count(key.key_id)
        if end_ms is not None:
            # To the millisecond.
            (before,) = [
                again for again in audit_keys(trails, end_ms - 1) if again.key_id == key.key_id
            ]
            assert (before.deletion, before.safe_ms) == ("wait", end_ms)


def altered(content: list[bytes], number: int) -> list[bytes]:
    return [*content[:number], content[number].replace(b"room", b"roam"), *content[number + 1 :]]


def removed(content: list[bytes], number: int) -> list[bytes]:
    return content[:number] + content[number + 1 :]


def swapped(content: list[bytes], number: int) -> list[bytes]:
    return [*content[:number], content[number + 1], content[number], *content[number + 2 :]]


def torn(content: list[bytes], number: int) -> list[bytes]:
    return [*content[:number], content[number][:40] + b"\n", *content[number + 1 :]]


@given(tokens, st.data(), st.sampled_from([altered, removed, swapped, torn]))
def test_no_key_is_safe_beside_a_trail_that_is_broken(
    issued: list[tuple[str, int | None]], data: st.DataObject, damage: Any
) -> None:
    # Not the last line: that one leaves no trace.
    number = data.draw(st.integers(0, len(issued) - 2))
    trail = read(damage(lines(issued), number))
    assert trail.gap_ms is not None
    whole = read(lines([("d", NOW_MS)], "e" * 32))
    audited = audit_keys([whole, trail], LATER_MS)
    assert {key.deletion for key in audited} <= {"unknown", "never_safe"}
    assert "d" in [key.key_id for key in audited]


def test_the_latest_of_several_breaks_counts() -> None:
    content = lines([("a", NOW_MS)] * 9)
    del content[6], content[2]
    trail = read(content)
    assert trail.gap_ms == NOW_MS + 7
    assert trail.gap.endswith(":6: record 8 does not follow record 6")


def test_a_torn_line_at_the_end_may_hide_a_token_of_now() -> None:
    assert read([*lines([("a", NOW_MS)]), b'{"time":"2']).gap_ms == LATER_MS
    # Also after an earlier break.
    content = lines([("a", NOW_MS)] * 4)
    assert read([*content[:1], *content[2:], b'{"time":"2']).gap_ms == LATER_MS
