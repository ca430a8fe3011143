"""Interactive Whiteboard tokens: SDK, room and task."""

from collections.abc import Mapping, Sequence
from typing import Final

from token_authority.v1 import issued_token_pb2, whiteboard_pb2
from token_authority_server.errors import FieldViolation, invalid_request
from token_authority_server.families.base import (
    DAY_MS,
    MILLISECONDS,
    Advisory,
    Moment,
    ServiceAccess,
    Terms,
    TokenFamily,
    TokenType,
    requested_ttl_ms,
)
from token_authority_server.formats.netless import NetlessKind, build_netless_token
from token_authority_server.keyring import AccessKey

# What Agora writes for a role: the smaller, the stronger.
_ROLES: Final[Mapping[int, str]] = {
    whiteboard_pb2.WHITEBOARD_ROLE_ADMIN: "0",
    whiteboard_pb2.WHITEBOARD_ROLE_WRITER: "1",
    whiteboard_pb2.WHITEBOARD_ROLE_READER: "2",
}
ROLES: Final[Mapping[int, str]] = {
    whiteboard_pb2.WHITEBOARD_ROLE_ADMIN: "admin",
    whiteboard_pb2.WHITEBOARD_ROLE_WRITER: "writer",
    whiteboard_pb2.WHITEBOARD_ROLE_READER: "reader",
}
"""How grants name the roles."""
_SDK_ADVISORY: Final = Advisory(
    "SDK_TOKEN_SERVER_SIDE_ONLY",
    "An SDK token opens every room of the project: keep it on servers, out of clients, databases "
    "and configuration files, and hand clients room or task tokens.",
)


class Whiteboard(TokenFamily[whiteboard_pb2.IssueWhiteboardTokenRequest, AccessKey]):
    """Netless tokens, timed to the millisecond."""

    name = "whiteboard"
    request_type = whiteboard_pb2.IssueWhiteboardTokenRequest
    response_type = whiteboard_pb2.IssueWhiteboardTokenResponse
    key_type = AccessKey
    max_ttl_ms = 3650 * DAY_MS
    unit = MILLISECONDS
    token_types = (
        TokenType("whiteboard.sdk", ("roles",), explicit=True, roles=tuple(ROLES.values())),
        TokenType("whiteboard.room", ("roles", "rooms"), roles=tuple(ROLES.values())),
        TokenType("whiteboard.task", ("roles", "rooms"), roles=tuple(ROLES.values())),
    )

    def parts(self, request: whiteboard_pb2.IssueWhiteboardTokenRequest) -> Sequence[ServiceAccess]:
        """Returns what the token would carry; see TokenFamily.parts."""
        kind, content = _scope(request)
        return [ServiceAccess(f"whiteboard.{kind}", ROLES[request.role], room=content.get("uuid"))]

    def terms(self, request: whiteboard_pb2.IssueWhiteboardTokenRequest, now_ms: int) -> Terms:
        """Reads a request; see TokenFamily.terms."""
        violations: list[FieldViolation] = []
        ttl_ms = requested_ttl_ms(
            request,
            request.WhichOneof("expiration"),
            now_ms,
            MILLISECONDS,
            self.max_ttl_ms,
            violations,
        )
        if violations:
            raise invalid_request(violations)
        return Terms(
            format=issued_token_pb2.TOKEN_FORMAT_NETLESS,
            issue_ms=now_ms,
            ttl_ms=ttl_ms,
            advisories=(_SDK_ADVISORY,) if request.WhichOneof("scope") == "sdk" else (),
            ttl_is_default=request.WhichOneof("expiration") is None,
        )

    def sign(
        self,
        request: whiteboard_pb2.IssueWhiteboardTokenRequest,
        terms: Terms,
        key: AccessKey,
        moment: Moment,
    ) -> str:
        """Builds the token; see TokenFamily.sign."""
        kind, content = _scope(request)
        return build_netless_token(
            kind,
            access_key=key.access_key,
            secret_key=key.secret_key.reveal(),
            content={"role": _ROLES[request.role], **content},
            # 0 is how Agora writes "never".
            lifespan_ms=terms.ttl_ms or 0,
            now_ms=terms.issue_ms,
            nonce=moment.nonce,
        )


def _scope(
    request: whiteboard_pb2.IssueWhiteboardTokenRequest,
) -> tuple[NetlessKind, dict[str, str]]:
    match request.WhichOneof("scope"):
        case "room":
            return "room", {"uuid": request.room.room_uuid}
        case "task":
            return "task", {"uuid": request.task.task_uuid}
        case "sdk":
            return "sdk", {}
        case _:
            raise AssertionError("the contract requires a scope")
