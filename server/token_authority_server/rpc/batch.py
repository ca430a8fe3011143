"""BatchIssueTokens: many tokens in one call, all or none.

Signing blocks the event loop, so a batch works in slices and other calls run in between.
"""

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from token_authority.v1 import batch_pb2
from token_authority_server.access.callers import Caller
from token_authority_server.authority import Authority, Issued
from token_authority_server.authorization import AuthorizedRequest
from token_authority_server.errors import (
    FieldViolation,
    Reason,
    Refusal,
    invalid_request,
)
from token_authority_server.identity.call_context import CallContext
from token_authority_server.limits import in_slices
from token_authority_server.rpc import messages
from token_authority_server.rpc.entries import EntryReader
from token_authority_server.rpc.handlers import Answer
from token_authority_server.rpc.validation import RequestParser
from token_authority_server.telemetry.metrics import Metrics

# Beyond this many violations, only the first of each further entry is reported: each takes 20 µs.
_MAX_EXPLAINED: Final = 2000
_NAME: Final = batch_pb2.BatchIssueTokensRequest.DESCRIPTOR.full_name


class BatchIssueTokens:
    """The method BatchIssueTokens. Batches take turns: two at once would delay other calls."""

    def __init__(self, authority: Authority, parser: RequestParser, metrics: Metrics) -> None:
        self._authority = authority
        self._metrics = metrics
        self._decode = parser.outline_decoder(_NAME, "requests")
        self._entries = EntryReader(parser)
        self._turn = asyncio.Lock()

    async def __call__(self, data: bytes, context: CallContext) -> Answer:
        """Issues or validates a batch.

        Raises:
            Refusal: INVALID_REQUEST with the violations of all entries, else the first refusal of
                an entry.
        """
        async with self._turn:
            batch = self._decode(data)
            allowed = await self._allow_all(context.caller, batch.requests)
            if batch.validate_only:
                await self._authority.charge_inspection(context, len(allowed))
                return await _decisions(allowed)
        # A turn covers CPU work only: no batch waits for another one's Redis or disk.
        await self._authority.charge(context, allowed)
        async with self._turn:
            issued = await self._sign(allowed)
            records = await self._records(context, issued)
        await self._authority.persist(records)
        return await self._answer(context, issued)

    async def _allow_all(self, caller: Caller, entries: Sequence[bytes]) -> list[AuthorizedRequest]:
        allowed: list[AuthorizedRequest] = []
        violations: list[FieldViolation] = []
        first: Refusal | None = None
        index = -1
        async for data in in_slices(entries):
            index += 1
            entry = None
            try:
                entry = self._entries.decode(data)
                briefly = len(violations) > _MAX_EXPLAINED
                allowed.append(self._allow(caller, entry, briefly=briefly))
            except Refusal as refusal:
                path = _path(index, entry)
                violations += _violations(refusal, path)
                first = first or refusal.for_entry(path)
        if violations:
            raise invalid_request(violations)
        if first:
            raise first
        return allowed

    async def _sign(self, allowed: Sequence[AuthorizedRequest]) -> list[Issued]:
        issued: list[Issued] = []
        async for one in in_slices(allowed):
            try:
                issued.append(self._authority.sign(one))
            except Refusal as refusal:
                # By a policy that was applied meanwhile.
                path = f"requests[{len(issued)}].{self._entries.name_of(one.family)}"
                raise refusal.for_entry(path) from None
        return issued

    async def _records(self, context: CallContext, issued: Sequence[Issued]) -> list[str]:
        if not self._authority.records_are_kept:
            return []
        return [self._authority.record(context, one) async for one in in_slices(issued)]

    async def _answer(self, context: CallContext, issued: Sequence[Issued]) -> Answer:
        response = batch_pb2.BatchIssueTokensResponse()
        async for one in in_slices(issued):
            messages.describe(response.issued_tokens.add(), one)
        counts = Counter((one.allowed.project, one.allowed.token_type) for one in issued)
        for (project, token_type), count in counts.items():
            self._metrics.issued(context.caller.name, project, token_type, count)
        self._metrics.batch_size.observe(len(issued))
        about = {
            **_about([one.allowed for one in issued]),
            "token_ids": [one.token_id for one in issued],
        }
        return Answer(response.SerializeToString(), "issued", about)

    def _allow(self, caller: Caller, entry: Any, *, briefly: bool) -> AuthorizedRequest:
        """Authorizes one entry; field paths of a refusal are relative to its request."""
        family, request = self._entries.read(entry, briefly=briefly)
        return self._authority.authorize(caller, family, request)


def _path(index: int, entry: Any) -> str:
    """Returns the path of an entry's request, e.g. `requests[3].rtc`; `entry` None: undecodable."""
    name = entry and entry.WhichOneof("request")
    return f"requests[{index}].{name}" if name else f"requests[{index}]"


def _violations(refusal: Refusal, path: str) -> list[FieldViolation]:
    """Returns an entry's violations; if its refusal names no fields, one for the whole entry."""
    if refusal.reason is Reason.INVALID_REQUEST and not refusal.violations:
        return [FieldViolation(path, "NOT_ACCEPTED", f"was not accepted: {refusal.message}")]
    return [
        dataclasses.replace(violation, field=f"{path}.{violation.field}")
        for violation in refusal.violations
    ]


async def _decisions(allowed: Sequence[AuthorizedRequest]) -> Answer:
    response = batch_pb2.BatchIssueTokensResponse()
    async for one in in_slices(allowed):
        response.decisions.append(messages.decision(one))
    return Answer(response.SerializeToString(), "validated", _about(allowed))


def _about(allowed: Sequence[AuthorizedRequest]) -> dict[str, Any]:
    return {
        "count": len(allowed),
        "projects": sorted({one.project for one in allowed}),
        "key_ids": sorted({one.key.key_id for one in allowed}),
    }
