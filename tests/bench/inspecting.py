"""What it costs to explain a token: CPU of the core by kind of input, and of a server's calls.

    python tests/bench/inspecting.py

The inputs that are meant to hurt stand beside an ordinary token, so that none may cost many times
as much. Then server CPU per InspectToken call, as a ratio to a bare echo in the same run.
"""

import statistics
import sys
import tempfile
import time
import zlib
from base64 import b64encode
from pathlib import Path
from typing import Final

import uvloop
from calls import (  # type: ignore[import-not-found]  # beside this script
    Server,
    start_echo,
    start_ours,
)

sys.path.insert(0, str(Path(__file__).parents[1]))

from inspection.tokens import KEYS, rtc, rtm, t006, t007, whiteboard
from support.keys import NOW_MS, certificate
from token_authority.v1.inspection_pb2 import Expected as ExpectedMessage
from token_authority.v1.inspection_pb2 import InspectTokenRequest
from token_authority_server.inspection import Expected, inspect_token

EXPECTED: Final = Expected(channel_name="lesson-1", uid=7, error_code=110)
MANY_KEYS: Final = [
    ("classroom", certificate(f"cert-{n}", f"{n:032x}")) for n in range(1, 100)
] + list(KEYS)
INPUTS: Final = {
    "007, RTC": (t007(rtc()), KEYS),
    "007, RTC, the last of 100 keys": (t007(rtc()), MANY_KEYS),
    "007, 30 services": (t007(*[rtm(f"user-{n}") for n in range(30)]), KEYS),
    "006, by its candidates": (t006(), KEYS),
    "netless": (whiteboard(), KEYS),
    "007 that inflates to 64 MiB": (
        "007" + b64encode(zlib.compress(bytes(64 << 20), 9)).decode()[:65_000],
        KEYS,
    ),
    "64 KiB of noise": ('x%41 "' * 13_000, KEYS),
}
ROUNDS, REPEATS = 9, 20


def core(text: str, keys: object) -> float:
    """Returns microseconds for one inspection."""
    best = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(REPEATS):
            inspect_token(text, EXPECTED, keys, NOW_MS)  # type: ignore[arg-type]
        best.append((time.perf_counter() - started) / REPEATS * 1e6)
    return statistics.median(best)


async def served(folder: Path) -> None:
    """Prints server CPU per call, as a ratio to an echo."""
    data = InspectTokenRequest(
        token=t007(rtc()), expected=ExpectedMessage(channel_name="lesson-1", uid=7, error_code=110)
    ).SerializeToString()
    started = start_ours("InspectToken", folder / "inspect.log")
    ours: Server = started.at("/token_authority.v1.InspectionService/InspectToken")
    echo = start_echo(len(await ours.call(data)))
    for server in (ours, echo):
        await server.load(data)
    rounds = [((await ours.load(data))[0], (await echo.load(data))[0]) for _ in range(ROUNDS)]
    await started.stop()
    await echo.stop()
    mine, bare = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(our / other for our, other in rounds)
    print(
        f"InspectToken: {mine:.0f} µs of server CPU a call, bare echo {bare:.0f} µs, "
        f"ratio {ratio:.2f}"
    )


async def main() -> None:
    """Prints both."""
    for name, (text, keys) in INPUTS.items():
        print(f"{name}: {core(text, keys):.0f} µs")
    with tempfile.TemporaryDirectory() as folder:
        await served(Path(folder))


if __name__ == "__main__":
    uvloop.run(main())
