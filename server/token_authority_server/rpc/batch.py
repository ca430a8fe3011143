"""BatchIssueTokens: many tokens in one call, all of them or none.

Signing holds the event loop, so a batch works in slices and lets other calls run in between.
"""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, TypeVar

from token_authority.v1 import batch_pb2
from token_authority_server.authority import Allowed, Authority
from token_authority_server.errors import (
    FieldViolation,
    Refusal,
    invalid_request,
    of_entry,
    oversized_request,
)
from token_authority_server.kinds.base import Kind
from token_authority_server.rpc import messages
from token_authority_server.rpc.contract import kinds_by_entry
from token_authority_server.rpc.handlers import Answer
from token_authority_server.rpc.validation import MAX_REQUEST_BYTES, RequestParser

_NAME: Final = batch_pb2.BatchIssueTokensRequest.DESCRIPTOR.full_name
_SLICE_NS: Final = 500_000
"""How long a batch works before other calls get their turn."""

ItemT = TypeVar("ItemT")


class BatchIssueTokens:
    """The method. Batches take turns: two at once would hold up other calls twice as long."""

    def __init__(self, authority: Authority, parser: RequestParser) -> None:
        self._authority = authority
        self._parser = parser
        self._decode = parser.decoder(_NAME)
        self._item_count = parser.item_count_rule(_NAME, "requests")
        self._kinds = kinds_by_entry()
        self._turn = asyncio.Lock()

    async def __call__(self, data: bytes) -> Answer:
        """Answers a batch.

        Raises:
            Refusal: INVALID_REQUEST with all that is wrong with any entry, else the refusal of the
                first entry that is refused.
        """
        async with self._turn:
            batch = self._decode(data)
            if violations := self._item_count.violations(len(batch.requests)):
                raise invalid_request(violations)
            allowed = await self._allow_all(batch.requests)
            return await (_decisions(allowed) if batch.validate_only else self._sign(allowed))

    async def _allow_all(self, entries: Sequence[Any]) -> list[Allowed]:
        allowed: list[Allowed] = []
        violations: list[FieldViolation] = []
        first: Refusal | None = None
        async for index, entry in _in_slices(list(enumerate(entries))):
            try:
                allowed.append(self._allow(index, entry))
            except Refusal as refusal:
                violations += refusal.violations
                first = first or of_entry(refusal, _path(index, entry))
        if violations:
            raise invalid_request(violations)
        if first:
            raise first
        return allowed

    async def _sign(self, allowed: Sequence[Allowed]) -> Answer:
        response = batch_pb2.BatchIssueTokensResponse()
        async for one in _in_slices(allowed):
            response.issued_tokens.append(messages.issued_token(self._authority.sign(one)))
        token_ids = [issued.token_id for issued in response.issued_tokens]
        about = {**_about(allowed), "token_ids": token_ids}
        return Answer(response.SerializeToString(), "issued", about)

    def _allow(self, index: int, entry: Any) -> Allowed:
        prefix = f"{_path(index, entry)}."
        name = entry.WhichOneof("request")
        if name is None:
            raise invalid_request(self._parser.violations(entry, prefix))
        kind, request = self._kinds[name], getattr(entry, name)
        if request.ByteSize() > MAX_REQUEST_BYTES:
            raise oversized_request(MAX_REQUEST_BYTES)
        violations = self._parser.violations(request, prefix)
        if request.validate_only:
            violations.append(
                FieldViolation(
                    f"{prefix}validate_only",
                    "VALIDATE_ONLY_IN_BATCH",
                    "must be false: set the batch's own validate_only",
                )
            )
        if violations:
            raise invalid_request(violations)
        return self._decide(kind, request, prefix)

    def _decide(self, kind: Kind[Any, Any], request: Any, prefix: str) -> Allowed:
        try:
            return self._authority.allow(kind, request)
        except Refusal as refusal:
            if not refusal.violations:
                raise
            raise invalid_request(
                [
                    dataclasses.replace(violation, field=prefix + violation.field)
                    for violation in refusal.violations
                ]
            ) from None


def _path(index: int, entry: Any) -> str:
    """Returns where the request of an entry is: `requests[3].rtc`."""
    name = entry.WhichOneof("request")
    return f"requests[{index}].{name}" if name else f"requests[{index}]"


async def _in_slices(items: Sequence[ItemT]) -> AsyncIterator[ItemT]:
    """Yields the items, and the event loop whenever a slice of time is used up."""
    since_ns = time.perf_counter_ns()
    for item in items:
        yield item
        if time.perf_counter_ns() - since_ns > _SLICE_NS:
            await asyncio.sleep(0)
            since_ns = time.perf_counter_ns()


async def _decisions(allowed: Sequence[Allowed]) -> Answer:
    response = batch_pb2.BatchIssueTokensResponse()
    async for one in _in_slices(allowed):
        response.decisions.append(messages.decision(one))
    return Answer(response.SerializeToString(), "validated", _about(allowed))


def _about(allowed: Sequence[Allowed]) -> dict[str, Any]:
    return {
        "count": len(allowed),
        "projects": sorted({one.project for one in allowed}),
        "key_ids": sorted({one.key.key_id for one in allowed}),
    }
