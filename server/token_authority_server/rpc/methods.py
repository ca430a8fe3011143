"""The methods of the contract, by path."""

from collections.abc import Mapping
from typing import Any

from token_authority_server.authority import Authority
from token_authority_server.authorization import AuthorizedRequest
from token_authority_server.families import TokenFamily
from token_authority_server.identity.call_context import CallContext
from token_authority_server.rpc import messages
from token_authority_server.rpc.authority_service import (
    ServerFacts,
    get_authority_info,
    list_signing_keys,
)
from token_authority_server.rpc.batch import BatchIssueTokens
from token_authority_server.rpc.contract import (
    AUTHORITY_SERVICE,
    ENCRYPTION_SERVICE,
    INSPECTION_SERVICE,
    TOKEN_SERVICE,
    families_by_method,
)
from token_authority_server.rpc.encryption_service import channel_key_method
from token_authority_server.rpc.handlers import Answer, Method
from token_authority_server.rpc.inspection_service import inspect_token
from token_authority_server.rpc.validation import RequestParser, check_issue_size
from token_authority_server.telemetry.metrics import Metrics


def methods(
    authority: Authority, parser: RequestParser, metrics: Metrics, facts: ServerFacts
) -> Mapping[str, Method]:
    """Returns every method by its path.

    Raises:
        RuntimeError: The contract and the token families do not match.
    """
    issue = {
        f"/{TOKEN_SERVICE.full_name}/{method}": _issue(family, authority, parser, metrics)
        for method, family in families_by_method().items()
    }
    about = f"/{AUTHORITY_SERVICE.full_name}"
    return {
        **issue,
        f"/{TOKEN_SERVICE.full_name}/BatchIssueTokens": BatchIssueTokens(
            authority, parser, metrics
        ),
        f"/{INSPECTION_SERVICE.full_name}/InspectToken": inspect_token(authority, parser),
        f"/{ENCRYPTION_SERVICE.full_name}/IssueChannelKey": channel_key_method(authority, parser),
        f"{about}/GetAuthorityInfo": get_authority_info(authority, parser, facts),
        f"{about}/ListSigningKeys": list_signing_keys(authority, parser),
    }


def _issue(
    family: TokenFamily[Any, Any], authority: Authority, parser: RequestParser, metrics: Metrics
) -> Method:
    """Returns the method that issues tokens of a family."""
    parse = parser.parser(family.request_type.DESCRIPTOR.full_name)
    response_type: Any = family.response_type

    async def issue(data: bytes, context: CallContext) -> Answer:
        check_issue_size(len(data))
        request = parse(data)
        if request.validate_only:
            allowed = await authority.validate(context, family, request)
            response = response_type(decision=messages.decision(allowed))
            return Answer(response.SerializeToString(), "validated", _about(allowed))
        issued = await authority.issue(context, family, request)
        allowed = issued.allowed
        metrics.issued(context.caller.name, allowed.project, allowed.token_type)
        response = response_type()
        messages.describe(response.issued_token, issued)
        about = {**_about(allowed), "token_id": issued.token_id}
        return Answer(response.SerializeToString(), "issued", about)

    return issue


def _about(allowed: AuthorizedRequest) -> dict[str, str]:
    return {
        "project": allowed.project,
        "grant": allowed.grant.name,
        "key_id": allowed.key.key_id,
    }
