"""Inspects without a server and without a key: what the command line does offline."""

from typing import Final

from token_authority.v1 import inspection_pb2
from token_authority_server.expectations import moment
from token_authority_server.inspection import inspect_token
from token_authority_server.rpc.inspection import expected_of, response_of
from token_authority_server.rpc.validation import RequestParser

_NAME: Final = inspection_pb2.InspectTokenRequest.DESCRIPTOR.full_name


def inspect_without_keys(data: bytes) -> bytes:
    """Answers InspectToken in this process: what can be said of a token without a key.

    Raises:
        Refusal: As the method.
    """
    request = RequestParser().parser(_NAME)(data)
    expected = expected_of(request.expected)
    inspection = inspect_token(request.token, expected, [], moment().now_ms)
    return response_of(inspection).SerializeToString()
