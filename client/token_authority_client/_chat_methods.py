"""Chat tokens."""

from datetime import datetime, timedelta

from token_authority.v1 import chat_pb2
from token_authority_client._issuing_methods import IssuingMethods, ResultT_co
from token_authority_client._message_builder import build, chat_subject, expiration
from token_authority_client._token_request import TokenRequest


class ChatMethods(IssuingMethods[ResultT_co]):
    """Issues Chat tokens."""

    def issue_chat_token(
        self,
        *,
        user_id: str | None = None,
        app: bool = False,
        ttl: timedelta | None = None,
        expire_time: datetime | None = None,
        project: str = "",
    ) -> ResultT_co:
        """Issues a Chat token for a user or for the app.

        Args:
            user_id: The Chat user ID: 1 to 64 of a-z, 0-9, "_", "-" and ".". Upper-case letters and
                the UUID that Chat assigned at registration are accepted too.
            app: Or the app, with full access to Chat's REST API: for servers only.
            ttl: The lifetime: 1 s to 24 h, whole seconds. Default: an hour.
            expire_time: Or when it expires; an aware datetime.
            project: The project's name on the server; "": the client's `project`.

        Raises:
            TokenAuthorityError: The token was not issued; see its subclasses.
        """
        message = build(
            chat_pb2.IssueChatTokenRequest,
            "",
            project=project,
            **chat_subject("", user_id, app),
            **expiration(ttl, expire_time),
        )
        return self.issue(TokenRequest("IssueChatToken", message))
