"""The client's calls, their outcomes, and their records in the audit trails."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

from soak.files import Files
from soak.fleet import Instance
from support.load import Outcome, load
from token_authority_client import (
    ApiKeyFile,
    AsyncTokenAuthorityClient,
    IssuedToken,
    Tls,
    TokenAuthorityError,
    prepare,
)
from token_authority_server.audit import verify

REFUSAL: Final = "AUDIT_UNAVAILABLE"
_BATCH: Final = 5
_EVERY: Final = 10
"""Each tenth call is a batch."""


class Caller:
    """Calls at a steady rate, while the block runs.

    Args:
        files: Its API key and the CA that it trusts.
        instances: The servers.
        rate: Calls per second.
    """

    def __init__(self, files: Files, instances: Sequence[Instance], rate: float) -> None:
        self.calls = 0
        self.keys: dict[str, str] = {}
        """The id of the key of each token, by the token's id, in the order of their arrival."""
        self.failures: Counter[str] = Counter()
        self.refused_at: list[float] = []
        """When a call failed because its audit record could not be written."""
        self.slowest_seconds = 0.0
        """Since the last event."""
        self.outcome = Outcome()
        self._rate = rate
        self._done = asyncio.Event()
        self._client = AsyncTokenAuthorityClient(
            ",".join(instance.address for instance in instances),
            timeout=timedelta(seconds=10),
            project="classroom",
            tls=Tls(ca=files.ca_pem, server_name="localhost"),
            credential=ApiKeyFile(files.api_key_file),
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._client)
        # Connects.
        await self._send()
        self._loading = asyncio.create_task(load(self._send, self._rate, self._done))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._done.set()
        self.outcome = await self._loading
        await self._stack.aclose()

    async def signing_key(self) -> str:
        """Makes one more call; returns the id of the key that signed its token."""
        token = await self._client.issue_rtc_token(channel="lesson-0", uid=1, role="publisher")
        self._keep([token])
        return token.key_id

    async def _send(self) -> None:
        self.calls += 1
        began = time.monotonic()
        try:
            self._keep(await self._issue(self.calls))
        except TokenAuthorityError as error:
            if error.reason == REFUSAL:
                self.refused_at.append(time.monotonic())
            else:
                self.failures[f"{type(error).__name__}: {error}"] += 1
            raise
        except Exception as error:
            self.failures[repr(error)] += 1
            raise
        finally:
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)

    async def _issue(self, number: int) -> list[IssuedToken]:
        channel = f"lesson-{number % 1000}"
        if number % _EVERY:
            issue = self._client.issue_rtc_token
            return [await issue(channel=channel, uid=number, role="publisher")]
        return await self._client.issue_many(
            prepare.issue_rtc_token(channel=channel, uid=uid, role="publisher")
            for uid in range(1, _BATCH + 1)
        )

    def _keep(self, tokens: Iterable[IssuedToken]) -> None:
        self.keys.update((token.token_id, token.key_id) for token in tokens)


def account(trails: Sequence[Path], keys: dict[str, str]) -> tuple[list[str], list[str]]:
    """Compares audit trails with the tokens that arrived.

    Returns:
        What was found, in sentences; and what is wrong.
    """
    found, wrong = list[str](), list[str]()
    recorded: Counter[tuple[str, str]] = Counter()
    for trail in trails:
        report = verify([trail])
        size_mb = trail.stat().st_size / 1e6
        found.append(f"{trail.name}: {report.records:,} records, {size_mb:.1f} MB, unbroken")
        if report.problem:
            found.pop()
            wrong.append(f"{trail.name}: {report.problem}")
        with trail.open("rb") as lines:
            for line in lines:
                # A process that was killed may have left an incomplete line.
                if b'"event":"issued"' in line and line.endswith(b"}\n"):
                    record = json.loads(line)
                    recorded[record["token_id"], record["key_id"]] += 1
    missing = [token_id for token_id, key_id in keys.items() if not recorded[token_id, key_id]]
    twice = sum(count > 1 for count in recorded.values())
    lost = sum(count > 0 for count in recorded.values()) - len(keys) + len(missing)
    found.append(
        f"{len(keys):,} tokens arrived; {lost} more were recorded, whose answers were lost"
    )
    if missing or twice:
        wrong.append(f"{len(missing)} tokens were not recorded, {twice} twice")
    return found, wrong
