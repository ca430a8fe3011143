"""The token authority that the clients call, and checks of their results."""

import hashlib
import json
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trustme

from support.decoding import decode

SERVE: Final = (sys.executable, "-m", "token_authority_cli", "serve", "--config")
ROOM: Final = "4a50cb3b6a0c4b5e"
SHORT_ROOM: Final = "5b61dc4c7b1d5c6f"
"""A room whose grant shortens tokens to 5 minutes."""
CHANNEL: Final = "lesson-1"
REFUSED: Final = {
    "code": "INVALID_ARGUMENT",
    "reason": "INVALID_REQUEST",
    "field": "uid",
    "violation": "INT64_GTE_LTE",
}
TOKEN: Final = re.compile(r"007eJ|NETLESSROOM_")
_SECONDS_TO_START: Final = 30
_CONFIG: Final = """
[server]
listen = ["127.0.0.1:0"]
[server.tls]
certificate = "server.pem"
private_key = "server.key"

[log]
format = "json"

[projects.classroom.agora]
app_id = "{app_id}"
[[projects.classroom.agora.certificates]]
id = "certificate"
secret = {{ file = "certificate" }}
state = "active"

[[projects.classroom.whiteboard.access_keys]]
id = "access-key"
access_key = "{access_key}"
secret = {{ file = "secret-key" }}
state = "active"

[[callers]]
name = "polyglot"
identities = ["api-key:sha256:{digest}"]
[[callers.grants]]
name = "lesson"
project = "classroom"
tokens = ["rtc", "rtm", "chat.user", "whiteboard.room"]
roles = ["*"]
channels = ["*"]
users = ["*"]
rooms = ["{room}"]
[[callers.grants]]
name = "short"
project = "classroom"
tokens = ["whiteboard.room"]
roles = ["*"]
rooms = ["{short_room}"]
max_ttl = "5m"
above_max_ttl = "clamp"
"""


@dataclass(frozen=True)
class RunningAuthority:
    """A running server with throwaway keys."""

    target: str
    ca: Path
    wrong_ca: Path
    api_key: str = field(repr=False)
    log: list[str]
    app_id: str
    certificate: str = field(repr=False)
    access_key: str
    secret_key: str = field(repr=False)

    def environment(self, ca: Path) -> dict[str, str]:
        """Returns a client's environment; `ca` is the file with the CA that it trusts."""
        return {
            "TOKEN_AUTHORITY_TARGET": self.target,
            "TOKEN_AUTHORITY_CA": str(ca),
            "TOKEN_AUTHORITY_API_KEY": self.api_key,
        }

    def calls(self) -> int:
        """Returns how many calls reached the server. Its log is complete once it has stopped."""
        return sum('"method"' in line for line in self.log)

    def check_tokens(self, answer: Mapping[str, Any]) -> None:
        """Checks both tokens against the requests, and their signatures with the keys.

        Raises:
            AssertionError: A token differs from the request.
        """
        board = decode(answer["whiteboard_token"])
        fields = board.fields
        assert fields["prefix"] == "NETLESSROOM_", fields
        assert (fields["ak"], fields["uuid"]) == (self.access_key, ROOM), fields
        assert fields["role"] == "1", "netless writes 1 for writer"
        assert abs(int(fields["expireAt"]) / 1000 - time.time() - 3600) < 600, fields
        assert board.verifies(self.secret_key), "the whiteboard token's signature"
        rtc = decode(answer["rtc_token"])
        assert rtc.fields["app_id"] == self.app_id, rtc.fields
        assert rtc.fields["expire"] == 3600, rtc.fields
        assert rtc.fields["services"] == [
            {
                "type": 1,
                "privileges": dict.fromkeys((1, 2, 3, 4), 3600),
                "channel_name": CHANNEL,
                "uid": "7",
            }
        ], rtc.fields
        assert rtc.verifies(self.certificate), "the RTC token's signature"

    def check_parsed(self, answer: Mapping[str, Any]) -> None:
        """Checks the values that Agora's own library read in the RTC token.

        Raises:
            AssertionError: They differ from the request.
        """
        expected = {"channel_name": CHANNEL, "uid": "7", "app_id": self.app_id}
        assert answer["parsed"] == expected, answer["parsed"]


@contextmanager
def serving() -> Generator[RunningAuthority]:
    """Runs a server with TLS, one API key and throwaway keys; yields once it is ready.

    Raises:
        RuntimeError: It did not start.
    """
    app_id, certificate, secret_key = (secrets.token_hex(16) for _ in range(3))
    access_key, api_key = secrets.token_urlsafe(12), secrets.token_urlsafe(32)
    digest = hashlib.sha256(api_key.encode()).hexdigest()
    config = _CONFIG.format(
        app_id=app_id, access_key=access_key, digest=digest, room=ROOM, short_room=SHORT_ROOM
    )
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "certificate").write_text(certificate)
        (folder / "secret-key").write_text(secret_key)
        (folder / "token-authority.toml").write_text(config)
        _write_certificates(folder)
        log = folder / "server.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [*SERVE, str(folder / "token-authority.toml")], stdout=output, stderr=output
            )
        try:
            yield RunningAuthority(
                f"localhost:{_port(process, log)}",
                folder / "ca.pem",
                folder / "wrong-ca.pem",
                api_key,
                lines,
                app_id,
                certificate,
                access_key,
                secret_key,
            )
        finally:
            process.terminate()
            process.wait(_SECONDS_TO_START)
            lines += log.read_text().splitlines()


def _write_certificates(folder: Path) -> None:
    """Writes the server's certificate, its CA and an unrelated CA."""
    authority = trustme.CA()
    served = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "wrong-ca.pem")
    served.private_key_pem.write_to_path(folder / "server.key")
    for part in served.cert_chain_pems:
        part.write_to_path(folder / "server.pem", append=True)


def _port(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Waits until the server logs its port."""
    deadline = time.monotonic() + _SECONDS_TO_START
    while process.poll() is None and time.monotonic() < deadline:
        for line in log.read_text().splitlines():
            if '"event": "serving"' in line:
                address: str = json.loads(line)["listen"][0]
                return address.rpartition(":")[2]
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start: {log.read_text()}")
