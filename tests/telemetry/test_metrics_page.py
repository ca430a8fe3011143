"""server/METRICS.md names the metrics that a server exports, all of them, with type and labels."""

import re
from pathlib import Path
from typing import Final, NamedTuple

from support.jwks import Signer, key_server
from support.monitored import call_each_way, monitored
from support.redis import redis_server
from support.replacing import replace
from support.waiting import until_await

PAGE: Final = (Path(__file__).parents[2] / "server/METRICS.md").read_text()
SUFFIXES: Final = ("_bucket", "_sum", "_count")


class Row(NamedTuple):
    """A metric's type and the names of its labels."""

    type: str
    labels: frozenset[str]


def documented() -> dict[str, Row]:
    """Returns the rows of the page, by name."""
    rows: dict[str, Row] = {}
    for line in PAGE.splitlines():
        if line.startswith("| `"):
            name, kind, labels, meaning, query = [cell.strip() for cell in line.split("|")[1:-1]]
            assert name.strip("`") in query, name
            assert meaning, name
            assert name not in rows, name
            rows[name.strip("`")] = Row(kind, frozenset(re.findall(r"`(\w+)`", labels)))
    return rows


def exported(text: str) -> dict[str, Row]:
    """Returns the metrics of an exposition that have a sample, by name."""
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    rows: dict[str, Row] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name = re.split(r"[ {]", line, maxsplit=1)[0]
            for suffix in SUFFIXES:
                if types.get(name.removesuffix(suffix)) == "histogram":
                    name = name.removesuffix(suffix)
            row = Row(types[name], frozenset(re.findall(r'(\w+)="', line)) - {"le"})
            assert rows.setdefault(name, row) == row
    return rows


async def test_the_page_has_every_metric_with_its_type_and_labels(tmp_path: Path) -> None:
    signer = Signer("ES256")
    async with redis_server() as redis:
        with key_server(signer) as provider:
            async with monitored(tmp_path, redis.url, provider) as (server, stub):
                await call_each_way(stub, signer)
                lag = "token_authority_event_loop_lag_seconds_count"

                async def measured() -> bool:
                    return await server.metric(lag) > 0

                await until_await(measured)
                text = await server.page("/metrics")
                unset = re.findall(r"^.* NaN$", text, re.MULTILINE)
                ages = await server.metric(
                    'token_authority_api_key_not_after_timestamp_seconds{api_key="ci",caller="tester"}'
                )
    assert exported(text) == documented()
    assert unset == []
    assert ages > 0


async def test_active_since_is_as_configured(tmp_path: Path) -> None:
    signer = Signer("ES256")
    name = "token_authority_signing_key_active_since_timestamp_seconds"
    labels = '{key_id="cert-1",product="agora",project="classroom"}'
    async with redis_server() as redis:
        with key_server(signer) as provider:
            async with monitored(tmp_path, redis.url, provider) as (server, _):
                started = await server.metric("process_start_time_seconds")
                seen = await server.metric(name + labels)
                assert 0 < seen - started < 60
                path = tmp_path / "token-authority.toml"
                text = path.read_text().replace(
                    'state = "active"',
                    'state = "active"\nactive_since = 2026-01-01T00:00:00Z',
                )
                replace(path, text)
                await server.reloaded(1)
                assert await server.metric(name + labels) == 1767225600
