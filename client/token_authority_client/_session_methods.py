"""The methods for sessions: they build one batch, and name its errors by their arguments."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, Generic, TypeVar

from token_authority.v1.batch_pb2 import BatchIssueTokensRequest
from token_authority_client import _responses
from token_authority_client._argument_names import argument_name
from token_authority_client._concrete_methods import ConcreteMethods
from token_authority_client._errors import (
    FieldViolation,
    InvalidRequest,
    TokenAuthorityError,
    restate,
)
from token_authority_client._families import prepare
from token_authority_client._session import Role, Session, SessionRequest, shorter_ttl
from token_authority_client._token_request import TokenRequest
from token_authority_client._values import IssuedToken

SessionT_co = TypeVar("SessionT_co", covariant=True)
SessionSourceT_co = TypeVar("SessionSourceT_co", covariant=True)

_WHITEBOARD_ROLES: Final[Mapping[str, Any]] = {"publisher": "writer", "subscriber": "reader"}
_ARGUMENTS: Final[Mapping[tuple[str, str], str]] = {
    ("rtm", "user_id"): "rtm",
    ("chat", "user_id"): "chat",
    ("whiteboard", "room"): "whiteboard_room",
}
# As in _batches: only where errors have paths. The server adds the product.
_ENTRY: Final = re.compile(r"(^|; |,)requests\[(\d)\](\.\w+)?")
_FIELD: Final = re.compile(r"^requests\[(\d)\]\.")


class SessionMethods(ConcreteMethods, ABC, Generic[SessionT_co, SessionSourceT_co]):
    """The methods for the tokens that one user needs in one channel."""

    @abstractmethod
    def _session(self, request: SessionRequest) -> SessionT_co:
        """Issues a session."""

    @abstractmethod
    def _session_source(self, request: SessionRequest) -> SessionSourceT_co:
        """Returns a source that renews a session."""

    def issue_session(
        self,
        *,
        channel: str,
        uid: int,
        role: Role,
        rtm: str | None = None,
        chat: str | None = None,
        whiteboard_room: str | None = None,
        ttl: timedelta | None = None,
        project: str = "",
    ) -> SessionT_co:
        """Issues all tokens that one user needs in one channel; they expire together.

        One call issues all of them or none. If a grant shortens one of them, a second call issues
        all again with that lifetime.

        Args:
            channel: The channel's name, exactly as the client joins it: 1 to 64 bytes.
            uid: The user's integer uid, 1 to 4294967295.
            role: What the user may do in the channel. On the whiteboard, a publisher is a writer,
                a subscriber a reader.
            rtm: The user ID of an RTM (Signaling) login.
            chat: The Chat user ID.
            whiteboard_room: The UUID of a whiteboard room.
            ttl: The lifetime: 1 s to 24 h, whole seconds. Default: an hour.
            project: The project's name on the server; "": the client's `project`.

        Raises:
            TokenAuthorityError: No token was issued; see its subclasses.
        """
        return self._session(
            _checked(SessionRequest(channel, uid, role, rtm, chat, whiteboard_room, ttl, project))
        )

    def session_source(
        self,
        *,
        channel: str,
        uid: int,
        role: Role,
        rtm: str | None = None,
        chat: str | None = None,
        whiteboard_room: str | None = None,
        ttl: timedelta | None = None,
        project: str = "",
    ) -> SessionSourceT_co:
        """Returns a source that renews a session as one; for the arguments see `issue_session`."""
        return self._session_source(
            _checked(SessionRequest(channel, uid, role, rtm, chat, whiteboard_room, ttl, project))
        )


async def fetch_session(
    call: Callable[[str, Any], Coroutine[Any, Any, Any]], request: SessionRequest, project: str
) -> Session:
    """Issues a session.

    Args:
        call: Calls a method of the server.
        request: The session's arguments.
        project: The project of a request that names none.

    Raises:
        TokenAuthorityError: No token was issued, or a response is unreadable.
    """
    tokens = await _issue(call, request, project)
    with _responses.READING:
        shorter = shorter_ttl(tokens)
    if shorter is not None:
        tokens = await _issue(call, replace(request, ttl=shorter), project)
    with _responses.READING:
        return request.session(tokens)


async def _issue(
    call: Callable[[str, Any], Coroutine[Any, Any, Any]], request: SessionRequest, project: str
) -> list[IssuedToken]:
    entries = [one.to_batch_entry(project) for one in _requests(request)]
    # One message of any size: a list that is split is not all or nothing.
    message = BatchIssueTokensRequest(requests=entries)
    with _named_arguments(request.products):
        return _responses.issued_tokens(await call("BatchIssueTokens", message), len(entries))


def _checked(request: SessionRequest) -> SessionRequest:
    """Returns the request if messages can hold its values."""
    _requests(request)
    return request


def _requests(request: SessionRequest) -> list[TokenRequest]:
    """Returns one request per product."""
    common: dict[str, Any] = {"ttl": request.ttl, "project": request.project}
    found: list[TokenRequest] = []
    for product in request.products:
        with _named_arguments([product]):
            match product:
                case "rtc":
                    one = prepare.issue_rtc_token(
                        channel=request.channel, uid=request.uid, role=request.role, **common
                    )
                case "rtm":
                    one = prepare.issue_rtm_token(user_id=request.rtm or "", **common)
                case "chat":
                    one = prepare.issue_chat_token(user_id=request.chat, **common)
                case _:
                    one = prepare.issue_whiteboard_token(
                        role=_WHITEBOARD_ROLES[request.role], room=request.whiteboard_room, **common
                    )
        found.append(one)
    return found


@contextmanager
def _named_arguments(products: Sequence[str]) -> Generator[None]:
    """Makes the text of errors name the arguments of `issue_session`, each rule once.

    Violations keep the paths of the contract.
    """
    try:
        yield
    except InvalidRequest as error:
        if error.violations:
            named = [_with_argument(violation, products) for violation in error.violations]
            advice = "; ".join(dict.fromkeys(map(str, named)))
            restate(error, f"invalid request: {advice}", advice)
        raise
    except TokenAuthorityError as error:
        # Advice names no entry.
        message = _ENTRY.sub(lambda entry: f"{entry[1]}{products[int(entry[2])]}", error.message)
        restate(error, message, error.advice)
        raise


def _with_argument(violation: FieldViolation, products: Sequence[str]) -> FieldViolation:
    entry = _FIELD.match(violation.field)
    product = products[int(entry[1]) if entry else 0]
    name = _FIELD.sub("", argument_name(violation.field))
    return replace(violation, field=_ARGUMENTS.get((product, name), name))
