import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.tokens import t006, t007, whiteboard
from token_authority_server.inspection.findings import DecodeIssues, FindingReason
from token_authority_server.inspection.normalize import normalize

# With the characters that encodings change: plus, slash and, in 007, padding.
TOKENS = [
    next(token for salt in range(999) if {*"+/="} <= {*(token := t007(salt=salt))}),
    next(token for salt in range(999) if {*"+/"} <= {*(token := t006(salt=salt))}),
    whiteboard(),
]
WRAPPINGS = [
    (lambda token: token, ()),
    (lambda token: f"  {token}\t", (FindingReason.WHITESPACE,)),
    (lambda token: "\n".join([token[:30], token[30:60], token[60:]]), (FindingReason.WHITESPACE,)),
    (lambda token: f"\u200b{token}\ufeff", (FindingReason.WHITESPACE,)),
    (lambda token: f"'{token}'", (FindingReason.QUOTED,)),
    (lambda token: f"\u00ab{token}\u00bb", (FindingReason.QUOTED,)),
    (lambda token: f'" {token} "', (FindingReason.QUOTED, FindingReason.WHITESPACE)),
    (lambda token: f"Bearer {token}", (FindingReason.SURROUNDED,)),
    (lambda token: f"the token is {token}.", (FindingReason.SURROUNDED,)),
    (lambda token: f"token={token}&uid=7", (FindingReason.SURROUNDED,)),
    (lambda token: json.dumps({"token": token, "uid": 7}), (FindingReason.SURROUNDED,)),
    (
        lambda token: json.dumps(json.dumps({"token": token})),
        (FindingReason.QUOTED, FindingReason.SURROUNDED),
    ),
]
ENCODINGS = [
    (lambda token: quote(token, safe=""), FindingReason.URL_ENCODED),
    (lambda token: quote(token, safe="").replace("%3D", "%3d"), FindingReason.URL_ENCODED),
    (lambda token: quote(quote(token, safe="")), FindingReason.URL_ENCODED),
    (lambda token: token.replace("/", "\\/"), FindingReason.QUOTED),
    (lambda token: token.replace("=", "\\u003d").replace("+", "\\u002B"), FindingReason.QUOTED),
]


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize(("wrap", "expected"), WRAPPINGS)
def test_a_wrapped_token_is_found_and_each_wrapping_marked(
    token: str, wrap: object, expected: tuple[FindingReason, ...]
) -> None:
    issues: DecodeIssues = {}
    assert normalize(wrap(token), issues).token == token  # type: ignore[operator]
    assert issues.keys() == {*expected}


@pytest.mark.parametrize("token", TOKENS[:2])
@pytest.mark.parametrize(("encode", "expected"), ENCODINGS)
def test_an_encoded_token_is_decoded(token: str, encode: object, expected: FindingReason) -> None:
    issues: DecodeIssues = {}
    assert normalize(encode(token), issues).token == token  # type: ignore[operator]
    assert issues.keys() == {expected}


def test_spaces_may_have_been_plus_signs_and_line_breaks_not() -> None:
    issues: DecodeIssues = {}
    assert normalize("007ab cd\nef", issues) == ("007abcdef", "007ab+cdef", "007ab")
    assert normalize("007ab\ncd", issues) == ("007abcd", "", "007ab")
    assert normalize(" 007ab ", issues) == ("007ab", "", "")


@pytest.mark.parametrize("text", ["", "%", "\\", '"', "\ud800", "order 007", "a006b", "007"])
def test_what_holds_no_token_stays_as_it_is_but_for_its_ends(text: str) -> None:
    assert normalize(text, {}).token == "".join(text.split()).strip("\\\"'")


@given(st.text())
def test_tidying_twice_changes_nothing_more(text: str) -> None:
    token = normalize(text, {}).token
    if not {*token} & {*"%\\"}:
        assert normalize(token, {}).token.strip("\"'") == token.strip("\"'")
