"""RTC tokens."""

from datetime import datetime, timedelta
from typing import Final, Literal

from token_authority.v1 import rtc_pb2
from token_authority_client._issuing_methods import FORMATS, IssuingMethods, ResultT_co
from token_authority_client._message_builder import (
    build,
    channel_fields,
    duration,
    expiration,
    lifetimes,
    named,
    one_of,
    user_fields,
)
from token_authority_client._token_request import TokenRequest
from token_authority_client._value_errors import wrong_type
from token_authority_client._values import RtcPrivileges, RtmLogin

_ROLES: Final = {
    "publisher": rtc_pb2.RTC_ROLE_PUBLISHER,
    "subscriber": rtc_pb2.RTC_ROLE_SUBSCRIBER,
}
_RIGHTS: Final = ("join_channel", "publish_audio", "publish_video", "publish_data")


class RtcMethods(IssuingMethods[ResultT_co]):
    """Issues RTC tokens."""

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
            role=None if role is None else named("role", role, _ROLES),
            privileges=None if privileges is None else _privileges(privileges),
            **expiration(ttl, expire_time),
            format=None if format is None else named("format", format, FORMATS),
            rtm=None if rtm is None else _rtm_login(rtm),
        )
        return self.issue(TokenRequest("IssueRtcToken", message))


def _privileges(value: object) -> rtc_pb2.RtcPrivileges:
    if not isinstance(value, RtcPrivileges):
        raise wrong_type("privileges", "an RtcPrivileges", value)
    path = "privileges."
    return build(rtc_pb2.RtcPrivileges, path, **lifetimes(path, value, *_RIGHTS))


def _rtm_login(value: object) -> rtc_pb2.RtmLogin:
    if not isinstance(value, RtmLogin):
        raise wrong_type("rtm", "an RtmLogin", value)
    ttl = duration("rtm.ttl", value.ttl)
    return build(rtc_pb2.RtmLogin, "rtm.", user_id=value.user_id, ttl=ttl)
