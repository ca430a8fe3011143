import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.tokens import t006, t007, whiteboard
from token_authority_server.inspection.reasons import Marks, Reason
from token_authority_server.inspection.tidy import tidy

# With the characters that encodings change: plus, slash and, in 007, padding.
TOKENS = [
    next(token for salt in range(999) if {*"+/="} <= {*(token := t007(salt=salt))}),
    next(token for salt in range(999) if {*"+/"} <= {*(token := t006(salt=salt))}),
    whiteboard(),
]
WRAPPINGS = [
    (lambda token: token, ()),
    (lambda token: f"  {token}\t", (Reason.WHITESPACE,)),
    (lambda token: "\n".join([token[:30], token[30:60], token[60:]]), (Reason.WHITESPACE,)),
    (lambda token: f"\u200b{token}\ufeff", (Reason.WHITESPACE,)),
    (lambda token: f"'{token}'", (Reason.QUOTED,)),
    (lambda token: f"\u00ab{token}\u00bb", (Reason.QUOTED,)),
    (lambda token: f'" {token} "', (Reason.QUOTED, Reason.WHITESPACE)),
    (lambda token: f"Bearer {token}", (Reason.SURROUNDED,)),
    (lambda token: f"the token is {token}.", (Reason.SURROUNDED,)),
    (lambda token: f"token={token}&uid=7", (Reason.SURROUNDED,)),
    (lambda token: json.dumps({"token": token, "uid": 7}), (Reason.SURROUNDED,)),
    (lambda token: json.dumps(json.dumps({"token": token})), (Reason.QUOTED, Reason.SURROUNDED)),
]
ENCODINGS = [
    (lambda token: quote(token, safe=""), Reason.URL_ENCODED),
    (lambda token: quote(token, safe="").replace("%3D", "%3d"), Reason.URL_ENCODED),
    (lambda token: quote(quote(token, safe="")), Reason.URL_ENCODED),
    (lambda token: token.replace("/", "\\/"), Reason.QUOTED),
    (lambda token: token.replace("=", "\\u003d").replace("+", "\\u002B"), Reason.QUOTED),
]


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize(("wrap", "expected"), WRAPPINGS)
def test_a_wrapped_token_is_found_and_each_wrapping_marked(
    token: str, wrap: object, expected: tuple[Reason, ...]
) -> None:
    marks: Marks = {}
    assert tidy(wrap(token), marks).token == token  # type: ignore[operator]
    assert marks.keys() == {*expected}


@pytest.mark.parametrize("token", TOKENS[:2])
@pytest.mark.parametrize(("encode", "expected"), ENCODINGS)
def test_an_encoded_token_is_decoded(token: str, encode: object, expected: Reason) -> None:
    marks: Marks = {}
    assert tidy(encode(token), marks).token == token  # type: ignore[operator]
    assert marks.keys() == {expected}


def test_spaces_may_have_been_plus_signs_and_line_breaks_not() -> None:
    marks: Marks = {}
    assert tidy("007ab cd\nef", marks) == ("007abcdef", "007ab+cdef", "007ab")
    assert tidy("007ab\ncd", marks) == ("007abcd", "", "007ab")
    assert tidy(" 007ab ", marks) == ("007ab", "", "")


@pytest.mark.parametrize("text", ["", "%", "\\", '"', "\ud800", "order 007", "a006b", "007"])
def test_what_holds_no_token_stays_as_it_is_but_for_its_ends(text: str) -> None:
    assert tidy(text, {}).token == "".join(text.split()).strip("\\\"'")


@given(st.text())
def test_tidying_twice_changes_nothing_more(text: str) -> None:
    token = tidy(text, {}).token
    if not {*token} & {*"%\\"}:
        assert tidy(token, {}).token.strip("\"'") == token.strip("\"'")
