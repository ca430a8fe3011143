"""Interactive Whiteboard tokens: SDK, room and task."""

from collections.abc import Mapping
from typing import Final

from token_authority.v1 import issued_token_pb2, whiteboard_pb2
from token_authority_server.errors import FieldViolation
from token_authority_server.families.advisories import Advisory
from token_authority_server.families.expiration import requested_ttl_ms
from token_authority_server.families.moment import Moment
from token_authority_server.families.service_access import AccessRequest, ServiceAccess, TokenType
from token_authority_server.families.terms import DAY_MS, MILLISECONDS, Terms
from token_authority_server.families.token_family import TokenFamily
from token_authority_server.formats import token_warnings
from token_authority_server.formats.netless import NetlessType, build_netless_token
from token_authority_server.keyring import AccessKey

# Agora's texts for the roles: a smaller number means more rights.
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
"""The roles, as grants name them."""
_SDK_ADVISORY: Final = Advisory.of(token_warnings.SDK_TOKEN_SERVER_SIDE_ONLY)


class Whiteboard(TokenFamily[whiteboard_pb2.IssueWhiteboardTokenRequest, AccessKey]):
    """Netless tokens: times in milliseconds, 10 years at most."""

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

    def read(
        self, request: whiteboard_pb2.IssueWhiteboardTokenRequest, now_ms: int
    ) -> AccessRequest:
        """Reads a request; see TokenFamily.read."""
        scope, content = _scope(request)
        access = ServiceAccess(f"whiteboard.{scope}", ROLES[request.role], room=content.get("uuid"))
        expiration = request.WhichOneof("expiration")
        violations: list[FieldViolation] = []
        ttl_ms = requested_ttl_ms(
            request, expiration, now_ms, MILLISECONDS, self.max_ttl_ms, violations
        )
        terms = Terms(
            format=issued_token_pb2.TOKEN_FORMAT_NETLESS,
            issue_ms=now_ms,
            ttl_ms=ttl_ms,
            advisories=(_SDK_ADVISORY,) if scope == "sdk" else (),
            ttl_is_default=expiration is None,
        )
        return AccessRequest([access], terms, violations)

    def sign(
        self,
        request: whiteboard_pb2.IssueWhiteboardTokenRequest,
        terms: Terms,
        key: AccessKey,
        moment: Moment,
    ) -> str:
        """Builds the token; see TokenFamily.sign."""
        scope, content = _scope(request)
        return build_netless_token(
            scope,
            access_key=key.access_key,
            secret_key=key.secret_key.reveal(),
            content={"role": _ROLES[request.role], **content},
            # Agora's 0 means "never expires".
            lifespan_ms=terms.ttl_ms or 0,
            now_ms=terms.issue_ms,
            nonce=moment.nonce,
        )


def _scope(
    request: whiteboard_pb2.IssueWhiteboardTokenRequest,
) -> tuple[NetlessType, dict[str, str]]:
    """Returns the prefix of the token, and its fields other than the role."""
    match request.WhichOneof("scope"):
        case "room":
            return "room", {"uuid": request.room.room_uuid}
        case "task":
            return "task", {"uuid": request.task.task_uuid}
        case "sdk":
            return "sdk", {}
        case _:
            raise AssertionError("the contract requires a scope")
