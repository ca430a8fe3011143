"""AuthorityService: the caller's identity, grants and limits, and the states of signing keys."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

from token_authority.v1 import authority_pb2, inspection_pb2
from token_authority_server.access.grants import Grant
from token_authority_server.access.key_retirement import KeyReport
from token_authority_server.authority import Authority
from token_authority_server.errors import FieldViolation, invalid_request
from token_authority_server.identity.call_context import CallContext
from token_authority_server.key_listing import list_keys
from token_authority_server.limits import in_slices
from token_authority_server.rpc.handlers import Answer, Method
from token_authority_server.rpc.messages import duration, enum_of, set_ms
from token_authority_server.rpc.validation import RequestParser

_DEFAULT_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """Facts about the server for GetAuthorityInfo."""

    max_request_bytes: int
    version: str


def get_authority_info(authority: Authority, parser: RequestParser, facts: ServerFacts) -> Method:
    """Returns the method GetAuthorityInfo."""
    parse = parser.lenient_parser(authority_pb2.GetAuthorityInfoRequest.DESCRIPTOR.full_name)

    async def get(data: bytes, context: CallContext) -> Answer:
        parse(data)
        caller = context.caller
        message = authority_pb2.GetAuthorityInfoResponse(
            caller=caller.name,
            identity=context.identity,
            default_project=caller.only_project,
            limits=authority_pb2.CallerLimits(
                rates=caller.quota.describe(),
                max_in_flight=caller.quota.max_in_flight or 0,
                max_batch_size=caller.quota.max_batch,
                max_request_bytes=facts.max_request_bytes,
                inspect_rates=caller.quota.describe_inspections(),
            ),
            server_version=facts.version,
        )
        async for grant in in_slices(caller.grants):
            message.grants.append(_grant(grant))
        set_ms(message.server_time, authority.now_ms())
        return Answer(message.SerializeToString(), "authority_info", {})

    return get


def _grant(grant: Grant) -> authority_pb2.Grant:
    return authority_pb2.Grant(
        name=grant.name,
        project=grant.project,
        tokens=sorted(grant.token_types),
        roles=grant.roles.texts,
        channels=grant.channels.texts,
        users=grant.users.texts,
        rooms=grant.rooms.texts,
        default_ttl=duration(grant.default_ttl_ms),
        max_ttl=duration(grant.max_ttl_ms),
        clamp_ttl=grant.clamps_ttl,
        allow=sorted(grant.allow),
    )


def list_signing_keys(authority: Authority, parser: RequestParser) -> Method:
    """Returns the method ListSigningKeys."""
    parse = parser.lenient_parser(authority_pb2.ListSigningKeysRequest.DESCRIPTOR.full_name)

    async def answer(data: bytes, context: CallContext) -> Answer:
        request = parse(data)
        after = _place_of(request)
        size = request.page_size or _DEFAULT_PAGE
        # One more shows whether there is another page.
        reports = list_keys(authority, context.caller, request.project, after, size + 1)
        page = reports[:size]
        message = authority_pb2.ListSigningKeysResponse()
        async for report in in_slices(page):
            message.signing_keys.append(_signing_key(report))
        if len(page) < len(reports):
            message.next_page_token = _token_of(request.project, page[-1])
        return Answer(message.SerializeToString(), "listed", {"count": len(page)})

    return answer


def _token_of(project: str, last: KeyReport) -> str:
    place = f"{project}/{last.project}/{last.key.key_id}"
    return base64.urlsafe_b64encode(place.encode()).decode()


def _place_of(request: Any) -> tuple[str, str]:
    """Returns the last key of the previous page, which need not exist any more."""
    if not request.page_token:
        return "", ""
    try:
        place = base64.b64decode(request.page_token, altchars="-_", validate=True).decode()
        project, last_project, key_id = place.split("/")
    except (binascii.Error, ValueError):
        project, last_project, key_id = "?", "", ""
    if project != request.project:
        raise invalid_request(
            [
                FieldViolation(
                    "page_token",
                    "PAGE_TOKEN_INVALID",
                    "must be the next_page_token of a response for the same project",
                )
            ]
        )
    return last_project, key_id


def _signing_key(report: KeyReport) -> authority_pb2.SigningKey:
    key = report.key
    message = authority_pb2.SigningKey(
        project=report.project,
        key_id=key.key_id,
        product=key.product,
        app_id=key.app_id,
        state=enum_of(inspection_pb2.KeyState, key.state),
        deletion=enum_of(authority_pb2.KeyDeletion, report.deletion),
        warnings=report.warnings,
    )
    if key.retired_ms is not None:
        set_ms(message.retire_time, key.retired_ms)
    if report.safe_ms is not None:
        set_ms(message.safe_to_delete_time, report.safe_ms)
    return message
