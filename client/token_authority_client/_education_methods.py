"""Education (Flexible Classroom) tokens."""

from datetime import datetime, timedelta

from token_authority.v1 import education_pb2
from token_authority_client._issuing_methods import IssuingMethods, ResultT_co
from token_authority_client._message_builder import build, education_subject, expiration
from token_authority_client._token_request import TokenRequest


class EducationMethods(IssuingMethods[ResultT_co]):
    """Issues education tokens."""

    def issue_education_token(
        self,
        *,
        user_uuid: str | None = None,
        room_uuid: str | None = None,
        role: int | None = None,
        app: bool = False,
        ttl: timedelta | None = None,
        expire_time: datetime | None = None,
        project: str = "",
    ) -> ResultT_co:
        """Issues a Flexible Classroom (education, aPaaS) token.

        For a user in a room, pass user, room and role: the token also logs in to RTM and Chat. For
        a user outside rooms, pass only the user. For the app, pass only `app`.

        Args:
            user_uuid: The user: 1 to 64 printable ASCII characters except "*", no leading space.
            room_uuid: The room, likewise.
            role: The user's role in the room, 0 to 32767 (Agora defines the values). No default.
            app: The app, with full access to the REST API: for servers only.
            ttl: The lifetime: 1 s to 24 h, whole seconds. Default: an hour.
            expire_time: Or when it expires; an aware datetime.
            project: The project's name on the server; "": the client's `project`.

        Raises:
            TokenAuthorityError: The token was not issued; see its subclasses.
        """
        message = build(
            education_pb2.IssueEducationTokenRequest,
            "",
            project=project,
            **education_subject("", user_uuid, room_uuid, role, app),
            **expiration(ttl, expire_time),
        )
        return self.issue(TokenRequest("IssueEducationToken", message))
