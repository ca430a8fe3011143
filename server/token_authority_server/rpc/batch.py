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
)
from token_authority_server.rpc import messages
from token_authority_server.rpc.contract import kinds_by_entry
from token_authority_server.rpc.handlers import Answer
from token_authority_server.rpc.validation import RequestParser, check_issue_size

_NAME: Final = batch_pb2.BatchIssueTokensRequest.DESCRIPTOR.full_name
_SLICE_NS: Final = 1_000_000
"""How long a batch works before other calls get their turn."""

_OWN_VALIDATE_ONLY: Final = FieldViolation(
    "validate_only", "VALIDATE_ONLY_IN_BATCH", "must be false: set the batch's own validate_only"
)

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
                allowed.append(self._allow(entry))
            except Refusal as refusal:
                path = _path(index, entry)
                violations += [
                    dataclasses.replace(violation, field=f"{path}.{violation.field}")
                    for violation in refusal.violations
                ]
                first = first or of_entry(refusal, path)
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

    def _allow(self, entry: Any) -> Allowed:
        """Decides on one entry; the paths of a refusal begin inside it."""
        name = entry.WhichOneof("request")
        if name is None:
            raise invalid_request(self._parser.violations(entry))
        request = getattr(entry, name)
        check_issue_size(request.ByteSize())
        violations = self._parser.violations(request)
        if request.validate_only:
            violations.append(_OWN_VALIDATE_ONLY)
        if violations:
            raise invalid_request(violations)
        return self._authority.allow(self._kinds[name], request)


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
