import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from examples import front_door
from support.decoding import decode
from support.ports import free_port
from support.waiting import until
from token_authority_client import RateLimited, Unavailable
from token_authority_testing.fake import FakeTokenAuthority

KEY: Final = b"k" * 64
ROOT: Final = Path(__file__).parents[2]
ALLOWED: Final = {(7, "lesson"): {"publisher", "subscriber"}, (7, ""): {"rtm", "chat"}}


def secret(seconds: int = 60, user: int = 7, key: bytes = KEY) -> str:
    return front_door.kit_secret(key, user, int(time.time()) + seconds)


@pytest.fixture
async def browser(
    token_authority: FakeTokenAuthority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncGenerator[httpx.AsyncClient]:
    """Talks to the program as user 7, who has signed in."""

    async def signed_in_uid(_: Any) -> int:
        return 7

    (tmp_path / "key").write_bytes(KEY + b"\n")
    monkeypatch.setenv("FRONT_DOOR_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("TOKEN_AUTHORITY_TARGET", token_authority.target)
    monkeypatch.setattr(front_door, "ALLOWED", ALLOWED)
    monkeypatch.setattr(front_door, "signed_in_uid", signed_in_uid)
    app = front_door.app
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        yield client


def users(answer: dict[str, str]) -> list[str]:
    found = []
    for token in answer.values():
        service = decode(token).fields["services"][0]
        found.append(service.get("uid", service.get("user_id")))
    return found


@pytest.mark.parametrize("slash", ["", "/", "/?expiry=600"])
@pytest.mark.parametrize("prefix", ["", "/k/SECRET"])
@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/rtc/lesson/publisher/uid/0", ["rtcToken"]),
        ("/rtc/lesson/audience/userAccount/eve", ["rtcToken"]),
        ("/rtm/eve", ["rtmToken"]),
        ("/rte/lesson/publisher/uid/9", ["rtcToken", "rtmToken"]),
        ("/rte/lesson/publisher/uid/0/eve", ["rtcToken", "rtmToken"]),
        ("/chat/account/eve", ["chatToken"]),
    ],
)
async def test_each_route_answers_for_the_users_own_identity(
    browser: httpx.AsyncClient, path: str, names: list[str], prefix: str, slash: str
) -> None:
    answer = await browser.get(prefix.replace("SECRET", secret()) + path + slash)
    assert (answer.status_code, list(answer.json())) == (200, names)
    assert users(answer.json()) == ["7"] * len(names)
    assert "no-store" in answer.headers["Cache-Control"]
    assert (answer.headers["Pragma"], answer.headers["Expires"]) == ("no-cache", "-1")
    lifetimes = [decode(token).fields["expire"] for token in answer.json().values()]
    assert lifetimes == [600 if "expiry" in slash else 3600] * len(names)


@pytest.mark.parametrize("role", ["publisher", "audience", "", "admin"])
async def test_every_role_but_publisher_is_a_subscriber(
    browser: httpx.AsyncClient, role: str
) -> None:
    body = {"tokenType": "rtc", "channel": "lesson", "role": role, "uid": "0"}
    answer = await browser.post("/getToken", json=body)
    service = decode(answer.json()["token"]).fields["services"][0]
    assert len(service["privileges"]) == (4 if role == "publisher" else 1)


@pytest.mark.parametrize("kind", ["rtc", "rtm", "chat"])
async def test_a_post_answers_with_a_token(browser: httpx.AsyncClient, kind: str) -> None:
    body = f'{{"tokenType": "{kind}", "channel": "lesson", "uid": "eve", "expire": 60}}'
    answer = await browser.post(f"/k/{secret()}/getToken/", content=body)
    assert list(answer.json()) == ["token"]
    assert users(answer.json()) == ["7"]
    assert decode(answer.json()["token"]).fields["expire"] == 60


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/rtc/lesson/publisher/nonsense/0/", 400),
        ("/rtc/lesson/publisher/uid/test/", 400),
        ("/rtc/lesson/publisher/uid/0/?expiry=failing", 400),
        ("/rtc/lesson/publisher/uid/0/?expiry=86401", 400),
        ("/chat/account/", 400),
        ("/chat/invalid/", 400),
        ("/chat/app/", 403),
        ("/rtc/another/publisher/uid/7/", 403),
        # Their text depends on the clock, and each process that runs tests has to find one name.
        pytest.param(f"/k/{secret(-1)}/rtm/7", 401, id="expired secret"),
        pytest.param(f"/k/{secret(key=b'x' * 64)}/rtm/7", 401, id="secret of another key"),
        pytest.param(f"/k/8.{secret().partition('.')[2]}/rtm/7", 401, id="secret of another user"),
        ("/k/é/rtm/7", 401),
    ],
)
async def test_a_refusal_has_a_message_and_a_status(
    browser: httpx.AsyncClient, path: str, status: int
) -> None:
    answer = await browser.get(path)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert set(answer.json()) == {"message", "status"}


@pytest.mark.parametrize(
    "body", ["{", '{"tokenType": "rtm", "uid": 7}', '{"tokenType": "rtc", "uid": "7"}', "{}"]
)
async def test_a_refused_post_is_plain_text(browser: httpx.AsyncClient, body: str) -> None:
    answer = await browser.post("/getToken", content=body)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert (await browser.post("/getToken", json={"tokenType": "chat"})).status_code == 403


async def test_the_sdks_renewal_callback_gets_a_new_token(browser: httpx.AsyncClient) -> None:
    class Sdk:
        def __init__(self, url: str) -> None:
            self.url, self.tokens = url, list[str]()

        async def on_token_privilege_will_expire(self) -> None:
            answer = await browser.get(f"{self.url}/rtc/lesson/publisher/uid/0")
            self.tokens.append(answer.json()["rtcToken"])  # renewToken

    sdk = Sdk(f"/k/{secret()}")
    await sdk.on_token_privilege_will_expire()
    await sdk.on_token_privilege_will_expire()
    assert len(set(sdk.tokens)) == 2
    assert users(dict(enumerate(sdk.tokens))) == ["7", "7"]  # type: ignore[arg-type]  # keys


async def test_without_a_key_no_secret_is_accepted(
    browser: httpx.AsyncClient, tmp_path: Path
) -> None:
    front_door.app.state.key = b""
    assert (await browser.get(f"/k/{secret(key=b'')}/rtm/7")).status_code == 401
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(ValueError, match="at least 32 bytes"):
        await front_door.lifespan(front_door.app).__aenter__()


@pytest.mark.parametrize("error", [RateLimited("full"), Unavailable("down")])
async def test_log_lines_of_failures_contain_no_path(
    browser: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, error: Any
) -> None:
    class Failing:
        async def issue_many(self, _: Any) -> None:
            raise error

    front_door.app.state.client = Failing()
    answer = await browser.get(f"/k/{secret()}/rtm/7")
    assert answer.status_code == (429 if isinstance(error, RateLimited) else 503)
    (line,) = [one for one in caplog.records if one.name == "examples.front_door"]
    assert line.getMessage().startswith(f"no token: {error}")
    assert "rtm" not in line.getMessage()


async def test_the_documented_command_denies_by_default_and_logs_no_secret(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY)
    (command,) = re.findall(r"^    uvicorn (.*)$", front_door.__doc__ or "", re.MULTILINE)
    port, mine = free_port(), secret()
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "uvicorn", *command.split(), "--port", str(port)),
            cwd=ROOT / "client",
            env=os.environ | {"FRONT_DOOR_KEY_FILE": str(tmp_path / "key")},
            stdout=log,
            stderr=log,
        )
    try:
        await until(lambda: "running on" in (tmp_path / "log").read_text(), 30)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.get("/ping")).json() == {"message": "pong"}
            assert (await client.get("/rtm/7")).status_code == 401
            assert (await client.get(f"/k/{mine}/rtm/7")).status_code == 403
    finally:
        process.terminate()
        await process.wait()
    assert "/rtm" not in (tmp_path / "log").read_text()
    assert mine not in (tmp_path / "log").read_text()
