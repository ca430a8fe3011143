"""Reads the entries of a batch, each a request for one token."""

from typing import Any, Final

from token_authority.v1 import batch_pb2
from token_authority_server.errors import FieldViolation, invalid_request
from token_authority_server.families import TokenFamily
from token_authority_server.rpc.contract import families_by_entry
from token_authority_server.rpc.validation import RequestParser, check_issue_size

_NAME: Final = batch_pb2.IssueTokenRequest.DESCRIPTOR.full_name
# An entry adds a tag of one byte and a length of three to its request.
_FRAME_BYTES: Final = 4
_OWN_VALIDATE_ONLY: Final = FieldViolation(
    "validate_only", "VALIDATE_ONLY_IN_BATCH", "must be false: set the batch's own validate_only"
)


class EntryReader:
    """Finds the token family of an entry and validates its request."""

    def __init__(self, parser: RequestParser) -> None:
        self._parser = parser
        self._families = families_by_entry()
        self._decode = parser.decoder(_NAME)

    def decode(self, data: bytes) -> Any:
        """Decodes an IssueTokenRequest without validating it.

        Raises:
            Refusal: INVALID_REQUEST: undecodable, or larger than any request may be.
        """
        check_issue_size(len(data) - _FRAME_BYTES)
        return self._decode(data)

    def name_of(self, family: TokenFamily[Any, Any]) -> str:
        """Returns the entry's field for requests of a family."""
        return next(name for name, one in self._families.items() if one is family)

    def read(self, entry: Any, *, briefly: bool = False) -> tuple[TokenFamily[Any, Any], Any]:
        """Returns the family and its request; field paths of a refusal are relative to the request.

        Args:
            entry: The entry.
            briefly: Whether to report only the first violation of the request.

        Raises:
            Refusal: INVALID_REQUEST.
        """
        name: str | None = entry.WhichOneof("request")
        if name is None:
            raise invalid_request(self._parser.violations(entry))
        request = getattr(entry, name)
        violations = self._parser.violations(request, briefly=briefly)
        if request.validate_only:
            violations.append(_OWN_VALIDATE_ONLY)
        if violations:
            raise invalid_request(violations)
        return self._families[name], request
