"""Renders the template of server/SECRETS.md with consul-template, the engine of Vault Agent.

    python tests/deploy/vault_agent.py

A stand-in for Vault's HTTP API serves the secret. The rest is real: the template of the guide,
consul-template, and a server that takes the file while it answers calls. Needs Go; the first run
builds consul-template (tests/deploy/tools.sh). Stops at the first failure.
"""

import asyncio
import json
import sys
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from deploy import test_secrets_guide as guide  # noqa: E402  # the path has to be set first
from support.documents import blocks  # noqa: E402
from support.installing import run  # noqa: E402
from support.keys import CERTIFICATE, OLD_CERTIFICATE  # noqa: E402
from support.live import live  # noqa: E402
from support.replacing import replace  # noqa: E402

GROUP: Final = "token-authority"


@contextmanager
def vault(secrets: dict[str, str]) -> Generator[str]:
    """Serves version 2 of Vault's key-value API; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            mount: dict[str, Any] = {
                "data": {"path": "secret/", "type": "kv", "options": {"version": "2"}}
            }
            answers: dict[str, dict[str, Any]] = {
                "/v1/secret/data/agora": {"data": {"data": secrets, "metadata": {"version": 1}}},
                "/v1/sys/internal/ui/mounts/secret/data/agora": mount,
            }
            answer = answers.get(path)
            self.send_response(200 if answer else 404)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's name
            """Writes nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


async def main() -> None:
    """Rotates an App Certificate while calls are answered."""
    tools = Path(run(HERE / "tools.sh", "consul-template").strip())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "secrets").mkdir()
        replace(folder / "secrets" / guide.FIRST, CERTIFICATE)
        (template,) = blocks("hcl", guide.TEXT)
        template = template.replace("/etc/token-authority", name).replace(f'"{GROUP}"', '""')
        with vault({"certificate_2027": OLD_CERTIFICATE}) as url:
            (folder / "agent.hcl").write_text(
                f'vault {{\n  address = "{url}"\n  token = "root"\n  renew_token = false\n}}\n'
                + template
            )
            async with (
                live(folder, guide.configuration(guide.BEFORE)) as server,
                guide.calls(server.address) as signed,
            ):
                process = await asyncio.create_subprocess_exec(
                    *(tools / "consul-template", "-once", "-config", folder / "agent.hcl")
                )
                assert await asyncio.wait_for(process.wait(), 60) == 0
                target = folder / "secrets" / guide.SECOND
                assert target.read_text() == OLD_CERTIFICATE
                assert target.stat().st_mode & 0o777 == 0o440
                await guide.rotate(server)
    print(f"consul-template rendered the guide's template; {len(signed)} calls, 0 failed")


if __name__ == "__main__":
    asyncio.run(main())
