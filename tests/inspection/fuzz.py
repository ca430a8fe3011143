"""Inspects mutated tokens and random text, and looks for anything that must not happen.

    python tests/inspection/fuzz.py [--count 200000] [--seed 1]

prints the seed and how many inputs got each verdict; then it inspects one token with error codes
from the whole range of 32 bits. It exits with 1, and shows the input, on an exception, an
inspection that takes too long, an answer out of bounds, or one that shows a secret or the token.
The same seed makes the same inputs.
"""

import argparse
import base64
import random
import sys
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from inspection.tokens import (
    KEYS,
    NOW,
    SECRETS,
    netless,
    packed_007,
    rtc,
    rtm,
    sealed_007,
    t006,
    t007,
    whiteboard,
)
from support.keys import APP_ID, NOW_MS
from token_authority_server.formats import service_packing as v007
from token_authority_server.inspection import Expected, Inspection, Product, inspect_token
from vectors import run

# Many times what the worst input takes on a slow machine, and far below what would be an attack.
MAX_SECONDS: Final = 0.1
# From so many inputs on, all codes are tried.
_FULL: Final = 100_000
_MAX_MS: Final = 253_402_300_799_999
_BYTES: Final = [bytes([value]) for value in (0, 1, 2, 8, 0x20, 0x7F, 0x80, 0xFF)]
_CHARACTERS: Final = "aA0zZ9+/=-_%&\"' \n\\{}\u200b\u00e9\U0001f600\ud800"

# What an SDK may have reported, and what else may be pasted there.
_ERRORS: Final = (
    "dynamic use static key",
    "AgoraRTCError CAN_NOT_GET_GATEWAY_SERVER: flag: 4096, message: invalid token",
    "-10005",
    "\x1b[31m<b>ERR_INVALID_TOKEN</b>\n\ud800",
    "9" * 5000,
    "0x6E",
)
# Odd, so that it meets numbers of every form on its way through 32 bits.
CODE_STEP: Final = 65_537
Chance = random.Random


def official() -> dict[str, Any]:
    """Returns the official cases that have a token, with it, by name."""
    cases: dict[str, Any] = {}
    for suite in run.suites(Path(run.__file__).parent):
        for case in suite["cases"]:
            expected = case["expected"]
            inflated = expected.get("inflated_hex", "")
            token = expected.get("token") or (inflated and packed_007(bytes.fromhex(inflated)))
            if token:
                cases[f"{suite['suite']}:{case['name']}"] = {**case, "token": token}
    return cases


def real_tokens() -> list[str]:
    """Returns tokens of every kind: the official ones, and ours, whose keys are known."""
    vectors = [case["token"] for case in official().values()]
    permissions = [v007.RtmPermission(0, 0, ["a", "b"]), v007.RtmPermission(4, 1, [])]
    ours = [
        t007(rtc(), rtm()),
        t007(v007.education("r", "u", 1, {1: 60}), rtm("u"), v007.chat("c", {1: 60})),
        t007(v007.rtm2("alice", permissions, {1: 60}), v007.fpa({1: 0}), v007.stt({})),
        t007(v007.streaming("c", "", {1: 60}), v007.fcdn("*", "0", {2: 60})),
        t006(),
        t006("alice", "", privileges={1000: NOW + 60}),
        whiteboard("sdk", lifespan_ms=0),
        whiteboard("room"),
        whiteboard("task", content={"uuid": "\u00e9 &=%", "role": "2"}),
    ]
    return vectors + ours * (1 + len(vectors) // len(ours))


def worst() -> list[str]:
    """Returns what is made to cost as much as it can."""
    header = b"\x20\0" + APP_ID.encode() + bytes(12) + b"\xff\xff"
    contents = [
        header + b"\x01\0\xff\xff" + b"\x01\0\xff\xff\0\0" * 10_000,
        header + b"\x09\0\0\0" * 16_000,
        header + b"\x01\0\x01\0\x01\0\xff\xff\0\0\x01\0*\0\0" * 4000,
        header + b"\x08\0\0\0\0\0\1\0\0\0\1\0\0\0\xff\xff" + b"\x03\0\xff\xff\xff" * 12_000,
        header + b"\x02\0\0\0\xff\xff" + b"\xff" * 65_000,
    ]
    queries = ["&" * 49_000, "ak=" + "%" * 8189, "ak=a&" + "%41=%&" * 1300 + "&" * 41_000]
    return [
        *[sealed_007(content) for content in contents],
        packed_007(bytes(30_000_000)),
        *[netless(query) for query in queries],
        "007" + "%2B" * 21_844,
        "007" + "A " * 32_766,
        "007" + "\\/" * 32_766,
        " 006" * 16_384,
        '"' * 65_536,
        " ".join([t007(salt=number) for number in range(1, 11)]),
        "007eJx " * 9_000,
        "00" * 32_000,
        "A" * 4_000_000,
    ]


def _cut(text: str, chance: Chance) -> str:
    return text[: chance.randrange(len(text) + 1)]


def _replace(text: str, chance: Chance) -> str:
    letters = list(text)
    for _ in range(chance.randrange(1, 4)):
        letters[chance.randrange(len(letters))] = chance.choice(_CHARACTERS)
    return "".join(letters)


def _remove(text: str, chance: Chance) -> str:
    at = chance.randrange(len(text))
    return text[:at] + text[at + chance.randrange(1, 9) :]


def _repeat(text: str, chance: Chance) -> str:
    at = chance.randrange(len(text))
    return text[:at] + text[at : at + chance.randrange(1, 99)] * chance.randrange(2, 50) + text[at:]


def _wrap(text: str, chance: Chance) -> str:
    wraps: list[Callable[[str], str]] = [
        lambda inner: quote(inner, safe="", errors="replace"),
        lambda inner: f'{{"token": "{inner}", "uid": 7}}',
        lambda inner: f"Bearer {inner}\n",
        lambda inner: inner.replace("+", " "),
        lambda inner: "\n".join([inner[:50], inner[50:]]),
    ]
    return chance.choice(wraps)(text)


def _inside(text: str, chance: Chance) -> str:
    """Changes what is encoded, and encodes it again; signs it too where that is known."""
    start = 35 if text.startswith("006") else text.find("_") + 1 or 3
    urlsafe = b"-_" if start > 3 and not text.startswith("006") else None
    try:
        content = base64.b64decode(text[start:] + "==", altchars=urlsafe)
        content = zlib.decompress(content) if text.startswith("007") else content
    except (ValueError, zlib.error):
        return text
    data = bytearray(content)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(data) + 1)
        data[at : at + chance.choice((0, 1, 2))] = chance.choice(_BYTES)
    if text.startswith("007"):
        return chance.choice((packed_007(bytes(data)), sealed_007(bytes(data[34:]))))
    body = base64.b64encode(bytes(data), altchars=urlsafe).decode()
    return text[:start] + (body.rstrip("=") if urlsafe else body)


_MUTATIONS: Final = (_cut, _replace, _remove, _repeat, _wrap, _inside, _inside, _inside)


def text_of(tokens: Sequence[str], chance: Chance) -> str:
    """Makes a text that somebody may paste."""
    if chance.random() < 0.05:
        length = chance.choice((1, 3, 10, 100, 1000))
        return "".join(chance.choices(_CHARACTERS, k=length))
    text = chance.choice(tokens)
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        text = chance.choice(_MUTATIONS)(text, chance) or "007"
    return text


def expected_of(chance: Chance) -> Expected:
    """Makes what somebody may say about a token."""
    names = ("", "lesson-1", " Lesson-1", "alice", "7", "0", "*", "\ud800", "x" * 1024)
    uid = chance.choice((None, None, 0, 7, 2**32 - 1))
    return Expected(
        app_id=chance.choice(("", APP_ID, f" {APP_ID}", "\udc80")),
        channel_name=chance.choice(names),
        uid=uid,
        user_account=chance.choice((None, *names)) if uid is None else None,
        room_uuid=chance.choice(("", "", "r")),
        at_ms=chance.choice((None, None, 0, NOW_MS, -(10**15), 10**15)),
        error_code=chance.choice((0, 0, 101, 109, 110, 118, 119, 4, 5, 6, -10005, -10009, -1)),
        error=chance.choice(("", "", "", *_ERRORS)),
        product=chance.choice((None, None, *Product)),
    )


def check(text: str, inspection: Inspection) -> None:
    """Raises AssertionError on an answer that must not be given."""
    fields = inspection.fields
    assert len(fields) <= 1000
    assert 0 <= inspection.omitted_field_count <= 65_536
    assert inspection.omitted_field_count == 0 or inspection.findings
    for ms in (inspection.issue_ms, inspection.expire_ms):
        assert ms is None or 0 <= ms <= _MAX_MS
    texts = [
        inspection.time_summary,
        inspection.kind,
        *[part for field in fields for part in field],
    ]
    for finding in inspection.findings:
        assert len(finding.problem) + len(finding.advice) < 1500
        texts += [finding.problem, finding.advice]
    shown = "\n".join(texts)
    # As protobuf will: there must be no lone surrogates.
    assert len(shown.encode()) < 300_000
    assert not any(secret in shown for secret in SECRETS)
    assert len(text) < 40 or text not in shown


def fuzz(count: int, seed: int, max_seconds: float = MAX_SECONDS) -> tuple[Counter[str], str]:
    """Inspects inputs; returns how many got each verdict, and what went wrong with the last."""
    chance = Chance(seed)
    tokens, verdicts, slowest = real_tokens(), Counter[str](), 0.0
    first = [(text, Expected(channel_name="c", uid=7)) for text in worst()]
    for number in range(count):
        if number < len(first):
            text, expected = first[number]
        else:
            text, expected = text_of(tokens, chance), expected_of(chance)
        started = time.process_time()
        try:
            inspection = inspect_token(text, expected, KEYS, NOW_MS)
            seconds = time.process_time() - started
            slowest = max(slowest, seconds)
            check(text, inspection)
            assert seconds < max_seconds, f"took {seconds:.3f} s"
        except Exception:  # noqa: BLE001  # whatever it is, it is what is looked for
            return verdicts, f"{traceback.format_exc()}\n{expected}\n{text[:5000]!a}"
        verdicts[inspection.signature.verdict.value] += 1
    verdicts["slowest in ms"] = round(slowest * 1000)
    return verdicts, ""


def long_errors() -> list[str]:
    """Returns error texts of 64 KiB that are made to cost much."""
    parts = ("ERR_INVALID_TOKEN ", "1 ", "-", "aB", "dynamic use static ", "eyJ", "tak_", "\0")
    return [(part * 65_536)[:65_536] for part in parts]


def sweep(step: int, max_seconds: float = MAX_SECONDS) -> str:
    """Inspects one token with error codes of 32 bits; returns what went wrong."""
    text = t007()
    cases = [Expected(error_code=code) for code in range(-(2**31), 2**31, step)]
    cases += [Expected(error=error, channel_name="c") for error in long_errors()]
    for expected in cases:
        started = time.process_time()
        try:
            check(text, inspect_token(text, expected, KEYS, NOW_MS))
            assert time.process_time() - started < max_seconds, "took too long"
        except Exception:  # noqa: BLE001  # whatever it is, it is what is looked for
            return f"{traceback.format_exc()}\n{expected!r:.500}"
    return ""


def main(arguments: Sequence[str]) -> int:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description="Inspects mutated tokens and random text.")
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    started = time.perf_counter()
    verdicts, failure = fuzz(options.count, seed)
    failure = failure or sweep(CODE_STEP if options.count >= _FULL else CODE_STEP * 101)
    lines = [f"{name}: {number}" for name, number in sorted(verdicts.items())]
    took = time.perf_counter() - started
    sys.stdout.write(f"seed: {seed}\ninputs: {options.count} in {took:.0f} s\n")
    sys.stdout.write("".join([f"{line}\n" for line in lines]))
    if failure:
        sys.stdout.write(f"\n{failure}\n")
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
