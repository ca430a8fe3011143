"""`[[tests]]`: expected decisions on requests, checked at start and at every reload."""

from typing import Annotated, Any, Final, NamedTuple, cast

from google.protobuf.json_format import ParseDict, ParseError  # noqa: TID251  # it only reads
from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from token_authority.v1.batch_pb2 import IssueTokenRequest
from token_authority.v1.encryption_pb2 import IssueChannelKeyRequest
from token_authority_server.config.section import Section
from token_authority_server.config.values import suggestion
from token_authority_server.errors import Reason

ALLOW: Final = "allow"
_CHANNEL_KEY: Final = "channel_key"

_KNOWN: Final = [ALLOW, *(reason.value for reason in Reason)]
_REQUEST_SCHEMA: Final = WithJsonSchema(
    {
        "type": "object",
        "properties": {
            name: {"type": "object"}
            for name in (*IssueTokenRequest.DESCRIPTOR.fields_by_name, _CHANNEL_KEY)
        },
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
)


class ExpectedRequest(NamedTuple):
    """An encoded request."""

    data: bytes
    is_channel_key: bool
    """Whether it is an IssueChannelKeyRequest instead of an IssueTokenRequest."""


def _request(value: object) -> object:
    """Parses a request in protobuf's JSON form: the field of IssueTokenRequest, and its fields."""
    if not isinstance(value, dict):
        raise ValueError(  # noqa: TRY004  # pydantic's way
            'must be a table like { rtc = { channel_name = "lesson-1", uid = 7, role = '
            '"RTC_ROLE_PUBLISHER" } }'
        )
    fields = cast("dict[str, Any]", value)
    is_channel_key = fields.keys() == {_CHANNEL_KEY}
    message: Any = IssueChannelKeyRequest() if is_channel_key else IssueTokenRequest()
    try:
        ParseDict(fields[_CHANNEL_KEY] if is_channel_key else fields, message)
    except ParseError as error:
        # Some of these messages have several lines.
        raise ValueError(f"is not a request: {' '.join(str(error).split())}") from None
    if not is_channel_key and message.WhichOneof("request") is None:
        families = IssueTokenRequest.DESCRIPTOR.oneofs_by_name["request"].fields
        names = ", ".join([*(field.name for field in families), _CHANNEL_KEY])
        raise ValueError(f"has no token family: set one of {names}")
    return ExpectedRequest(message.SerializeToString(), is_channel_key)


def _expectation(value: str) -> str:
    if value not in _KNOWN:
        hint = suggestion(value, _KNOWN)
        raise ValueError(
            f'must be "allow" or a reason, like "GRANT_MISSING" or "TTL_FORBIDDEN"{hint}'
        )
    return value


class ExpectationSettings(Section):
    """`[[tests]]`: one request, and the expected decision."""

    caller: str
    """The name of the caller that makes the request."""

    request: Annotated[ExpectedRequest, BeforeValidator(_request), _REQUEST_SCHEMA]
    """The request: `{ rtc = { … } }` or `{ channel_key = { … } }`, with the field names of the
    contract."""

    expect: Annotated[str, AfterValidator(_expectation), WithJsonSchema({"enum": _KNOWN})]
    """`allow`, or the reason of the refusal."""
