"""Reads one entry of a batch: any request for a token."""

from typing import Any, Final

from token_authority.v1 import batch_pb2
from token_authority_server.errors import FieldViolation, invalid_request
from token_authority_server.families import TokenFamily
from token_authority_server.rpc.contract import kinds_by_entry
from token_authority_server.rpc.validation import RequestParser, check_issue_size

_NAME: Final = batch_pb2.IssueTokenRequest.DESCRIPTOR.full_name
# What an entry adds to the largest request: a tag of one byte, and a length of three.
_FRAME_BYTES: Final = 4
_OWN_VALIDATE_ONLY: Final = FieldViolation(
    "validate_only", "VALIDATE_ONLY_IN_BATCH", "must be false: set the batch's own validate_only"
)


class EntryReader:
    """Finds the kind of an entry, and holds its request against the rules."""

    def __init__(self, parser: RequestParser) -> None:
        self._parser = parser
        self._kinds = kinds_by_entry()
        self._decode = parser.decoder(_NAME)

    def decode(self, data: bytes) -> Any:
        """Decodes an encoded IssueTokenRequest, and checks no rule.

        Raises:
            Refusal: INVALID_REQUEST: it is none, or too large for any.
        """
        check_issue_size(len(data) - _FRAME_BYTES)
        return self._decode(data)

    def name_of(self, kind: TokenFamily[Any, Any]) -> str:
        """Returns the field that an entry has for requests of a kind."""
        return next(name for name, one in self._kinds.items() if one is kind)

    def read(self, entry: Any, *, briefly: bool = False) -> tuple[TokenFamily[Any, Any], Any]:
        """Returns the kind and its request; the paths of a refusal begin inside that.

        Args:
            entry: The entry.
            briefly: Whether the first violation of its request will do.

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
        return self._kinds[name], request
