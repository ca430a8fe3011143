"""The method that explains a token, written once for all clients."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, Generic, TypeVar

from token_authority.v1 import inspection_pb2
from token_authority_client._concrete_methods import ConcreteMethods
from token_authority_client._message_builder import build, one_of, timestamp
from token_authority_client._responses import inspection
from token_authority_client._value_errors import invalid
from token_authority_client._values import Inspection, IssuedToken, Product

_PRODUCTS: Final[Mapping[str, int]] = {
    "rtc": inspection_pb2.PRODUCT_RTC,
    "rtm": inspection_pb2.PRODUCT_RTM,
    "chat": inspection_pb2.PRODUCT_CHAT,
    "education": inspection_pb2.PRODUCT_EDUCATION,
    "whiteboard": inspection_pb2.PRODUCT_WHITEBOARD,
}
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
        error: str | int | None = None,
        product: Product | None = None,
        error_code: int | None = None,
    ) -> ResultT_co:
        """Explains a token: its content, its signer, and why it is refused.

        Accepts a token of any issuer, with any text around it. The other arguments describe its
        use, and are compared with it.

        Args:
            token: Any text that was found in the place of a token: 1 to 65536 bytes.
            app_id: The App ID the SDK was initialised with.
            channel: The channel that was joined, exactly as the client has it.
            uid: The integer uid the client joined with; 0: Agora chose one. A number that is not
                from 0 to 4294967295 is a finding.
            user_account: Or the string account, or the RTM, Chat or education user.
            room_uuid: The whiteboard or classroom room.
            at_time: When it was used; with a time zone. Unset: now, by the server's clock.
            error: What Agora's SDK reported: a number (110), a name ("ERR_INVALID_TOKEN") or a
                message text ("dynamic use static key"), up to 65536 bytes.
            product: The product it was used with. Unset: derived from the error or the uid.
            error_code: A number like `error`, which has precedence.

        Raises:
            TokenAuthorityError: There is no explanation; see its subclasses.
        """
        _check_type(token)
        one_of("expected.user", uid=uid, user_account=user_account)
        expected = build(
            inspection_pb2.Expected,
            "expected.",
            app_id=app_id,
            channel_name=channel,
            uid=_within_int64(uid),
            user_account=user_account,
            room_uuid=room_uuid,
            at_time=timestamp("expected.at_time", at_time),
            error_code=error_code,
            error=str(error) if _is_number(error) else error,
            product=_product(product),
        )
        message = build(inspection_pb2.InspectTokenRequest, "", token=token, expected=expected)
        return self._inspect(message)


def _is_number(error: object) -> bool:
    return isinstance(error, int) and not isinstance(error, bool)


def _within_int64(uid: int | None) -> int | None:
    """Returns the nearest number that the message can hold: all of those are out of range."""
    return max(-(2**63), min(uid, 2**63 - 1)) if _is_number(uid) and uid is not None else uid


def _product(name: str | None) -> int | None:
    """Returns the number of a product.

    Raises:
        InvalidRequest: There is no such product.
    """
    if name is None:
        return None
    if name not in _PRODUCTS:
        raise invalid("expected.product", "INVALID_VALUE", f"must be one of {', '.join(_PRODUCTS)}")
    return _PRODUCTS[name]


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
