"""RTM (Signaling) tokens."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from token_authority.v1 import rtm_pb2
from token_authority_client._issuing_methods import FORMATS, IssuingMethods, ResultT_co
from token_authority_client._message_builder import build, expiration, named, rtm_permissions
from token_authority_client._token_request import TokenRequest
from token_authority_client._values import RtmPermission


class RtmMethods(IssuingMethods[ResultT_co]):
    """Issues RTM tokens."""

    def issue_rtm_token(
        self,
        *,
        user_id: str,
        permissions: Iterable[RtmPermission] | None = None,
        ttl: timedelta | None = None,
        expire_time: datetime | None = None,
        format: Literal["006", "007"] | None = None,  # noqa: A002  # the contract's name
        project: str = "",
    ) -> ResultT_co:
        """Issues an RTM (Signaling) token for a login, optionally with resource permissions.

        Args:
            user_id: The user who logs in: 1 to 64 printable ASCII characters except "*", no leading
                space.
            permissions: The resources that the user may access, at most one per pair of access and
                resource type; 007 only. Empty: none. Default: as the project's settings allow.
            ttl: The lifetime: 1 s to 24 h, whole seconds. Default: an hour.
            expire_time: Or when it expires; an aware datetime.
            format: The token's format. Default: 007.
            project: The project's name on the server; "": the client's `project`.

        Raises:
            TokenAuthorityError: The token was not issued; see its subclasses.
        """
        message = build(
            rtm_pb2.IssueRtmTokenRequest,
            "",
            project=project,
            user_id=user_id,
            permissions=None
            if permissions is None
            else rtm_permissions("permissions.", permissions),
            **expiration(ttl, expire_time),
            format=None if format is None else named("format", format, FORMATS),
        )
        return self.issue(TokenRequest("IssueRtmToken", message))
