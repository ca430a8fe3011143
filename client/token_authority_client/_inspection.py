"""The method that explains a token, written once, like those of `requests`."""

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Generic, TypeVar

from token_authority.v1 import inspection_pb2
from token_authority_client._message_builder import build, invalid, one_of, timestamp
from token_authority_client._values import IssuedToken

ResultT_co = TypeVar("ResultT_co", covariant=True)


class InspectionMethods(ABC, Generic[ResultT_co]):
    """What InspectionService does."""

    @abstractmethod
    def _inspect(self, message: inspection_pb2.InspectTokenRequest) -> ResultT_co:
        """Sends the request."""

    def inspect_token(
        self,
        token: str,
        *,
        app_id: str | None = None,
        channel: str | None = None,
        uid: int | None = None,
        user_account: str | None = None,
        room_uuid: str | None = None,
        at_time: datetime | None = None,
        error_code: int | None = None,
    ) -> ResultT_co:
        """Explains a token: what is in it, who signed it, and why it is refused.

        Whoever made it, and whatever else the text has around it. What is known of its use is
        compared with it.

        Args:
            token: Whatever was found where a token should be: 1 to 65536 bytes, no need to tidy up.
            app_id: The App ID the SDK was initialised with.
            channel: The channel that was joined, exactly as it was spelt.
            uid: The integer uid of who joined, 0 to 4294967295; 0: it let Agora choose.
            user_account: Or the string account, or the RTM, Chat or education user.
            room_uuid: The whiteboard or classroom room.
            at_time: When it was used; with a time zone. Unset: now, by the server's clock.
            error_code: The code that Agora's SDK gave: RTC 101, 109, 110, 118, 119;
                RTM 5, 6, -10005, -10009.

        Raises:
            TokenAuthorityError: No explanation; see its subclasses.
        """
        _check_type(token)
        one_of("expected.user", uid=uid, user_account=user_account)
        expected = build(
            inspection_pb2.Expected,
            "expected.",
            app_id=app_id,
            channel_name=channel,
            uid=uid,
            user_account=user_account,
            room_uuid=room_uuid,
            at_time=timestamp("expected.at_time", at_time),
            error_code=error_code,
        )
        message = build(inspection_pb2.InspectTokenRequest, "", token=token, expected=expected)
        return self._inspect(message)


def _check_type(token: object) -> None:
    """Refuses what `issue_…_token` returned: not all of it is the token."""
    if isinstance(token, IssuedToken):
        raise invalid("token", "INVALID_VALUE", "must be text: pass issued.token")
