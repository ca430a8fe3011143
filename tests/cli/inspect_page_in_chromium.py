"""`inspect --web` in Debian's Chromium, by keyboard alone: `make inspect-page`.

Screenshots are written to dist/inspect-page.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from inspection.tokens import t006
from support.chromium import Tab, chromium
from support.commands import run
from support.inspecting import Page, inspect_page
from support.naming import ROOT
from support.serving import running
from support.tcp import tcp_server
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest

FOLDER: Final = ROOT / "dist/inspect-page"
USED: Final = "2023-11-14T22:20:00Z"
LATER: Final = "2023-11-15T01:00:00Z"
EVIL: Final = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
# The order of the Tab key.
FIELDS: Final = (
    *("token", "channel", "uid", "user-account", "error", "app-id", "product", "room", "at"),
    *("Inspect", "Clear"),
)
COMPLAINTS: Final = (
    "Audits.issueAdded",  # violations of the policy, missing labels
    "Log.entryAdded",
    "Runtime.consoleAPICalled",
    "Runtime.exceptionThrown",
)
FOCUSED: Final = "document.activeElement.name || document.activeElement.textContent"
VERDICT: Final = '[...document.querySelectorAll("#verdict p")].map((p) => p.textContent)'
CONTRAST: Final = """
(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => numbers(colour).slice(0, 3)
    .map((c) => c / 255).map((c) => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (numbers(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const ratio = (one, two) => {
    const [low, high] = [light(one), light(two)].sort((a, b) => a - b);
    return (high + .05) / (low + .05);
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    if (!element.checkVisibility() || element.tagName === "OPTION") continue;
    const hasText = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    const isField = ["INPUT", "TEXTAREA", "SELECT"].includes(element.tagName);
    if (!hasText && !isField) continue;
    const name = `${element.tagName}.${element.className} ${element.textContent.slice(0, 20)}`;
    found.push([name, ratio(getComputedStyle(element).color, behind(element)), 4.5]);
    if (isField) {
      found.push([`${name} placeholder`,
        ratio(getComputedStyle(element, "::placeholder").color, behind(element)), 4.5]);
      found.push([`${name} border`,
        ratio(getComputedStyle(element).borderTopColor, behind(element.parentElement)), 3]);
    }
  }
  return found;
})()
"""
OVERFLOW: Final = """
[...document.querySelectorAll("body *")]
  .filter((e) => e.checkVisibility() && (e.getBoundingClientRect().right > innerWidth + .5
    || e.getBoundingClientRect().left < -.5))
  .map((e) => `${e.tagName}.${e.className} ${e.textContent.slice(0, 30)}`)
  .concat(document.documentElement.scrollWidth > innerWidth ? ["the page scrolls"] : [])
"""

pytestmark = pytest.mark.timeout(180)


@asynccontextmanager
async def opened() -> AsyncGenerator[tuple[Tab, Page, str, tuple[str, ...]]]:
    """Yields a tab with the page, an RTC token, and the options that select the server."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with running() as server:
        request = IssueRtcTokenRequest(
            project="classroom", channel_name="lesson-1", uid=7, role=RTC_ROLE_PUBLISHER
        )
        token = (await server.stub.IssueRtcToken(request)).issued_token.token
        target = ("--target", server.address, "--timeout", "30s")
        async with inspect_page(*target) as page, chromium() as tab:
            await tab.size(1024, 900)
            await tab.open(page.url)
            yield tab, page, token, target
            complaints = [(name, event) for name, event in tab.events if name in COMPLAINTS]
            assert complaints == []
            origin = urlsplit(page.url)[:2]
            for name, event in tab.events:
                if name == "Network.requestWillBeSent":
                    url = event["request"]["url"]
                    assert urlsplit(url)[:2] == origin or url in ("data:,", "about:blank"), url


async def fill(tab: Tab, **values: str) -> None:
    """Empties the form, goes from field to field with Tab and fills some in; then Ctrl+Enter."""
    await tab.value("document.querySelector('[type=reset]').click()")
    for name in FIELDS[:-2]:
        assert await tab.value(FOCUSED) == name
        await tab.insert(values.get(name.replace("-", "_"), ""))
        await tab.press("Tab")
    before = await tab.value("last")
    await tab.press("Tab", shift=True)
    await tab.press("Enter", control=True)
    await tab.until(f"last > {before} && !verdict.hasAttribute('aria-busy')")


async def terminal(token: str, *arguments: str) -> list[str]:
    """Returns the terminal's verdict and advice."""
    return (await run("inspect", token, *arguments, COLUMNS="")).out.splitlines()[:2]


async def test_two_cases_by_keyboard_have_the_terminals_verdict() -> None:
    async with opened() as (tab, _, token, target):
        await fill(tab, token=token, at=LATER, channel="lesson-1", uid="7")
        expired = await tab.value(VERDICT)
        assert expired[0].startswith("NOT USABLE: The token had expired")
        options = ("--at", LATER, "--channel", "lesson-1", "--uid", "7", *target)
        assert expired == await terminal(token, *options)
        await tab.screenshot(FOLDER / "expired.png")
        await fill(tab, token=token, at=USED, channel="lesson-2", error="110")
        wrong = await tab.value(VERDICT)
        assert wrong[0].startswith("NOT USABLE: The client joined")
        options = ("--at", USED, "--channel", "lesson-2", "--error", "110", *target)
        assert wrong == await terminal(token, *options)
        await tab.screenshot(FOLDER / "wrong-channel.png")
        # Screen readers announce the verdict.
        assert await tab.value("verdict.role || verdict.getAttribute('role')") == "status"


async def test_tab_goes_through_the_form_and_into_the_answer() -> None:
    async with opened() as (tab, _, token, _):
        for name in FIELDS:
            assert await tab.value(FOCUSED) == name
            outline = "getComputedStyle(document.activeElement).outlineStyle"
            assert await tab.value(outline) == "solid"
            await tab.press("Tab")
        await fill(tab, token=token, at=USED)
        while await tab.value("document.activeElement.tagName") != "SUMMARY":
            await tab.press("Tab")
        await tab.press("Enter")
        await tab.until("document.querySelector('details').open")
        assert "services[0].channel_name = lesson-1" in await tab.value("details.innerText")
        # Every field has a name for screen readers.
        tree = (await tab.call("Accessibility.getFullAXTree"))["nodes"]
        fields = [n for n in tree if n.get("role", {}).get("value") in ("textbox", "combobox")]
        assert len(fields) == 9
        assert all(node["name"]["value"] for node in fields)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1024, 360])
async def test_it_is_readable_at_any_width_by_day_and_night(scheme: str, width: int) -> None:
    async with opened() as (tab, _, token, _):
        await tab.size(width, 800)
        await tab.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
        cases: dict[str, dict[str, str]] = {
            "form": {},
            "usable": {"token": token, "at": USED, "channel": "lesson-1", "uid": "7"},
            "refused": {"token": token, "at": LATER, "channel": "Lesson-1", "uid": "8"},
            "before": {"token": token, "at": "2023-11-14T20:00:00Z", "channel": "x" * 200},
            "several": {"token": f"first: {token}, second: {t006()},", "at": USED},
            "error": {"token": token, "uid": "x" * 100},
            "evil": {"token": token, "at": USED, "channel": EVIL},
        }
        for name, values in cases.items():
            if values:
                await fill(tab, **values)
                await tab.value("for (const d of document.querySelectorAll('details')) d.open=true")
            assert await tab.value(OVERFLOW) == [], name
            if name == "several":
                assert "token 2 of 2" in await tab.value("details.innerText")
            low = [row for row in await tab.value(CONTRAST) if row[1] < row[2]]
            assert low == [], name
            await tab.screenshot(FOLDER / f"{name}-{width}-{scheme}.png")
        assert EVIL in await tab.value("document.querySelector('table').textContent")
        assert await tab.value("document.title") == "Why is my token refused?"
        assert await tab.value("document.images.length + document.scripts.length") == 1
        moving = "document.getAnimations().length"
        assert await tab.value(moving) == 0


async def test_nothing_is_stored() -> None:
    async with opened() as (tab, page, token, _):
        await fill(tab, token=token, at=USED)
        assert await tab.value("localStorage.length + sessionStorage.length") == 0
        assert (await tab.call("Network.getCookies"))["cookies"] == []
        assert await tab.value("indexedDB.databases().then((all) => all.length)") == 0
        assert await tab.value("caches.keys().then((all) => all.length)") == 0
        assert (
            await tab.value("navigator.serviceWorker.getRegistrations().then((all) => all.length)")
            == 0
        )
        assert token not in page.output
        # What was pasted is gone with the page.
        await tab.open(page.url)
        assert await tab.value("form.elements.token.value") == ""
        assert await tab.value("verdict.textContent") == ""


async def test_clear_forgets_and_an_ended_command_is_reported() -> None:
    async with opened() as (tab, page, token, _):
        await fill(tab, token=token, at=USED)
        await tab.value("form.reset()")
        assert await tab.value("verdict.textContent + details.textContent") == ""
        assert await tab.value("form.elements.token.value") == ""
        assert await tab.value(FOCUSED) == "token"
        await tab.insert(token)
        # Nothing answers at another path, as after a restart.
        await tab.value("history.replaceState(null, '', '/gone')")
        await tab.press("Enter", control=True)
        await tab.until("verdict.textContent.includes('the command behind this page has ended')")
        tab.events[:] = [e for e in tab.events if not is_404(e)]
        assert page.process.returncode is None


def is_404(event: tuple[str, Any]) -> bool:
    """Whether the browser reports the request without an answer."""
    return event[0] == "Log.entryAdded" and "404" in event[1]["entry"]["text"]


async def other_site(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serves an empty page, as a site that knows the address and wants to use it."""
    if not await reader.readline():
        # Browsers also connect in advance.
        return
    body = b"<!doctype html><title>other</title><link rel=icon href='data:,'>"
    head = f"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()


async def test_another_site_can_neither_frame_it_nor_use_it() -> None:
    async with (
        tcp_server(other_site) as site,
        inspect_page("--offline") as page,
        chromium() as tab,
    ):
        # Another port of the same host: the nearest that another origin can be.
        await tab.open(f"http://{site}/")
        await tab.value(
            f"""new Promise((done) => {{
              const frame = document.createElement("iframe");
              frame.onload = done;
              frame.src = "{page.url}";
              document.body.append(frame);
            }})"""
        )
        entries = [event["entry"] for name, event in tab.events if name == "Log.entryAdded"]
        assert any("frame-ancestors 'none'" in entry["text"] for entry in entries)
        # With a preflight, which gets the 404 of strangers, and without.
        for mode, kind, status in (
            ("cors", "application/json", 404),
            ("no-cors", "text/plain", 403),
        ):
            tab.events.clear()
            assert await tab.value(posted(page, mode, kind)) == "failed"
            assert statuses(tab) == [status]


def posted(page: Page, mode: str, kind: str) -> str:
    """Returns JavaScript that posts an empty form to the page."""
    return (
        f"""fetch("{page.url}", {{method: "POST", mode: "{mode}", body: "{{}}","""
        f""" headers: {{"Content-Type": "{kind}"}}}}).then((r) => r.type, () => "failed")"""
    )


def statuses(tab: Tab) -> list[int]:
    """Returns the HTTP statuses that the browser has received."""
    return [
        event["statusCode"]
        for name, event in tab.events
        if name == "Network.responseReceivedExtraInfo"
    ]
