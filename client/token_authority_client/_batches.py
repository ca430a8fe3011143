"""Splits lists of requests into batches, and makes errors refer to the lists."""

import dataclasses
import re
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from token_authority.v1.batch_pb2 import BatchIssueTokensRequest, IssueTokenRequest
from token_authority_client._errors import TokenAuthorityError, restate
from token_authority_client._message_builder import items
from token_authority_client._token_request import TokenRequest
from token_authority_client._value_errors import invalid

MAX_REQUESTS: Final = 500
"""The most requests in one call: the rule of BatchIssueTokensRequest.requests."""
MAX_BYTES: Final = 512 * 1024
"""The most bytes in one call: half the default of the server's `max_request_bytes`."""
# The encoding of an entry adds a tag of one byte and a length of at most four.
_FRAME_BYTES: Final = 5

# A path where errors have paths; a channel can be named requests[3], too.
_ENTRY: Final = re.compile(r"(^|; |,|^invalid request: )requests\[(\d+)\]")
_PATHS: Final = ("entry", "fields")


@dataclass(frozen=True, slots=True)
class Batch:
    """The part of a list of requests that one call sends."""

    first: int
    """The index in the list of the first request."""
    message: BatchIssueTokensRequest
    """The call's request."""

    @contextmanager
    def list_indexes(self) -> Generator[None]:
        """Makes errors count requests from the start of the list instead of the batch."""
        try:
            yield
        except TokenAuthorityError as error:
            _renumber(error, self.first)
            raise


def checked_requests(requests: Iterable[Any]) -> list[TokenRequest]:
    """Returns the requests as a list.

    Raises:
        InvalidRequest: An item is not a TokenRequest.
    """
    found = items("requests", requests, "requests made by `prepare`")
    for index, request in enumerate(found):
        if not isinstance(request, TokenRequest):
            name = type(request).__name__
            description = f"must be made by `prepare`; got {name}"
            raise invalid(f"requests[{index}]", "INVALID_VALUE", description)
    return found


def checked_chunk_size(size: object) -> int:
    """Returns the largest number of requests per call.

    Raises:
        InvalidRequest: It is not an integer from 1 to 500.
    """
    if size is None:
        return MAX_REQUESTS
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MAX_REQUESTS:
        must_be = f"must be an integer from 1 to {MAX_REQUESTS}"
        raise invalid("chunk_size", "INVALID_VALUE", must_be)
    return size


def take(
    requests: Sequence[TokenRequest], first: int, size: int, project: str, *, validate_only: bool
) -> Batch:
    """Returns the next requests of a list as a batch, as many as one call may have.

    Args:
        requests: The list.
        first: The index of the batch's first request.
        size: The largest number of requests per call.
        project: The project of requests that name none.
        validate_only: Whether to ask for decisions instead of tokens.
    """
    entries: list[IssueTokenRequest] = []
    total = 0
    for request in requests[first : first + size]:
        entry = request.to_batch_entry(project)
        total += entry.ByteSize() + _FRAME_BYTES
        if entries and total > MAX_BYTES:
            break
        entries.append(entry)
    return Batch(first, BatchIssueTokensRequest(requests=entries, validate_only=validate_only))


def accepted_size(error: TokenAuthorityError, batch: Batch) -> int | None:
    """Returns the batch size that the server accepts, if the batch was refused for its size."""
    text = error.metadata.get("max_batch", "")
    if error.reason != "BATCH_EXCEEDS_LIMIT" or not text.isdecimal():
        return None
    return int(text) if 0 < int(text) < len(batch.message.requests) else None


def _renumber(error: TokenAuthorityError, first: int) -> None:
    def in_list(text: str) -> str:
        return _ENTRY.sub(lambda entry: f"{entry[1]}requests[{first + int(entry[2])}]", text)

    restate(error, in_list(error.message), in_list(error.advice))
    error.metadata = {
        name: in_list(value) if name in _PATHS else value for name, value in error.metadata.items()
    }
    error.violations = tuple(
        [
            dataclasses.replace(violation, field=in_list(violation.field))
            for violation in error.violations
        ]
    )
