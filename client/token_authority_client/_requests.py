"""The issuing methods, written once: Python arguments in, request message out.

What happens with the message is up to the subclass: it is sent now, sent for a decision only, or
kept. The contract's rules are not checked here; the server reports all violations at once.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Generic, Literal, TypeVar

from token_authority.v1 import (
    access_token_pb2,
    chat_pb2,
    education_pb2,
    issued_token_pb2,
    rtc_pb2,
    rtm_pb2,
    whiteboard_pb2,
)
from token_authority_client import _request_fields
from token_authority_client._concrete_methods import ConcreteMethods
from token_authority_client._message_builder import (
    TokenRequest,
    build,
    channel_fields,
    expiration,
    named,
    one_of,
    user_fields,
)
from token_authority_client._services import AccessTokenService
from token_authority_client._values import RtcPrivileges, RtmLogin, RtmPermission

ResultT_co = TypeVar("ResultT_co", covariant=True)

_WHITEBOARD_ROLES: Final = {
    "admin": whiteboard_pb2.WHITEBOARD_ROLE_ADMIN,
    "writer": whiteboard_pb2.WHITEBOARD_ROLE_WRITER,
    "reader": whiteboard_pb2.WHITEBOARD_ROLE_READER,
}
_RTC_ROLES: Final = {
    "publisher": rtc_pb2.RTC_ROLE_PUBLISHER,
    "subscriber": rtc_pb2.RTC_ROLE_SUBSCRIBER,
}
_FORMATS: Final = {
    "006": issued_token_pb2.TOKEN_FORMAT_V006,
    "007": issued_token_pb2.TOKEN_FORMAT_V007,
}


class TokenMethods(ConcreteMethods, ABC, Generic[ResultT_co]):
    """One issuing method per family of tokens."""

    @abstractmethod
    def issue(self, request: TokenRequest) -> ResultT_co:
        """Handles a request; all methods below pass theirs to it."""

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
            non_expiring: Or never: it is valid as long as the key pair that signed it.
            project: The project's name on the server; "": the client's `project`.

        Raises:
            TokenAuthorityError: The token was not issued; see its subclasses.
        """
        message = build(
            whiteboard_pb2.IssueWhiteboardTokenRequest,
            "",
            project=project,
            role=named("role", role, _WHITEBOARD_ROLES),
            **_request_fields.whiteboard_scope("", room, task, sdk),
            **expiration(ttl, expire_time, non_expiring),
        )
        return self.issue(TokenRequest("IssueWhiteboardToken", message))

    def issue_rtc_token(
        self,
        *,
        channel: str | None = None,
        any_channel: bool = False,
        channel_pattern: str | None = None,
        uid: int | None = None,
        user_account: str | None = None,
        any_user: bool = False,
        role: Literal["publisher", "subscriber"] | None = None,
        privileges: RtcPrivileges | None = None,
        ttl: timedelta | None = None,
        expire_time: datetime | None = None,
        format: Literal["006", "007"] | None = None,  # noqa: A002  # the contract's name
        rtm: RtmLogin | None = None,
        project: str = "",
    ) -> ResultT_co:
        """Issues an RTC token for a channel and a user, with a role or privileges.

        Args:
            channel: The channel's name, exactly as the client joins it: 1 to 64 bytes.
            any_channel: Or a wildcard for all channels; 007 only, never with `any_user`.
            channel_pattern: Or a pattern in which "*" matches any text, e.g. "lesson-*": 2 to 64
                letters, digits, "-", "_" and "*"; 007 only, never with `any_user`. Agora calls this
                extended wildcard matching, and only Shengwang documents it.
            uid: The user's integer uid, 1 to 4294967295.
            user_account: Or the user's string account, 1 to 255 bytes.
            any_user: Or a wildcard for all users.
            role: What the user may do.
            privileges: Or one lifetime per privilege.
            ttl: The lifetime: 1 s to 24 h, whole seconds. Default: the longest privilege, else an
                hour.
            expire_time: Or when it expires; an aware datetime.
            format: The token's format. Default: 007.
            rtm: An RTM login in the same token; 007 only.
            project: The project's name on the server; "": the client's `project`.

        Raises:
            TokenAuthorityError: The token was not issued; see its subclasses.
        """
        one_of("rights", role=role, privileges=privileges)
        message = build(
            rtc_pb2.IssueRtcTokenRequest,
            "",
            project=project,
            **channel_fields("", channel, any_channel, channel_pattern),
            **user_fields("", uid, user_account, any_user),
            role=None if role is None else named("role", role, _RTC_ROLES),
            privileges=None
            if privileges is None
            else _request_fields.privileges("privileges.", privileges),
            **expiration(ttl, expire_time),
            format=None if format is None else named("format", format, _FORMATS),
            rtm=None if rtm is None else _request_fields.rtm_login("rtm.", rtm),
        )
        return self.issue(TokenRequest("IssueRtcToken", message))

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
            else _request_fields.rtm_permissions("permissions.", permissions),
            **expiration(ttl, expire_time),
            format=None if format is None else named("format", format, _FORMATS),
        )
        return self.issue(TokenRequest("IssueRtmToken", message))

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
            **_request_fields.chat_subject("", user_id, app),
            **expiration(ttl, expire_time),
        )
        return self.issue(TokenRequest("IssueChatToken", message))

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
            **_request_fields.education_subject("", user_uuid, room_uuid, role, app),
            **expiration(ttl, expire_time),
        )
        return self.issue(TokenRequest("IssueEducationToken", message))

    def issue_access_token(
        self,
        *,
        services: Iterable[AccessTokenService],
        ttl: timedelta | None = None,
        expire_time: datetime | None = None,
        project: str = "",
    ) -> ResultT_co:
        """Issues one 007 token for any composition of services.

        Args:
            services: 1 to 32 services such as RtcService, in any order. Several of one class are
                kept, in their order.
            ttl: The lifetime: 1 s to 24 h, whole seconds. Default: the longest lifetime of a
                service; if none has one, an hour, or 24 hours for FPA alone.
            expire_time: Or when it expires; an aware datetime.
            project: The project's name on the server; "": the client's `project`.

        Raises:
            TokenAuthorityError: The token was not issued; see its subclasses.
        """
        message = build(
            access_token_pb2.IssueAccessTokenRequest,
            "",
            project=project,
            services=_request_fields.services("services", services),
            **expiration(ttl, expire_time),
        )
        return self.issue(TokenRequest("IssueAccessToken", message))


class TokenRequests(TokenMethods[TokenRequest]):
    """The issuing methods, which send nothing and return requests."""

    def issue(self, request: TokenRequest) -> TokenRequest:
        """Returns the request."""
        return request


prepare: Final = TokenRequests()
"""Makes requests for `issue`, `issue_many` and `token_source`: the clients' methods, unsent."""
