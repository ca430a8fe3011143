"""Interactive Whiteboard tokens."""

from datetime import datetime, timedelta
from typing import Final, Literal

from token_authority.v1 import whiteboard_pb2
from token_authority_client._issuing_methods import IssuingMethods, ResultT_co
from token_authority_client._message_builder import Fields, build, expiration, flag, named, one_of
from token_authority_client._token_request import TokenRequest

_ROLES: Final = {
    "admin": whiteboard_pb2.WHITEBOARD_ROLE_ADMIN,
    "writer": whiteboard_pb2.WHITEBOARD_ROLE_WRITER,
    "reader": whiteboard_pb2.WHITEBOARD_ROLE_READER,
}


class WhiteboardMethods(IssuingMethods[ResultT_co]):
    """Issues whiteboard tokens."""

    def issue_whiteboard_token(
        self,
        *,
        role: Literal["admin", "writer", "reader"],
        room: str | None = None,
        task: str | None = None,
        sdk: bool = False,
        ttl: timedelta | None = None,
        expire_time: datetime | None = None,
        non_expiring: bool = False,
        project: str = "",
    ) -> ResultT_co:
        """Issues an Interactive Whiteboard token for one of a room, a task or the whole project.

        Args:
            role: The role in the room or task.
            room: The room's UUID.
            task: Or the file-conversion task's UUID.
            sdk: Or an SDK token, which grants access to all rooms and tasks: for servers only.
            ttl: The lifetime: 1 ms to 10 years, whole milliseconds. Default: an hour.
            expire_time: Or when it expires; an aware datetime.
            non_expiring: Or no expiration: it is valid as long as the key pair that signed it.
            project: The project's name on the server; "": the client's `project`.

        Raises:
            TokenAuthorityError: The token was not issued; see its subclasses.
        """
        message = build(
            whiteboard_pb2.IssueWhiteboardTokenRequest,
            "",
            project=project,
            role=named("role", role, _ROLES),
            **_scope(room, task, sdk),
            **expiration(ttl, expire_time, non_expiring),
        )
        return self.issue(TokenRequest("IssueWhiteboardToken", message))


def _scope(room: str | None, task: str | None, sdk: bool) -> Fields:
    """Returns the member of the oneof `scope`."""
    one_of("scope", room=room, task=task, sdk=sdk or None)
    room_scope, task_scope = whiteboard_pb2.WhiteboardRoomScope, whiteboard_pb2.WhiteboardTaskScope
    return {
        "room": None if room is None else build(room_scope, "room.", room_uuid=room),
        "task": None if task is None else build(task_scope, "task.", task_uuid=task),
        "sdk": flag("sdk", sdk),
    }
