"""Time to sign one token, as a ratio to a re-statement of Agora's Python in the same run.

    python tests/bench/signing.py

The baseline does what Agora's Python libraries do, step by step, in words of our own: the registry
has no Python package that builds 007 or whiteboard tokens. Both sides draw their own time, salt and
nonce, as they do in service.
"""

import base64
import hmac
import json
import os
import statistics
import subprocess
import sys
import time
import timeit
import uuid
from collections.abc import Callable
from urllib.parse import urlencode

from restated import (  # type: ignore[import-not-found]  # beside this script
    rtc_token,
)

from token_authority_server.formats.access_token_007 import build_with_second_key
from token_authority_server.formats.netless import build_netless_token, nonce_text
from token_authority_server.formats.packing import uid_text
from token_authority_server.formats.service_packing import rtc
from token_authority_server.keyring import AppCertificate, KeyState, Secret

APP_ID = "970CA35de60c44645bbae8a215061b33"
CERTIFICATE = "5CFd2fd1755d40ecb72977518be15d3b"
CHANNEL = "7d72365eb983485397e3e3f9d460bdda"
UID = 2882341273
SECONDS = 3600
ACCESS_KEY, SECRET_KEY = "RMmLoj8sBDaV1zGY", "u3qfQ0eGgXJ8bBzxnRRyk9wWk8Xo2vJt"
KEY = AppCertificate("cert-1", KeyState.ACTIVE, APP_ID, Secret(CERTIFICATE))
ROOM = "4a50cb3b6a0c4b5e9a1d1c1f0e6d7c8b"


def agora_rtc() -> str:
    """RTC 007, publisher, as Agora's Python does it."""
    token: str = rtc_token(APP_ID, CERTIFICATE, CHANNEL, UID, SECONDS)
    return token


def our_rtc() -> str:
    """The same, ours."""
    issued_at = time.time_ns() // 1_000_000_000
    return build_with_second_key(
        app_id=APP_ID,
        second_key=KEY.second_key(issued_at),
        issued_at=issued_at,
        expire_seconds=SECONDS,
        salt=int.from_bytes(os.urandom(4), "little"),
        services=[rtc(CHANNEL, uid_text(UID), dict.fromkeys((1, 2, 3, 4), SECONDS))],
    )


def agora_room() -> str:
    """A room token, as Netless's Python does it."""
    fields = {"ak": ACCESS_KEY, "nonce": str(uuid.uuid1())}
    fields.update({"role": "1", "uuid": ROOM})
    fields["expireAt"] = str(round(time.time() * 1000) + SECONDS * 1000)
    signed = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    mac = hmac.new(bytes(SECRET_KEY, encoding="utf-8"), digestmod="SHA256")
    mac.update(bytes(signed, encoding="utf-8"))
    fields["sig"] = mac.hexdigest()
    query = bytes(urlencode(fields), encoding="utf-8")
    return "NETLESSROOM_" + base64.urlsafe_b64encode(query).decode("utf-8").rstrip("=")


def our_room() -> str:
    """The same, ours."""
    return build_netless_token(
        "room",
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        content={"role": "1", "uuid": ROOM},
        lifespan_ms=SECONDS * 1000,
        now_ms=time.time_ns() // 1_000_000,
        nonce=nonce_text(os.urandom(16)),
    )


SIGNERS = {
    "agora_rtc": agora_rtc,
    "our_rtc": our_rtc,
    "agora_room": agora_room,
    "our_room": our_room,
}
COUNT, ROUNDS = 10_000, 9


def microseconds(name: str) -> float:
    """Times one signer in this process."""
    return timeit.timeit(SIGNERS[name], number=COUNT) / COUNT * 1e6


def alone(name: str) -> float:
    """Times one signer in a process of its own, with nothing else on the heap.

    zlib takes a quarter of a megabyte for a token and gives it back; whether the allocator hands
    the same pages out again, or fetches fresh ones from the system, depends on what else lives in
    the process, and changes the price of a 007 token threefold.
    """
    command = [sys.executable, __file__, name]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def compare(title: str, kind: str, limit: float, measure: Callable[[str], float]) -> None:
    """Times both sides in turn; prints medians and the median of the ratios."""
    pairs = [(measure(f"our_{kind}"), measure(f"agora_{kind}")) for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(mine / baseline for mine, baseline in pairs)
    print(f"{title:32} ours {ours:.1f} µs, Agora's {theirs:.1f} µs, ratio {ratio:.2f} (≤ {limit})")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print(microseconds(sys.argv[1]))
    else:
        for place, measure in (("each alone", alone), ("in one process", microseconds)):
            compare(f"RTC 007, {place}", "rtc", 0.5, measure)
            compare(f"room, {place}", "room", 0.3, measure)
