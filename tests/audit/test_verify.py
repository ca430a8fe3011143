import tempfile
from collections.abc import Sequence
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
        assert f":1: begins with record {count + 1}: what was before" in note
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
    assert report.notes[0].endswith(
        ":1: begins with record 4: what was before it is not in these files"
    )


def test_a_chain_that_begins_in_a_file_of_its_own_is_a_note_and_elsewhere_a_fault() -> None:
    other = lines(2, OTHER_CHAIN)
    report = check(LINES, other)
    assert report.problem is None
    assert ":1: a new chain begins" in report.notes[0]
    assert fault([*LINES, *other]) == ("inserted", "0", COUNT + 1)


def test_the_last_line_break_may_be_missing() -> None:
    assert check([*LINES[:-1], LINES[-1][:-1]]).problem is None


def test_a_line_without_end_is_read_in_parts() -> None:
    assert fault([*LINES, b"x" * 1_000_000])[0] == "torn"
