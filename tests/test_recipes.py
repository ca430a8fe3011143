"""The recipes of client/RECIPES.md run with the grants beside them, against stand-ins for Agora."""

import base64
import json
import re
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from support.decoding import decode
from support.documents import blocks, run, shape
from support.keys import APP_ID
from support.serving import CONFIG, serving, write_config

ROOT: Final = Path(__file__).parents[1]
ADDRESS: Final = "127.0.0.1:50051"
TEXT: Final = (ROOT / "client/RECIPES.md").read_text()
HELPER, *RECIPES = re.split(r"^## ", TEXT.split("## The REST helper\n")[1], flags=re.MULTILINE)
TITLES: Final = [recipe.partition("\n")[0] for recipe in RECIPES]
PROJECT: Final = CONFIG.partition("[[callers]]")[0]
CREDENTIALS: Final = {"AGORA_CUSTOMER_ID": "id", "AGORA_CUSTOMER_SECRET": "secret"}
BASIC: Final = f"Basic {base64.b64encode(b'id:secret').decode()}"
ROOM: Final = "4a50cb3b6a0c4b5e"
ANSWERS: Final[dict[str, Any]] = {
    f"/api/conversational-ai-agent/v2/projects/{APP_ID}/join": {"status": "RUNNING"},
    f"/v1/apps/{APP_ID}/cloud_recording/acquire": {"resourceId": "resource"},
    f"/v1/apps/{APP_ID}/cloud_recording/resourceid/resource/mode/mix/start": {"sid": "sid"},
    f"/eu/v1/projects/{APP_ID}/rtmp-converters": {"converter": {"state": "connecting"}},
    "/v5/rooms": {"uuid": ROOM},
}
"""What Agora's REST API answers, by path."""


@dataclass
class Agora:
    """A stand-in for Agora's REST API on this machine, and what it was sent."""

    url: str
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def rest_api() -> Generator[Agora]:
    """Serves ANSWERS; any other path is answered with 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            agora.bodies.append(json.loads(self.rfile.read(length)))
            agora.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(200 if self.path in ANSWERS else 404)
            self.end_headers()
            self.wfile.write(json.dumps(ANSWERS.get(self.path)).encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's name
            """Writes nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        agora = Agora(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield agora
        finally:
            server.shutdown()
            thread.join(10)


async def cook(title: str, folder: Path) -> tuple[str, Agora]:
    """Runs a recipe with its own grants; returns what it printed, and what it sent to Agora."""
    recipe = RECIPES[TITLES.index(title)]
    (code,), (caller,) = blocks("python", recipe), blocks("toml", recipe)
    (folder / "agora_rest.py").write_text(blocks("python", HELPER)[0])
    caller = re.sub(r"^identities = .*$", 'identities = ["local"]', caller, flags=re.MULTILINE)
    config = write_config(folder, PROJECT + caller)
    with rest_api() as agora:
        local = re.sub(r"https://[\w.-]+", agora.url, code)
        assert set(re.findall(r"https?://([\w.-]+)", local)) <= {"127.0.0.1"}
        async with serving("--config", str(config)) as server:
            printed = await run(
                sys.executable,
                "-c",
                local.replace(ADDRESS, server.address),
                PYTHONPATH=str(folder),
                RECORDING_STORAGE='{"bucket": "lessons"}',
                **CREDENTIALS,
            )
    return printed, agora


def rtc(token: str) -> tuple[str, str, set[int]]:
    """Returns channel, user and privileges of a token's first service."""
    service = decode(token).fields["services"][0]
    return service["channel_name"], service["uid"], set(service["privileges"])


@pytest.mark.parametrize("title", TITLES)
async def test_a_recipe_prints_what_it_shows_with_the_grant_beside_it(
    title: str, tmp_path: Path
) -> None:
    printed, _ = await cook(title, tmp_path)
    (shown,) = blocks("text", RECIPES[TITLES.index(title)])
    assert shape(printed) == shown


def test_every_python_block_is_a_recipe_or_the_helper() -> None:
    assert "".join(blocks("python", *RECIPES)).count(ADDRESS) == len(RECIPES)
    assert len(blocks("python", TEXT)) == len(RECIPES) + 1


def test_each_grant_shows_a_request_that_it_refuses() -> None:
    """The server reads the tests of its configuration at start, and does not start if one fails."""
    assert all("[[tests]]" in blocks("toml", recipe)[0] for recipe in RECIPES)
    assert all('expect = "allow"' not in recipe for recipe in RECIPES)


async def test_an_agent_is_started_with_its_own_token(tmp_path: Path) -> None:
    _, agora = await cook("Conversational AI agents", tmp_path)
    (body,), (headers,) = agora.bodies, agora.headers
    properties = body["properties"]
    assert headers["authorization"] == f"agora token={properties['token']}"
    rights = properties["channel"], properties["agent_rtc_uid"], {1, 2, 3, 4}
    assert rtc(properties["token"]) == rights
    login = decode(properties["token"]).fields["services"][1]
    assert login["user_id"] == properties["agent_rtc_uid"]


async def test_a_recorder_joins_with_a_token_for_its_channel_and_uid(tmp_path: Path) -> None:
    _, agora = await cook("Cloud Recording", tmp_path)
    acquired, started = agora.bodies
    assert [headers["authorization"] for headers in agora.headers] == [BASIC, BASIC]
    assert (acquired["cname"], acquired["uid"]) == (started["cname"], started["uid"])
    rights = started["cname"], started["uid"], {1}
    assert rtc(started["clientRequest"]["token"]) == rights
    assert started["clientRequest"]["storageConfig"] == {"bucket": "lessons"}


async def test_a_converter_is_created_without_a_token(tmp_path: Path) -> None:
    _, agora = await cook("Media Push", tmp_path)
    assert [headers["authorization"] for headers in agora.headers] == [BASIC]
    assert "007" not in json.dumps(agora.bodies)


async def test_each_user_of_app_builder_has_tokens_for_its_own_uid(tmp_path: Path) -> None:
    printed, _ = await cook("App Builder", tmp_path)
    joined = json.loads(printed)
    for user in (joined["mainUser"], joined["screenShare"]):
        assert rtc(user["rtc"]) == (joined["channel"], str(user["uid"]), {1, 2, 3, 4})
        assert decode(user["rtm"]).fields["services"][0]["user_id"] == str(user["uid"])


async def test_a_signaling_user_gets_permissions_and_a_stream_channel(tmp_path: Path) -> None:
    printed, _ = await cook("Signaling with permissions (RTM2)", tmp_path)
    tokens = json.loads(printed)
    (service,) = decode(tokens["login"]).fields["services"]
    assert (service["type"], service["user_id"]) == (8, "alice")
    read, write = 0, 1
    messages, streams = 0, 1
    assert service["permissions"] == {
        messages: {read: ["lesson-1", "news"], write: ["lesson-1"]},
        streams: {write: ["lesson-1"]},
    }
    assert rtc(tokens["join"]) == ("lesson-1", "alice", {1, 2, 3, 4})


async def test_a_whiteboard_call_is_made_with_a_token_of_seconds(tmp_path: Path) -> None:
    printed, agora = await cook("Whiteboard REST calls", tmp_path)
    (headers,) = agora.headers
    assert (headers["region"], "authorization" in headers) == ("eu", False)
    sdk, room = (decode(token).fields for token in (headers["token"], json.loads(printed)["token"]))
    assert (sdk["role"], room["role"], room["uuid"]) == ("1", "2", ROOM)
    assert headers["token"].startswith("NETLESSSDK_")
    assert 0 < int(sdk["expireAt"]) - int(time.time() * 1000) <= 30_000
