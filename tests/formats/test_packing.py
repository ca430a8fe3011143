import pytest
from hypothesis import given
from hypothesis import strategies as st

from token_authority_server.formats import packing
from token_authority_server.formats.packing import FormatError


@pytest.mark.parametrize("pack", [packing.u16, packing.u32, packing.i16])
@pytest.mark.parametrize("value", [-(2**40), 2**40, 1.5, "1", None])
def test_a_number_beyond_its_field_is_refused(pack: object, value: object) -> None:
    with pytest.raises(FormatError, match="salt must be an integer"):
        pack("salt", value)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("pack", "low", "high"),
    [
        (packing.u16, 0, 2**16 - 1),
        (packing.u32, 0, 2**32 - 1),
        (packing.i16, -(2**15), 2**15 - 1),
    ],
)
def test_the_limits_of_a_field_are_exact(pack: object, low: int, high: int) -> None:
    for value in (low, high):
        pack("n", value)  # type: ignore[operator]
    for value in (low - 1, high + 1):
        with pytest.raises(FormatError):
            pack("n", value)  # type: ignore[operator]


def test_strings_are_measured_in_bytes() -> None:
    assert packing.string("s", "é" * 32767)[:2] == b"\xfe\xff"
    with pytest.raises(FormatError, match="65535 bytes"):
        packing.string("s", "é" * 32768)


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(FormatError, match="surrogates"):
        packing.string("s", "\ud800")


@pytest.mark.parametrize(
    "text", ["", "0" * 31, "0" * 33, "g" * 32, "0" * 31 + "\n", " " + "0" * 31, "\u0660" * 32]
)
def test_an_id_of_another_shape_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(FormatError) as caught:
        packing.check_id("app_certificate", text)
    assert str(caught.value) == "app_certificate must be exactly 32 hex digits"


@given(st.dictionaries(st.integers(0, 65535), st.integers(0, 2**32 - 1), max_size=20))
def test_privileges_are_written_in_ascending_order(privileges: dict[int, int]) -> None:
    packed = packing.privilege_map(privileges)
    assert packed[:2] == len(privileges).to_bytes(2, "little")
    keys = [int.from_bytes(packed[at : at + 2], "little") for at in range(2, len(packed), 6)]
    assert keys == sorted(privileges)


@pytest.mark.parametrize("privileges", [{-1: 0}, {65536: 0}, {1: -1}, {1: 2**32}])
def test_a_privilege_beyond_its_field_is_refused(privileges: dict[int, int]) -> None:
    with pytest.raises(FormatError):
        packing.privilege_map(privileges)


def test_uid_zero_is_the_empty_string_and_no_other_is() -> None:
    assert packing.uid_text(0) == ""
    assert packing.uid_text(2**32 - 1) == "4294967295"
    for uid in (-1, 2**32):
        with pytest.raises(FormatError):
            packing.uid_text(uid)
