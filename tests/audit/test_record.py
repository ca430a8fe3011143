import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from audit.trails import CHAIN_ID, issued, lines
from support.keys import ACCESS_KEY, APP_ID, CERTIFICATE, NONCE, NOW_MS, SECRET_KEY
from token_authority_server.audit import redact_tokens
from token_authority_server.audit.record import (
    MAX_RECORD_BYTES,
    Chain,
    body_of,
    link_of,
    looks_like_token,
    seal,
)
from token_authority_server.formats.access_token_006 import build_access_token_006
from token_authority_server.formats.access_token_007 import build_access_token_007
from token_authority_server.formats.fingerprint import fingerprint
from token_authority_server.formats.netless import NetlessType, build_netless_token
from token_authority_server.formats.service_packing import rtc


def whiteboard(kind: NetlessType) -> str:
    return build_netless_token(
        kind,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        content={"role": "0"},
        lifespan_ms=1000,
        now_ms=NOW_MS,
        nonce=NONCE,
    )


TOKENS = {
    "007": build_access_token_007(
        app_id=APP_ID,
        app_certificate=CERTIFICATE,
        issued_at=NOW_MS // 1000,
        expire_seconds=3600,
        salt=1,
        services=[rtc("lesson-1", "7", {1: 3600})],
    ),
    "006": build_access_token_006(
        app_id=APP_ID,
        app_certificate=CERTIFICATE,
        channel_name="lesson-1",
        uid="7",
        ends_at=NOW_MS // 1000 + 86_400,
        salt=1,
        privileges={1: NOW_MS // 1000 + 3600},
    ),
    "sdk": whiteboard("sdk"),
    "room": whiteboard("room"),
    "task": whiteboard("task"),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


def test_a_line_is_json_with_its_place_in_the_chain() -> None:
    first, second = lines(2)
    record = json.loads(second)
    hashed = first[: first.index(b',"hash"')]
    assert next(iter(record)) == "time"
    assert record["time"] == "2023-11-14T22:13:20.124Z"
    assert (record["chain"], record["seq"]) == (CHAIN_ID, 2)
    assert record["prev"] == json.loads(first)["hash"] == hashlib.sha256(hashed).hexdigest()
    assert json.loads(first)["prev"] == "0" * 64


def test_the_hash_can_be_checked_without_this_program(tmp_path: Path) -> None:
    (line,) = lines(1)
    (tmp_path / "a").write_bytes(line)
    script = """sed 's/,"hash":"[^"]*"}$//' a | tr -d '[:cntrl:]' | sha256sum"""
    out = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, check=True).stdout
    assert out.decode().split()[0] == json.loads(line)["hash"]


def test_a_time_that_is_given_stands() -> None:
    assert json.loads(body_of({"time": "2030-01-01T00:00:00Z"}, NOW_MS) + "}") == {
        "time": "2030-01-01T00:00:00Z"
    }


@pytest.mark.parametrize("length", [1, 1900, 2000, 2048, 9000])
def test_a_record_of_any_length_has_its_hash(length: int) -> None:
    data, chain = seal(Chain(CHAIN_ID), [body_of({"note": "x" * length}, NOW_MS)])
    hashed, _, _ = data.partition(b',"hash":')
    assert chain.last_hash == hashlib.sha256(hashed).hexdigest()


def has_no_token(record: dict[str, Any]) -> bool:
    return not looks_like_token(json.dumps(record, ensure_ascii=False))


@given(st.dictionaries(st.text(max_size=10).map("x{}".format), JSON, max_size=4))
@example({"x007": "007e J", "x": ["NETLESSSDK", "_"]})
def test_any_record_is_one_line_of_ascii_and_reads_back(record: dict[str, Any]) -> None:
    assume(has_no_token(record))
    data, chain = seal(Chain(CHAIN_ID), [body_of(record, NOW_MS)])
    assert data.isascii()
    assert len(data.decode().splitlines()) == 1
    link = link_of(data)
    assert link == (CHAIN_ID, 1, "0" * 64, chain.last_hash, True)
    read = json.loads(data)
    assert {name: read[name] for name in record} == record


@pytest.mark.parametrize("value", ['x"}\n{"event":"issued"}', "x\u2028y", "x\r\ny\0", "\ud800"])
def test_a_value_cannot_make_a_second_line(value: str) -> None:
    data, _ = seal(Chain(CHAIN_ID), [body_of(issued(channel=value), NOW_MS)])
    assert len(data.decode().splitlines()) == 1
    assert json.loads(data)["channel"] == value


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
@pytest.mark.parametrize(
    "record",
    [
        lambda token: {"channel": token},
        lambda token: {"note": f"see {token}!"},
        lambda token: {"list": [1, {"inner": token}]},
        lambda token: {token: 1},
    ],
    ids=["alone", "in text", "nested", "as a name"],
)
def test_a_record_with_a_token_is_refused_without_showing_it(token: str, record: Any) -> None:
    with pytest.raises(ValueError, match="must not contain a token") as caught:
        body_of(record(token), NOW_MS)
    assert token not in str(caught.value)


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_a_token_that_a_caller_chose_as_a_value_becomes_its_id(token: str) -> None:
    shown = redact_tokens(token)
    assert shown == f"(token {fingerprint(token)})"
    body_of({"channel": shown}, NOW_MS)


@pytest.mark.parametrize(
    "text", ["", "lesson-1", "007", "006" + "g" * 32, "NETLESS", "NETLESS_", APP_ID]
)
def test_what_only_begins_like_a_token_stays(text: str) -> None:
    assert redact_tokens(text) == text
    body_of({"channel": text}, NOW_MS)


def test_names_of_the_chain_are_not_to_be_given() -> None:
    for name in ("chain", "seq", "prev", "hash"):
        with pytest.raises(ValueError, match="must not have the fields chain, seq, prev and hash"):
            body_of({name: "x"}, NOW_MS)


def test_what_is_too_long_or_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match=f"not be longer than {MAX_RECORD_BYTES} bytes"):
        body_of({"channel": "x" * MAX_RECORD_BYTES}, NOW_MS)
    with pytest.raises(ValueError, match="JSON"):
        body_of({"ratio": float("nan")}, NOW_MS)
    with pytest.raises(TypeError):
        body_of({"bytes": b"x"}, NOW_MS)


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"{}\n", b"text\n", lines(1)[0][:-3], lines(1)[0].upper(), b"\xff\0"]
)
def test_what_is_no_record_has_no_place_in_a_chain(line: bytes) -> None:
    assert link_of(line) is None
