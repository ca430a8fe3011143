"""InspectToken: converts requests and inspections from and to messages of the contract."""

from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from token_authority.v1 import inspection_pb2, issued_token_pb2
from token_authority_server.authority import Authority
from token_authority_server.errors import FieldViolation, invalid_request
from token_authority_server.identity.call_context import CallContext
from token_authority_server.inspection import Expected, Inspection, Product
from token_authority_server.rpc.handlers import Answer, Method
from token_authority_server.rpc.messages import enum_of, set_ms
from token_authority_server.rpc.validation import RequestParser

_NAME: Final = inspection_pb2.InspectTokenRequest.DESCRIPTOR.full_name
_FORMATS: Final = {
    "006": issued_token_pb2.TOKEN_FORMAT_V006,
    "007": issued_token_pb2.TOKEN_FORMAT_V007,
    "netless": issued_token_pb2.TOKEN_FORMAT_NETLESS,
    "": issued_token_pb2.TOKEN_FORMAT_UNSPECIFIED,
}
_PRODUCTS: Final = {
    inspection_pb2.PRODUCT_UNSPECIFIED: None,
    inspection_pb2.PRODUCT_RTC: Product.RTC,
    inspection_pb2.PRODUCT_RTM: Product.RTM,
    inspection_pb2.PRODUCT_CHAT: Product.CHAT,
    inspection_pb2.PRODUCT_EDUCATION: Product.EDUCATION,
    inspection_pb2.PRODUCT_WHITEBOARD: Product.WHITEBOARD,
}
# The range of google.protobuf.Timestamp: the years 1 to 9999.
_FIRST: Final = -62_135_596_800
_LAST: Final = 253_402_300_799


def inspect_token(authority: Authority, parser: RequestParser) -> Method:
    """Returns the method InspectToken."""
    parse = parser.parser(_NAME)

    async def inspect(data: bytes, context: CallContext) -> Answer:
        request = parse(data)
        inspection = await authority.inspect(context, request.token, expected_of(request.expected))
        about: dict[str, Any] = {
            "token_id": inspection.token_id,
            "kind": inspection.kind,
            "verdict": inspection.signature.verdict.value,
            "findings": [finding.reason.value for finding in inspection.findings],
        }
        if inspection.exposed:
            about["exposed"] = [
                f"{secret.credential.value} {secret.project} {secret.key_id}".rstrip()
                for secret in inspection.exposed
            ]
        return Answer(response_of(inspection).SerializeToString(), "inspected", about)

    return inspect


def expected_of(message: Any) -> Expected:
    """Reads how a token was used.

    Raises:
        Refusal: INVALID_REQUEST: `at_time` is not a valid Timestamp.
    """
    at_ms = None
    if message.HasField("at_time"):
        at_ms = _ms(message.at_time)
    return Expected(
        app_id=message.app_id,
        channel_name=message.channel_name,
        uid=message.uid if message.HasField("uid") else None,
        user_account=message.user_account if message.HasField("user_account") else None,
        room_uuid=message.room_uuid,
        at_ms=at_ms,
        error_code=message.error_code,
        error=message.error,
        product=_PRODUCTS[message.product],
    )


def _ms(at_time: Timestamp) -> int:
    if not (_FIRST <= at_time.seconds <= _LAST and 0 <= at_time.nanos < 1_000_000_000):
        problem = "must be a valid Timestamp: years 1 to 9999, nanos from 0 to 999999999"
        raise invalid_request([FieldViolation("expected.at_time", "TIMESTAMP_INVALID", problem)])
    return at_time.seconds * 1000 + at_time.nanos // 1_000_000


def response_of(inspection: Inspection) -> inspection_pb2.InspectTokenResponse:
    """Converts an inspection to the answer to InspectTokenRequest."""
    message = inspection_pb2.InspectTokenResponse()
    _fill(message, inspection)
    for other in inspection.others:
        _fill(message.others.add(), other)
    return message


def _fill(
    message: inspection_pb2.InspectTokenResponse | inspection_pb2.OtherToken, inspection: Inspection
) -> None:
    signature = inspection.signature
    message.format = _FORMATS[inspection.format]
    message.kind = inspection.kind
    message.token_id = inspection.token_id
    for path, value, meaning in inspection.fields:
        message.fields.add(path=path, value=value, meaning=meaning)
    message.omitted_field_count = inspection.omitted_field_count
    message.expired = inspection.expired
    message.time_summary = inspection.time_summary
    message.signature.verdict = enum_of(inspection_pb2.SignatureVerdict, signature.verdict)
    message.signature.project = signature.project
    message.signature.key_id = signature.key_id
    message.signature.key_state = enum_of(
        inspection_pb2.KeyState, signature.key_state or "unspecified"
    )
    for finding in inspection.findings:
        message.findings.add(
            reason=finding.reason,
            severity=enum_of(inspection_pb2.FindingSeverity, finding.severity),
            problem=finding.problem,
            advice=finding.advice,
        )
    for timestamp, ms in (
        ("issue_time", inspection.issue_ms),
        ("expire_time", inspection.expire_ms),
    ):
        if ms is not None:
            set_ms(getattr(message, timestamp), ms)
