"""Lists of requests as batches that a server takes, and errors that name places in the lists."""

import dataclasses
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from token_authority.v1.batch_pb2 import BatchIssueTokensRequest, IssueTokenRequest
from token_authority_client._errors import TokenAuthorityError
from token_authority_client._message_builder import invalid, items
from token_authority_client._token_request import TokenRequest

MAX_REQUESTS: Final = 500
"""What one call takes: the rule of BatchIssueTokensRequest.requests."""
MAX_BYTES: Final = 512 * 1024
"""Half of what a server takes unless configured otherwise (server.max_request_bytes)."""
# What an entry adds to its batch beside itself: a tag of one byte, a length of four at most.
_FRAME_BYTES: Final = 5

_MEMBERS: Final = {
    field.message_type.full_name: field.name
    for field in IssueTokenRequest.DESCRIPTOR.oneofs_by_name["request"].fields
    if field.message_type
}
# A path where errors put them: a channel may be called requests[3] too.
_ENTRY: Final = re.compile(r"(^|; |,|^invalid request: )requests\[(\d+)\]")
_PATHS: Final = ("entry", "fields", "advice")


@dataclass(frozen=True, slots=True)
class Batch:
    """As much of a list as one call takes."""

    first: int
    """The place in the list of the first request."""
    message: BatchIssueTokensRequest

    @contextmanager
    def naming_places(self) -> Generator[None]:
        """Makes errors count requests from the start of the list, not of this part."""
        try:
            yield
        except TokenAuthorityError as error:
            _renumber(error, self.first)
            raise


def split(
    requests: Iterable[TokenRequest], project: str, *, validate_only: bool
) -> Iterator[Batch]:
    """Yields a list of requests in parts, in order. It copies what it sends.

    Raises:
        InvalidRequest: Something in the list is not a TokenRequest. Raised before the first part.
    """
    first, size = 0, 0
    entries: list[IssueTokenRequest] = []
    for index, request in enumerate(_checked(requests)):
        entry = entry_of(request, project)
        entry_size = entry.ByteSize() + _FRAME_BYTES
        if entries and (len(entries) == MAX_REQUESTS or size + entry_size > MAX_BYTES):
            yield _batch(first, entries, validate_only)
            first, size, entries = index, 0, []
        entries.append(entry)
        size += entry_size
    if entries:
        yield _batch(first, entries, validate_only)


def _checked(requests: Iterable[Any]) -> list[TokenRequest]:
    found = items("requests", requests, "requests that `prepare` made")
    for index, request in enumerate(found):
        if not isinstance(request, TokenRequest):
            raise invalid(f"requests[{index}]", "INVALID_VALUE", "must be made by `prepare`")
    return found


def entry_of(request: TokenRequest, project: str) -> IssueTokenRequest:
    """Returns a request as an entry of a batch; `project` is the default."""
    # Whether to sign is the batch's to say.
    message = request.to_send(project, validate_only=False)
    fields: Any = {_MEMBERS[message.DESCRIPTOR.full_name]: message}
    return IssueTokenRequest(**fields)


def _batch(first: int, entries: list[IssueTokenRequest], validate_only: bool) -> Batch:
    return Batch(first, BatchIssueTokensRequest(requests=entries, validate_only=validate_only))


def _renumber(error: TokenAuthorityError, first: int) -> None:
    def in_list(text: str) -> str:
        return _ENTRY.sub(lambda entry: f"{entry[1]}requests[{first + int(entry[2])}]", text)

    error.message = in_list(error.message)
    error.args = (error.message,)
    error.advice = in_list(error.advice)
    error.metadata = {
        name: in_list(value) if name in _PATHS else value for name, value in error.metadata.items()
    }
    error.violations = tuple(
        [
            dataclasses.replace(violation, field=in_list(violation.field))
            for violation in error.violations
        ]
    )
