import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.trails import CHAIN_ID, lines
from support.keys import NOW_MS
from token_authority_server.audit import Report, verify
from token_authority_server.audit.record import Chain, body_of, link_of, seal

OTHER_CHAIN = "f" * 32
COUNT = 6
LINES = lines(COUNT)
FOREIGN = lines(2, OTHER_CHAIN)
numbers = st.integers(0, COUNT - 1)


def check(*files: Sequence[bytes]) -> Report:
    """Verifies files with these lines, called "0", "1" and so on."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / str(number) for number in range(len(files))]
        for path, content in zip(paths, files, strict=True):
            path.write_bytes(b"".join(content))
        return verify(paths)


def fault(*files: Sequence[bytes]) -> tuple[str, str, int]:
    """What is wrong, in which file and line."""
    problem = check(*files).problem
    assert problem
    return problem.fault, Path(problem.file).name, problem.line


def sentence(*files: Sequence[bytes]) -> str:
    """The fault and its explanation, with the files called "0", "1" and so on."""
    problem = check(*files).problem
    assert problem
    folder = str(Path(problem.file).parent)
    text = f"{problem.file}:{problem.line}: {problem.fault}: {problem.explanation}"
    return text.replace(f"{folder}/", "")


def hash_of(line: bytes) -> str:
    link = link_of(line)
    assert link
    return link.hash


def test_a_whole_trail() -> None:
    report = check(LINES)
    assert (report.problem, report.notes, report.records) == (None, (), COUNT)
    assert report.first_time == "2023-11-14T22:13:20.123Z"
    assert report.last_time == "2023-11-14T22:13:20.128Z"
    assert report.last
    assert (report.last.chain_id, report.last.seq) == (CHAIN_ID, COUNT)


def test_an_empty_trail() -> None:
    report = check([])
    assert (report.problem, report.records, report.last) == (None, 0, None)


@given(st.data())
def test_any_byte_that_is_altered_is_found(data: st.DataObject) -> None:
    whole = bytearray(b"".join(LINES))
    position = data.draw(st.integers(0, len(whole) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda value: value != whole[position]))
    altered_line = whole[:position].count(b"\n") + 1
    whole[position] = value
    kind, _, line = fault([bytes(whole)])
    assert kind in {"altered", "torn"}
    # A line break that is gone or new moves what comes after it by one.
    assert altered_line <= line <= altered_line + 1


@given(numbers, st.integers(1, COUNT))
def test_lines_that_are_removed_are_found_unless_they_were_the_last(first: int, count: int) -> None:
    left = [*LINES[:first], *LINES[first + count :]]
    if first + count >= COUNT:
        # Nothing in a file tells this; the last number does, if it is known from elsewhere.
        report = check(left)
        assert report.problem is None
        assert (report.last.seq if report.last else 0) == first
    elif first == 0:
        (note,) = check(left).notes
        assert note.endswith(
            f"/0:1: begins with record {count + 1}: earlier records are not in these files"
        )
    else:
        assert fault(left) == ("removed", "0", first + 1)


@given(numbers, numbers)
def test_lines_that_change_places_are_found(one: int, other: int) -> None:
    swapped = list(LINES)
    swapped[one], swapped[other] = swapped[other], swapped[one]
    if one == other:
        assert check(swapped).problem is None
    else:
        assert fault(swapped)[0] == "reordered"


@given(numbers, st.integers(0, COUNT))
def test_a_line_that_is_there_twice_is_found(line: int, position: int) -> None:
    kind, _, _ = fault([*LINES[:position], LINES[line], *LINES[position:]])
    assert kind in {"inserted", "reordered"}


@given(st.binary(max_size=50).filter(lambda text: b"\n" not in text), st.integers(0, COUNT))
def test_a_line_that_is_no_record_is_found(text: bytes, position: int) -> None:
    kind = "torn" if position == COUNT else "inserted"
    inserted = [*LINES[:position], text + b"\n", *LINES[position:]]
    assert fault(inserted) == (kind, "0", position + 1)


@given(numbers, st.integers(1, COUNT))
def test_a_record_of_another_chain_is_found(line: int, position: int) -> None:
    foreign = lines(COUNT, OTHER_CHAIN)[line]
    inserted = [*LINES[:position], foreign, *LINES[position:]]
    assert fault(inserted) == ("inserted", "0", position + 1)


@given(st.integers(0, COUNT - 2))
def test_a_record_that_was_replaced_hash_and_all_is_found_at_the_next(line: int) -> None:
    # By somebody who knows how hashes are made, but does not write all later lines anew.
    before = link_of(LINES[line - 1]) if line else None
    chain = Chain(CHAIN_ID, before.seq, before.hash) if before else Chain(CHAIN_ID)
    forged, _ = seal(chain, [body_of({"event": "issued", "caller": "me"}, NOW_MS)])
    replaced = [*LINES[:line], forged, *LINES[line + 1 :]]
    assert fault(replaced) == ("altered", "0", line + 2)


@pytest.mark.parametrize("at", range(COUNT + 1))
def test_files_are_checked_as_one_trail(at: int) -> None:
    assert check(LINES[:at], LINES[at:]).problem is None


def test_a_file_that_is_missing_or_in_the_wrong_place_is_found() -> None:
    report = check(LINES[:2], LINES[3:])
    assert report.problem
    assert report.problem.fault == "removed"
    assert "is a file missing before this one?" in report.problem.explanation
    assert fault(LINES[:2], LINES[4:], LINES[2:4]) == ("reordered", "1", 1)
    assert fault(LINES[3:], LINES[:3]) == ("reordered", "1", 1)
    assert fault(LINES[:3], LINES[:3]) == ("inserted", "1", 1)


def test_one_file_of_several_says_what_it_cannot_check() -> None:
    report = check(LINES[3:])
    assert report.problem is None
    (note,) = report.notes
    assert note.endswith("/0:1: begins with record 4: earlier records are not in these files")


def test_a_chain_that_begins_in_a_file_of_its_own_is_a_note_and_elsewhere_a_fault() -> None:
    other = lines(2, OTHER_CHAIN)
    report = check(LINES, other)
    assert report.problem is None
    (note,) = report.notes
    assert report.chains == 2
    assert note.endswith(
        f"/1:1: a new chain begins; these files do not show whether more records followed record "
        f"{COUNT} of the previous chain (hash {hash_of(LINES[-1])})"
    )
    assert fault([*LINES, *other]) == ("inserted", "0", COUNT + 1)


def test_the_last_line_break_may_be_missing() -> None:
    assert check([*LINES[:-1], LINES[-1][:-1]]).problem is None


def test_a_line_without_end_is_read_in_parts() -> None:
    assert fault([*LINES, b"x" * 1_000_000])[0] == "torn"


def test_a_file_that_was_replaced_by_a_chain_of_its_own_is_found() -> None:
    """Whoever can write to the folder can make a chain; it does not bridge the gap."""
    forged = lines(1, OTHER_CHAIN)
    assert sentence(LINES[:2], forged, LINES[4:]) == (
        "2:1: removed: 2 records are missing before record 5; is a file missing before this one?"
    )
    # Nor do several, or one that goes on after the gap.
    assert fault(LINES[:2], FOREIGN[:1], LINES[4:5], FOREIGN[1:], LINES[5:]) == ("removed", "2", 1)
    assert fault(LINES[:2], lines(1, "e" * 32), forged, LINES[3:]) == ("removed", "3", 1)
    # Nor does an end that was cut off before, or a beginning behind.
    assert fault(LINES[:1], FOREIGN, LINES[1:2], LINES[3:])[0] == "inserted"
    assert fault(FOREIGN, LINES[2:]) == ("removed", "1", 1)


@given(st.integers(1, COUNT - 1), st.integers(1, COUNT - 1))
def test_a_chain_that_returns_has_to_follow_its_own_last_record(end: int, start: int) -> None:
    expected = "inserted" if start <= end else "removed"
    assert fault(LINES[:end], FOREIGN, LINES[start:]) == (expected, "2", 1)


def test_a_foreign_file_between_two_of_a_chain_is_found_though_nothing_is_missing() -> None:
    assert sentence(LINES[:3], FOREIGN, LINES[3:]) == (
        "2:1: inserted: the chain continues after records of another chain, which begin at 1:1: "
        "that file is not part of this trail, or in the wrong place"
    )
    assert sentence(LINES[:3], FOREIGN, lines(3, "e" * 32), LINES[3:]).startswith("3:1: inserted")


def test_a_chain_that_returns_after_a_replaced_record_is_found() -> None:
    forged = lines(3)[:2]
    other, _ = seal(
        Chain(CHAIN_ID, 2, hash_of(forged[1])), [body_of({"event": "issued"}, NOW_MS + 2)]
    )
    assert fault([*forged, other], FOREIGN, LINES[3:]) == ("altered", "2", 1)


def at_times(*seconds: float, event: str = "issued") -> list[bytes]:
    """A trail whose records have these times."""
    bodies = [body_of({"event": event}, NOW_MS + int(1000 * second)) for second in seconds]
    return seal(Chain(CHAIN_ID), bodies)[0].splitlines(keepends=True)


def test_times_that_run_backwards_are_a_note() -> None:
    report = check(at_times(0, 60, 2, 3))
    assert report.problem is None
    (note,) = report.notes
    assert note.endswith(
        "/0:3: the time runs backwards, from 2023-11-14T22:14:20.123Z to 2023-11-14T22:13:22.123Z: "
        "the clock was set back, or the file is in the wrong place or forged"
    )
    # From one file to the next, too.
    whole = at_times(0, 60, 2, 3)
    assert ["/1:1: the time" in note for note in check(whole[:2], whole[2:]).notes] == [True]


def test_records_of_concurrent_calls_may_be_in_another_order() -> None:
    assert check(at_times(0, 1, 0.5, 1.2, 0.3)).notes == ()


def test_a_record_of_a_recovery_may_be_later_than_those_that_waited_for_it() -> None:
    bodies = [
        body_of({"event": event}, NOW_MS + 1000 * second)
        for event, second in (("issued", 0), ("recovered", 60), ("issued", 2), ("issued", 61))
    ]
    assert check([seal(Chain(CHAIN_ID), bodies)[0]]).notes == ()


def test_a_time_that_cannot_be_read_is_not_compared() -> None:
    bodies = [body_of({"time": time}, 0) for time in ("never", "2023", "always", 7)]
    report = check([seal(Chain(CHAIN_ID), bodies)[0]])
    assert (report.problem, report.notes) == (None, ())


def test_notes_are_bounded() -> None:
    notes = check(at_times(*[second * 60 for second in range(500, 0, -1)])).notes
    assert len(notes) == 101
    assert notes[-1] == "and 399 more notes"


def test_an_empty_file_is_a_note() -> None:
    report = check(LINES[:3], [], LINES[3:], [])
    assert (report.problem, report.records) == (None, COUNT)
    assert [Path(note).name for note in report.notes] == [
        "1: the file is empty",
        "3: the file is empty",
    ]


FAULTS = {
    "0:2: altered: the record does not match its hash": (
        [LINES[0], LINES[1].replace(b"uid:1", b"uid:9")],
    ),
    "0:3: altered: the record does not follow record 2 as it is in these files: that record "
    "was replaced": (
        [
            LINES[0],
            seal(Chain(CHAIN_ID, 1, hash_of(LINES[0])), [body_of({"event": "x"}, NOW_MS)])[0],
            LINES[2],
        ],
    ),
    "0:2: altered: the line is not a record, and a record is missing before record 3": (
        [LINES[0], b"x\n", LINES[2]],
    ),
    "0:2: inserted: the line is not a record, and no record is missing": (
        [LINES[0], b"x\n", LINES[1]],
    ),
    "0:2: inserted: the record belongs to another chain than the one before": (
        [LINES[0], FOREIGN[0]],
    ),
    "0:3: inserted: record 1 of this chain occurs twice": ([*LINES[:2], LINES[0]],),
    "0:2: removed: record 2 is missing before record 3": ([LINES[0], LINES[2]],),
    "1:1: removed: record 2 is missing before record 3; is a file missing before this one?": (
        LINES[:1],
        LINES[2:],
    ),
    "0:2: reordered: record 3 precedes record 2, which is at 0:3": (
        [LINES[0], LINES[2], LINES[1]],
    ),
    "1:1: reordered: record 1 follows record 6": (LINES[3:], LINES[:3]),
    "0:7: torn: the line is not a complete record, and no later record explains it: the server "
    "died while writing it (it records that when it restarts), or the file was cut": (
        [*LINES, b'{"time":"20'],
    ),
}


@pytest.mark.parametrize("expected", FAULTS)
def test_each_fault_has_its_sentence(expected: str) -> None:
    assert sentence(*FAULTS[expected]) == expected


def test_the_first_of_a_chain_refers_to_none() -> None:
    forged, _ = seal(Chain(CHAIN_ID, 0, "1" * 64), [body_of({"event": "x"}, NOW_MS)])
    assert sentence([forged]) == (
        "0:1: altered: the record is the first of its chain, yet refers to another"
    )


def test_a_chain_that_begins_behind_an_unfinished_line_of_its_file_is_no_fault() -> None:
    torn = b'{"time":"20'
    explained = {
        "event": "recovered",
        "torn_bytes": len(torn) + 1,
        "torn_sha256": sha256(torn + b"\n").hexdigest(),
    }
    second = seal(Chain(OTHER_CHAIN), [body_of(explained, NOW_MS + 9)])[0]
    report = check(LINES, [torn + b"\n", second])
    assert report.problem is None
    assert [note.partition("/1:")[2] for note in report.notes] == [
        "1: incomplete line of a crash, as record 1 confirms",
        f"2: a new chain begins; these files do not show whether more records followed record "
        f"{COUNT} of the previous chain (hash {hash_of(LINES[-1])})",
    ]
