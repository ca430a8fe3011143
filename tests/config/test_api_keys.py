"""API keys with a name and an end date."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from grpc import aio

from process.test_reload import configure, key_id, stub
from support.commands import run
from support.granting import API_KEY, API_KEY_IDENTITY
from support.live import BEARER, BY_KEY, PROJECT, SERVER, live
from support.serving import refused, write_config
from support.waiting import until
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority_server import config
from token_authority_server.config import ConfigError

VALID: Final = IssueRtcTokenRequest(channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER)
HASH: Final = API_KEY_IDENTITY.removeprefix("api-key:")
NOW: Final = datetime(2026, 5, 1, tzinfo=UTC)


def expiring(moment: str, name: str = 'name = "ci", ') -> str:
    """A caller with an API key that expires."""
    table = f'{{ api_key = "{HASH}", {name}expires = {moment} }}'
    return BY_KEY.replace(f'"{API_KEY_IDENTITY}"', table)


def in_days(days: float) -> str:
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"


async def test_an_expired_key_is_refused_with_a_reason_and_named_in_the_log(
    tmp_path: Path,
) -> None:
    text = SERVER + PROJECT
    async with (
        live(tmp_path, text + expiring(in_days(30))) as server,
        aio.insecure_channel(server.address) as channel,
    ):
        assert await key_id(channel, BEARER) == "cert-1"
        assert not [line for line in server.log if line["level"] == "warning"]
        configure(server, text + expiring(in_days(-1)))
        await server.reloaded(1)
        assert server.events("configuration reloaded")[0]["callers"] == ["tester"]
        answer = await refused(stub(channel).IssueRtcToken(VALID, metadata=BEARER))
        assert answer.reason == "CREDENTIAL_EXPIRED"
        assert "tester" not in answer.message
        await until(lambda: server.events("refused"))
        prefix = hashlib.sha256(API_KEY.encode()).hexdigest()[:8]
        detail = f"api-key:sha256:{prefix} of caller tester has expired"
        assert server.events("refused")[0]["detail"] == detail
        assert HASH not in server.output


async def test_a_key_that_expires_is_warned_about_at_start_and_after_a_reload(
    tmp_path: Path,
) -> None:
    text = SERVER + PROJECT

    async with live(tmp_path, text + expiring(in_days(13))) as server:

        def warnings() -> list[str]:
            return [line["event"] for line in server.log if line["level"] == "warning"]

        await until(warnings)
        (line,) = warnings()
        assert line.startswith("caller 'tester': API key ci expires at 20")
        assert line.endswith("UTC: give the caller another key, then remove this one")
        configure(server, text + expiring(in_days(-0.5), name=""))
        await until(lambda: len(warnings()) == 2)
        assert warnings()[1].startswith(f"caller 'tester': API key {HASH[:15]} expired at 20")


@pytest.mark.parametrize(("days", "warns"), [(15, False), (14, True), (0, True), (-400, True)])
def test_a_warning_comes_14_days_ahead(tmp_path: Path, days: int, warns: bool) -> None:
    moment = f"{NOW + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"
    settings = config.load(write_config(tmp_path, PROJECT + expiring(moment)), {})
    assert bool(list(settings.expirations(NOW))) is warns


async def test_check_config_shows_names_and_end_dates(tmp_path: Path) -> None:
    path = write_config(tmp_path, PROJECT + expiring("2026-01-31T12:00:00+01:00"))
    ran = await run("check-config", str(path))
    assert ran.code == 0
    assert f"  identity {API_KEY_IDENTITY} (ci, expires 2026-01-31 11:00 UTC)\n" in ran.out
    assert "warning: " in ran.err
    assert "API key ci expired at 2026-01-31 11:00 UTC" in ran.err


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (f'{{ api_key = "{API_KEY}" }}', 'must be "sha256:…" as `token-authority api-key new`'),
        (f'{{ api_key = "{API_KEY_IDENTITY}" }}', 'must be "sha256:…"'),
        (
            f'{{ api_key = "sha256:{hashlib.sha256().hexdigest()}" }}',
            "is the hash of the empty string",
        ),
        (f'{{ api_key = "{HASH}", expires = 2026-01-31T00:00:00 }}', "time zone"),
        (f'{{ api_key = "{HASH}", expire = 2026-01-31T00:00:00Z }}', "did you mean 'expires'?"),
        (f'{{ api_key = "{HASH}", name = "C I" }}', "must be lower-case letters"),
        ('{ name = "ci" }', "is missing: add it"),
        ("7", "must be a table"),
    ],
)
def test_a_mistake_in_a_key_is_one_line(tmp_path: Path, table: str, expected: str) -> None:
    text = PROJECT + BY_KEY.replace(f'"{API_KEY_IDENTITY}"', table)
    with pytest.raises(ConfigError) as caught:
        config.load(write_config(tmp_path, text), {})
    (line,) = str(caught.value).splitlines()
    assert expected in line
    assert "[table]" not in line
    assert API_KEY not in line


def test_one_key_cannot_belong_to_two_callers(tmp_path: Path) -> None:
    other = BY_KEY.replace('"tester"', '"other"')
    text = PROJECT + expiring("2026-01-31T00:00:00Z") + other
    with pytest.raises(ConfigError, match="caller 'tester' has the same identity"):
        config.load(write_config(tmp_path, text), {})
