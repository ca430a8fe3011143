"""`inspect --web` as HTTP; `inspect_page_in_chromium.py` shows it in a browser."""

import asyncio
import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from inspection.tokens import rtc, t007
from support.commands import run
from support.granting import API_KEY
from support.inspecting import Page, inspect_page, raw_request
from support.ports import free_port
from support.serving import running
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority_cli import loopback_server
from token_authority_cli.inspect_page import MAX_BODY_BYTES, Explain, PageServer
from token_authority_cli.inspection_options import PRODUCTS, Form
from token_authority_cli.inspection_report import Report
from token_authority_cli.loopback_server import MAX_CONNECTIONS, REQUEST_SECONDS
from token_authority_cli.option_names import options_of

AT = "2023-11-14T22:20:00Z"


TOKEN = t007()
FORM = json.dumps({"token": TOKEN}).encode()


def words_of(report: dict[str, Any]) -> list[str]:
    """Returns the texts of a report as the terminal has them, each on a line."""
    verdict = report["verdict"]
    texts = [f"{verdict['label']}: {verdict['problem']}", f"→ {verdict['advice']}"]
    texts += [f"{name}: {text}" for name, text in report["facts"]]
    life = report["life"]
    texts += [life["used"], f"issued {life['issued']}, expires {life['expires']}"]
    for row in report["rows"]:
        cells = (row["name"], row["token"], row["client"], row["mark"])
        texts.append(" ".join(" ".join(cells).split()))
    for finding in report["findings"]:
        texts.append(f"{finding['severity']} {finding['reason']}: {finding['problem']}")
        texts += [f"→ {finding['advice']}"] if finding["advice"] else []
    return [" ".join(text.split()) for text in [*texts, *report["fields"]]]


async def test_the_page_has_every_text_of_the_terminal_and_no_other() -> None:
    async with running() as server:
        request = IssueRtcTokenRequest(
            project="classroom", channel_name="lesson-1", uid=7, role=RTC_ROLE_PUBLISHER
        )
        token = (await server.stub.IssueRtcToken(request)).issued_token.token
        target = ("--target", server.address, "--timeout", "30s")
        async with inspect_page(*target) as page:
            usable = await page.inspect(token=token, channel="lesson-1", uid="7", at=AT)
            assert usable["report"]["verdict"] == {
                "label": "USABLE",
                "level": "ok",
                "problem": "nothing wrong was found.",
                "advice": "",
            }
            used = {"channel": "Lesson-1", "user_account": "x", "error": "110", "at": AT}
            answer = await page.inspect(token=token, **used)
            assert token not in page.output
        options = [f"--{name.replace('_', '-')}={text}" for name, text in used.items()]
        ran = await run("inspect", token, "--verbose", *target, *options, COLUMNS="")
    lines = [" ".join(line.split()) for line in ran.out.splitlines()]
    shown = [line for line in lines if line and "●" not in line and line != "token client"]
    assert sorted(words_of(answer["report"])) == sorted(shown)
    assert ["signature", "valid by cert-2 of classroom (active)"] in answer["report"]["facts"]


async def test_a_token_of_one_dash_does_not_read_standard_input(tmp_path: Path) -> None:
    piped = tmp_path / "piped"
    piped.write_text(TOKEN)
    with piped.open("rb") as stdin:
        async with inspect_page("--offline", stdin=stdin.fileno()) as page:
            report = (await page.inspect(token="-"))["report"]
    assert ["token", "no token"] in report["facts"]


async def test_errors_are_the_texts_of_the_terminal() -> None:
    cases = [
        ({"uid": "7.5"}, "uid: '7.5': write an integer"),
        ({"at": "yesterday"}, "at: 'yesterday': write a time with its zone"),
        ({"uid": "7", "user-account": "7"}, "user-account: not allowed with argument --uid"),
        ({"product": "x"}, "product: invalid choice: 'x'"),
        ({"channel": "x" * 1025}, "channel_name must be at most 1024 bytes"),
        ({"token": "x" * 65_537}, "token must be at most 65536 bytes"),
        ({"token": "\ud800"}, "token"),
        ({"help": "x"}, "unrecognized arguments: --help=x"),
    ]
    async with inspect_page("--offline") as page:
        for form, text in cases:
            body = json.dumps({"token": TOKEN, **form}).encode()
            answered = await page.request("POST", body=body)
            assert answered.status == 200
            assert text in answered.json["error"], form
    target = ("--target", f"127.0.0.1:{free_port()}", "--timeout", "10s")
    async with inspect_page(*target) as page:
        error = (await page.inspect(token=TOKEN))["error"]
    assert "start the token authority there" in error
    assert (await run("inspect", TOKEN, *target)).err == f"token-authority: {error}\n"


async def test_a_refused_credential_is_reported_and_not_shown(tmp_path: Path) -> None:
    wrong = tmp_path / "key"
    wrong.write_text(API_KEY[:-1] + "x")
    async with running() as server:
        arguments = (
            *("--target", server.address, "--timeout", "30s"),
            *("--token-file", str(wrong)),
        )
        async with inspect_page(*arguments) as page:
            error = (await page.inspect(token=TOKEN))["error"]
            assert "invalid credential" in error
            assert API_KEY[:20] not in error + page.output
        ran = await run("inspect", TOKEN, *arguments)
    assert ran.err == f"token-authority: {error}\n"


async def test_without_the_path_and_the_host_everything_is_the_same_404() -> None:
    async with inspect_page("--offline") as page:
        host = page.origin.removeprefix("http://")
        answers = [
            await page.request(path="/"),
            await page.request(path=page.path[:-1]),
            await page.request(path=page.path + "/"),
            await page.request(path=page.path.upper()),
            await page.request(path=f"{page.path}?x=1"),
            await page.request(path="/\xfc"),
            await page.request(path="/favicon.ico"),
            await page.request("POST", path="/", body=FORM),
            await page.request("PUT", path="/"),
            await page.request("OPTIONS"),
            await page.request("HEAD"),
            # A name of the attacker that now resolves to 127.0.0.1.
            await page.request(Host="attacker.example"),
            await page.request(Host=f"attacker.example:{page.port}"),
            await page.request(Host=f"localhost:{page.port}"),
            await page.request(Host=None),
            await page.request("POST", body=FORM, Host="attacker.example"),
        ]
        answers_raw = {answered.raw for answered in answers}
        for request in (
            b"\r\n\r\n",
            b"nonsense\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 200 + b"\r\n",
            f"GET {page.path} HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n".encode(),
            f"GET {page.origin}{page.path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(),
        ):
            if raw := await raw_request(page.port, request):
                answers_raw.add(raw)
        assert len(answers_raw) == 1
        assert answers[0].status == 404
        assert answers[0].body == b"not found\n"
        assert not {"Server", "Date"} & answers[0].headers.keys()
        assert (await page.request()).status == 200
        # Neither requests nor paths are logged.
        assert len(page.output.splitlines()) == 3


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (403, {"Origin": None}),
        (403, {"Origin": "null"}),
        (403, {"Origin": "http://attacker.example"}),
        (403, {"Origin": "http://127.0.0.1"}),
        (403, {"Origin": "http://127.0.0.1:1"}),
        (403, {"Sec_Fetch_Site": "cross-site"}),
        (403, {"Sec_Fetch_Site": "same-site"}),
        (403, {"Sec_Fetch_Site": "none"}),
        # What a form of another site can send without a preflight.
        (415, {"Content_Type": "text/plain"}),
        (415, {"Content_Type": "application/x-www-form-urlencoded"}),
        (415, {"Content_Type": None}),
        (411, {"Content_Length": None}),
        (411, {"Content_Length": "-1"}),
        (411, {"Content_Length": None, "Transfer_Encoding": "chunked"}),
        (400, {"Content_Length": "7"}),
    ],
)
async def test_what_the_page_does_not_send_is_refused(status: int, changes: dict[str, Any]) -> None:
    async with inspect_page("--offline") as page:
        answered = await page.request("POST", body=FORM, **changes)
        assert answered.status == status
        assert answered.json.keys() == {"error"}
        # Old browsers send no Sec-Fetch-Site.
        assert (await page.request("POST", body=FORM, Sec_Fetch_Site=None)).status == 200


async def test_a_form_is_bounded_and_an_object_of_strings() -> None:
    async with inspect_page("--offline") as page:
        big = b'{"token": "' + b"x" * 16 * MAX_BODY_BYTES + b'"}'
        answered = await page.request("POST", body=big)
        assert answered.status == 413
        assert "paste less" in answered.json["error"]
        for body in (
            *(b"", b"x", b"[]", b"null", b'{"token": 1}', b'{"token": null}', b"\xff"),
            b"[" * 100_000,
        ):
            assert (await page.request("POST", body=body)).status == 400
        # The largest that means something arrives.
        full = json.dumps({"token": "\x00" * 65_536, "error": "\x00" * 65_536}).encode()
        assert "report" in (await page.request("POST", body=full)).json


async def test_texts_of_a_token_stay_texts() -> None:
    channel = "</script><script>alert(1)</script>\x1b\u202e"
    async with inspect_page("--offline") as page:
        body = json.dumps({"token": t007(rtc(channel)), "channel": channel, "at": AT}).encode()
        answered = await page.request("POST", body=body)
    assert answered.headers["Content-Type"] == "application/json"
    assert answered.headers["X-Content-Type-Options"] == "nosniff"
    (row,) = [row for row in answered.json["report"]["rows"] if row["name"] == "channel"]
    # As on a terminal: what reverses or hides text is escaped.
    assert row["token"] == row["client"] == r"</script><script>alert(1)</script>\x1b\u202e"
    with served(refuse, "<script>&") as page_server:
        assert b"&lt;script&gt;&amp;</p>" in page_server.page


class Tags(HTMLParser):
    """Collects elements, their attributes, and the content of style and script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.content: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in ("style", "script"):
            tag = self.tags[-1][0]
            self.content[tag] = self.content.get(tag, "") + data

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}", {}))


async def test_the_policy_allows_the_pages_own_style_and_script_only() -> None:
    async with inspect_page("--offline") as page:
        answered = await page.request()
    found = Tags(answered.body.decode())
    assert found.content.keys() == {"style", "script"}
    policy = dict(
        part.partition(" ")[::2] for part in answered.headers["Content-Security-Policy"].split("; ")
    )
    for tag, text in found.content.items():
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy.pop(f"{tag}-src") == f"'sha256-{digest}'"
    assert policy == {
        "default-src": "'none'",
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    attributes = {name: text for _, attrs in found.tags for name, text in attrs.items()}
    # Such attributes would be blocked.
    assert not [name for name in attributes if name == "style" or name.startswith("on")]
    assert not re.search(rb"https?://", answered.body)
    assert not re.search(
        rb"innerHTML|insertAdjacent|document\.write|[sS]torage|cookie", answered.body
    )
    assert answered.headers["Cache-Control"] == "no-store"
    assert answered.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answered.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answered.headers["Referrer-Policy"] == "same-origin"
    assert "Set-Cookie" not in answered.headers


async def test_the_form_has_every_option_that_describes_the_use() -> None:
    async with inspect_page("--offline") as page:
        text = (await page.request()).body.decode()
    found = Tags(text)
    names = {attrs["name"] for tag, attrs in found.tags if "name" in attrs and tag != "meta"}
    options = {option.removeprefix("--") for option in options_of(Form()).values()} | {"token"}
    assert names == options
    products = re.findall(r"<option>(\w+)", text)
    assert products == list(PRODUCTS)


def refuse(form: Mapping[str, str]) -> Report:
    raise RuntimeError(f"a defect that quotes {form['token']}")


@contextmanager
def served(explain: Explain, notice: str = "") -> Generator[PageServer]:
    """Serves a page in this process."""
    with PageServer(explain, notice) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


async def test_a_client_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback_server, "REQUEST_SECONDS", 0.5)
    with served(refuse) as server:
        head = (
            f"POST {server.path} HTTP/1.1\r\nHost: {server.authority}\r\n"
            f"Origin: http://{server.authority}\r\nContent-Type: application/json\r\n"
            "Content-Length: 1000\r\n\r\n"
        )
        for begin in (b"", b"GET / HTTP/1.1\r\n", head.encode()):
            began = time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", server.server_port)
            writer.write(begin)
            ended = asyncio.ensure_future(reader.read())
            while not ended.done() and time.monotonic() - began < 10:
                writer.write(b"x")
                await asyncio.sleep(0.05)
            assert time.monotonic() - began < 5
            with suppress(ConnectionError):
                assert await ended == b""
            writer.close()


async def test_idle_connections_do_not_keep_the_page_out() -> None:
    async with inspect_page("--offline") as page:
        began = time.monotonic()
        idle = [
            await asyncio.open_connection("127.0.0.1", page.port)
            for _ in range(MAX_CONNECTIONS + 8)
        ]
        assert "report" in await page.inspect(token=TOKEN)
        # The oldest was closed.
        assert await idle[0][0].read() == b""
        # And not for being slow: no connection has had the time that it may take.
        assert time.monotonic() - began < REQUEST_SECONDS
        for _, writer in idle:
            writer.close()


async def test_a_defect_is_reported_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    with served(refuse) as server:
        page = Page(server.url, None, Path())  # type: ignore[arg-type]  # it has no process
        with pytest.raises(IndexError):
            # Closed without an answer.
            await page.request("POST", body=FORM)
    printed = "".join(capsys.readouterr())
    assert re.search(r"internal error RuntimeError at \S+test_inspect_page\.py:[0-9]+\n", printed)
    assert TOKEN not in printed
    assert server.path not in printed


async def test_each_start_has_another_path_on_loopback() -> None:
    port = free_port()
    async with inspect_page("--offline", "--port", str(port)) as one:
        assert one.port == port
        assert len(one.path) > 40
        ran = await run("inspect", "--web", "--offline", "--port", str(port))
        assert ran.code == 2
        assert ran.err.startswith(f"token-authority: cannot listen on 127.0.0.1:{port}: ")
        listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
        places = re.findall(rf" ([0-9A-F]+):{port:04X} [0-9A-F:]+ 0A ", listening)
        assert places == ["0100007F"]
    async with inspect_page("--offline", "--port", str(port)) as two:
        assert two.path != one.path


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "TOKEN is missing: give a token, or - or --web"),
        (("x", "--port", "1024"), "--port requires --web"),
        (("--web", "x"), "--web cannot be combined with TOKEN"),
        (("--web", "--uid", "0"), "--web cannot be combined with --uid"),
        (("--web", "--user-account", "x"), "--web cannot be combined with --user-account"),
        (("--web", "--json"), "--web cannot be combined with --json"),
        (("--web", "--verbose"), "--web cannot be combined with --verbose"),
        (("--web", "--port", "0"), "'0': write a port from 1 to 65535"),
        (("--web", "--cert", "/nowhere"), "cert"),
    ],
)
async def test_contradictory_options_are_refused(arguments: tuple[str, ...], text: str) -> None:
    ran = await run("inspect", *arguments)
    assert ran.code == 2
    assert text in ran.err


def test_the_clock_of_the_form_is_that_of_the_options() -> None:
    assert Form().read({"at": AT}).at_time == datetime(2023, 11, 14, 22, 20, tzinfo=UTC)
