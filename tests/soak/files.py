"""The files that all instances read: configuration, keys, certificates."""

import hashlib
import json
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import trustme

from support.certificates import server_identity
from support.keys import APP_ID
from support.replacing import replace

_SERVER: Final = """
[server]
listen = ["127.0.0.1:0"]
reload_interval = "200ms"
drain_notice = "500ms"
drain = "5s"
[server.tls]
certificate = "tls.pem"
private_key = "tls.key"
[log]
format = "json"
[limits]
redis = { file = "redis" }
[audit]
required = true
"""
_LIMIT: Final = "100000/second"


class Files:
    """The files that all instances read, and the client's API key.

    Args:
        folder: Where they are.
        redis_url: The URL of the Redis.
    """

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.folder = folder
        self.path = folder / "token-authority.toml"
        self.api_key_file = folder / "api-key"
        self.ca = trustme.CA()
        self.ca_pem = self.ca.cert_pem.bytes()
        self.limit = _LIMIT
        self._retired: list[tuple[int, str]] = []
        """The number of each App Certificate that no longer signs, and since when."""
        self.certificates = 0
        self._identities: list[str] = []
        (folder / "redis").write_text(redis_url)
        self.write_tls()
        self.add_certificate()
        replace(self.api_key_file, self.new_api_key())
        self.write()

    @property
    def active(self) -> str:
        """The id of the App Certificate that signs."""
        return f"cert-{self.certificates}"

    def add_certificate(self) -> None:
        """Adds an App Certificate, which signs from the next reload on."""
        if self.certificates:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            self._retired = [*self._retired, (self.certificates, now)][-5:]
        self.certificates += 1
        replace(self.folder / self.active, secrets.token_hex(16))

    def new_api_key(self) -> str:
        """Adds an API key to those that the caller has; returns it."""
        key = f"tak_{secrets.token_hex(22)[:43]}"
        self._identities.append(f"api-key:sha256:{hashlib.sha256(key.encode()).hexdigest()}")
        return key

    def remove_old_api_key(self) -> None:
        """Removes all but the newest."""
        del self._identities[:-1]

    def write_tls(self) -> None:
        """Writes a new certificate of the server, and its key."""
        shown = server_identity(self.ca)
        replace(self.folder / "tls.key", shown.private_key.reveal())
        replace(self.folder / "tls.pem", shown.certificate)

    def write(self, more: str = "") -> None:
        """Writes the configuration.

        Args:
            more: Text to append.
        """
        keys = [(self.certificates, 'state = "active"')]
        keys += [
            (number, f'state = "verify_only"\nretired_at = {when}')
            for number, when in self._retired
        ]
        certificates = "".join(
            "[[projects.classroom.agora.certificates]]\n"
            f'id = "cert-{number}"\nsecret = {{ file = "cert-{number}" }}\n{state}\n'
            for number, state in keys
        )
        caller = f"""
[[callers]]
name = "lessons"
identities = {json.dumps(self._identities)}
rate_limit = "{self.limit}"
[[callers.grants]]
name = "lessons"
project = "classroom"
tokens = ["rtc"]
roles = ["publisher"]
channels = ["lesson-*"]
users = ["uid:*"]
"""
        project = f'[projects.classroom.agora]\napp_id = "{APP_ID}"\n'
        replace(self.path, _SERVER + project + certificates + caller + more)
