"""The method that explains a token, written once for all clients."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import Generic, TypeVar

from token_authority.v1 import inspection_pb2
from token_authority_client._concrete_methods import ConcreteMethods
from token_authority_client._message_builder import build, invalid, one_of, timestamp
from token_authority_client._responses import inspection
from token_authority_client._values import Inspection, IssuedToken

ResultT_co = TypeVar("ResultT_co", covariant=True)


class InspectionMethods(ConcreteMethods, ABC, Generic[ResultT_co]):
    """The methods of InspectionService."""

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
        """Explains a token: its content, its signature, and why Agora may refuse it.

        The token may come from any issuer, and text around it is ignored. What is known of its use
        is compared with its content.

        Args:
            token: The token, 1 to 65536 bytes; quotes, white space and the like around it do no
                harm.
            app_id: The App ID that the SDK was initialised with.
            channel: The channel that was joined, exactly as it was spelt.
            uid: The user's integer uid, 0 to 4294967295; 0 if Agora assigned one.
            user_account: Or the string account, or the RTM, Chat or education user.
            room_uuid: The whiteboard or classroom room.
            at_time: When the token was used; an aware datetime. Default: now, by the server's
                clock.
            error_code: The error code of Agora's SDK: RTC 101, 109, 110, 118, 119;
                RTM 5, 6, -10005, -10009.

        Raises:
            TokenAuthorityError: The call failed; see its subclasses.
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
    """Refuses the result of `issue_…_token`, of which the token is one attribute."""
    if isinstance(token, IssuedToken):
        raise invalid("token", "INVALID_VALUE", "must be a str; got IssuedToken: pass issued.token")


class LocalInspector(InspectionMethods[Inspection]):
    """Explains tokens without a server, for `token-authority inspect --offline`.

    Args:
        inspect: Takes an encoded InspectTokenRequest and returns an encoded InspectTokenResponse.
    """

    def __init__(self, inspect: Callable[[bytes], bytes]) -> None:
        self._inspector = inspect

    def _inspect(self, message: inspection_pb2.InspectTokenRequest) -> Inspection:
        response = self._inspector(message.SerializeToString())
        return inspection(inspection_pb2.InspectTokenResponse.FromString(response))
