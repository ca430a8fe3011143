import string
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.decoding import decode
from token_authority_server.formats import netless
from token_authority_server.formats.netless import NetlessType, build_netless_token
from token_authority_server.formats.packing import FormatError

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
FIELDS = st.dictionaries(TEXT.filter(lambda name: name != "sig"), TEXT, max_size=6)


def build(content: dict[str, str], **changes: object) -> str:
    arguments = {
        "access_key": "AK",
        "secret_key": "SK",
        "lifespan_ms": 1000,
        "now_ms": 5,
        "nonce": "N",
        **changes,
    }
    return build_netless_token("room", content=content, **arguments)  # type: ignore[arg-type]


@given(FIELDS, TEXT, TEXT, TEXT, st.integers(-5, 10**13), st.integers(0, 10**13))
def test_any_content_comes_back_and_verifies(
    content: dict[str, str],
    access_key: str,
    secret_key: str,
    nonce: str,
    lifespan_ms: int,
    now_ms: int,
) -> None:
    token = build(
        content,
        access_key=access_key,
        secret_key=secret_key,
        nonce=nonce,
        lifespan_ms=lifespan_ms,
        now_ms=now_ms,
    )
    decoded = decode(token)
    expected = {**content, "ak": access_key, "nonce": nonce}
    if lifespan_ms > 0:
        expected["expireAt"] = str(now_ms + lifespan_ms)
    carried = {name: value for name, value in decoded.fields.items() if name != "sig"}
    assert carried.pop("prefix") == "NETLESSROOM_"
    assert carried == expected
    assert decoded.verifies(secret_key)
    assert not decoded.verifies(secret_key + "x")


@pytest.mark.parametrize(
    ("kind", "prefix"), [("sdk", "NETLESSSDK_"), ("room", "NETLESSROOM_"), ("task", "NETLESSTASK_")]
)
def test_the_kind_is_the_prefix(kind: NetlessType, prefix: str) -> None:
    token = build_netless_token(
        kind, access_key="a", secret_key="s", content={}, lifespan_ms=0, now_ms=0, nonce="n"
    )
    assert token.startswith(prefix)


@pytest.mark.parametrize("content", [{"role": 0}, {"role": None}, {1: "a"}, {1: "a", "b": "c"}])
def test_content_that_is_not_text_is_refused(content: dict[str, str]) -> None:
    with pytest.raises(FormatError, match="map text to text"):
        build(content)


def test_a_field_sig_is_refused() -> None:
    with pytest.raises(FormatError, match="sig"):
        build({"sig": "x"})


@pytest.mark.parametrize("where", ["access_key", "secret_key", "nonce"])
def test_a_lone_surrogate_is_refused(where: str) -> None:
    with pytest.raises(FormatError):
        build({}, **{where: "\ud800"})
    with pytest.raises(FormatError):
        build({"uuid": "\ud800"})


@given(st.dictionaries(*[st.text(string.ascii_letters + string.digits + "-_.!~*'()")] * 2))
def test_plain_text_is_written_the_same_on_the_fast_and_on_the_general_path(
    fields: dict[str, str],
) -> None:
    names = sorted(fields)
    if fields:
        assert netless._plain_json(fields, names) == netless._json(fields, names)
    assert netless._plain_query(fields, names) == netless._query(fields, names)


@given(st.binary(min_size=16, max_size=16))
def test_a_nonce_is_a_uuid_version_4(chance: bytes) -> None:
    assert netless.nonce_text(chance) == str(uuid.UUID(bytes=chance, version=4))


def test_keys_are_ordered_by_utf16_code_unit() -> None:
    # U+FF5E sorts after U+1F600 in UTF-16 (its first surrogate is D83D), but not by code point.
    decoded = decode(build({"\uff5e": "1", "\U0001f600": "2"}))
    assert list(decoded.fields)[-2:] == ["\U0001f600", "\uff5e"]
    assert decoded.verifies("SK")
