"""The methods of the contract: Issue methods served by their kinds, and one each for the rest."""

from typing import Any

from token_authority_server.authority import Authority
from token_authority_server.kinds.base import Kind
from token_authority_server.rpc import messages
from token_authority_server.rpc.batch import BatchIssueTokens
from token_authority_server.rpc.contract import INSPECTION_SERVICE, TOKEN_SERVICE, kinds_by_method
from token_authority_server.rpc.handlers import Answer, Handlers, Method
from token_authority_server.rpc.inspection import inspect_token
from token_authority_server.rpc.observe import CallLog
from token_authority_server.rpc.validation import RequestParser, check_issue_size


def handlers(authority: Authority, parser: RequestParser, log: CallLog) -> Handlers:
    """Returns the handlers of every method.

    Raises:
        RuntimeError: The contract and what serves it do not match.
    """
    issue = {
        f"/{TOKEN_SERVICE.full_name}/{method}": _issue(kind, authority, parser)
        for method, kind in kinds_by_method().items()
    }
    batch = f"/{TOKEN_SERVICE.full_name}/BatchIssueTokens"
    inspect = f"/{INSPECTION_SERVICE.full_name}/InspectToken"
    methods: dict[str, Method] = {
        **issue,
        batch: BatchIssueTokens(authority, parser),
        inspect: inspect_token(authority, parser),
    }
    return Handlers(methods, log)


def _issue(kind: Kind[Any, Any], authority: Authority, parser: RequestParser) -> Method:
    """Returns the method that issues tokens of a kind."""
    parse = parser.parser(kind.request_type.DESCRIPTOR.full_name)
    response_type: Any = kind.response_type

    async def issue(data: bytes) -> Answer:
        check_issue_size(len(data))
        request = parse(data)
        allowed = authority.allow(kind, request)
        about = {"project": allowed.project, "key_id": allowed.key.key_id}
        if request.validate_only:
            response = response_type(decision=messages.decision(allowed))
            return Answer(response.SerializeToString(), "validated", about)
        issued = authority.sign(allowed)
        response = response_type(issued_token=messages.issued_token(issued))
        about["token_id"] = issued.token_id
        return Answer(response.SerializeToString(), "issued", about)

    return issue
