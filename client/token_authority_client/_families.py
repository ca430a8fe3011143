"""The methods of all token families: those that issue tokens, and those that create sources."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar

from token_authority_client._access_token_methods import AccessTokenMethods
from token_authority_client._chat_methods import ChatMethods
from token_authority_client._concrete_methods import ConcreteMethods
from token_authority_client._education_methods import EducationMethods
from token_authority_client._issuing_methods import ResultT_co
from token_authority_client._rtc_methods import RtcMethods
from token_authority_client._rtm_methods import RtmMethods
from token_authority_client._token_request import TokenRequest
from token_authority_client._whiteboard_methods import WhiteboardMethods

P = ParamSpec("P")
SourceT = TypeVar("SourceT")
SourceT_co = TypeVar("SourceT_co", covariant=True)


class TokenMethods(
    WhiteboardMethods[ResultT_co],
    RtcMethods[ResultT_co],
    RtmMethods[ResultT_co],
    ChatMethods[ResultT_co],
    EducationMethods[ResultT_co],
    AccessTokenMethods[ResultT_co],
):
    """One issuing method per family of tokens."""


class TokenRequests(TokenMethods[TokenRequest]):
    """The issuing methods, which send nothing and return requests."""

    def issue(self, request: TokenRequest) -> TokenRequest:
        """Returns the request."""
        return request


prepare: Final = TokenRequests()
"""Makes requests for `issue`, `issue_many` and `token_source`: the clients' methods, unsent."""


def _arguments_of(
    issue: Callable[Concatenate[TokenRequests, P], TokenRequest],
) -> Callable[[Callable[[Any, TokenRequest], SourceT]], Callable[Concatenate[Any, P], SourceT]]:
    """Replaces a method's `request` by the arguments of the method that makes such requests."""

    def decorate(
        method: Callable[[Any, TokenRequest], SourceT],
    ) -> Callable[Concatenate[Any, P], SourceT]:
        def create(self: Any, /, *arguments: P.args, **named: P.kwargs) -> SourceT:
            return method(self, issue(prepare, *arguments, **named))

        result = method.__annotations__["return"]
        create = update_wrapper(create, method)
        create.__dict__["__signature__"] = inspect.signature(issue).replace(
            return_annotation=result
        )
        return create

    return decorate


class SourceMethods(ConcreteMethods, ABC, Generic[SourceT_co]):
    """One method per family of tokens, with the arguments of the one that issues it."""

    @abstractmethod
    def token_source(self, request: TokenRequest) -> SourceT_co:
        """Returns a source that renews the token of a request made by `prepare`."""

    @_arguments_of(TokenRequests.issue_whiteboard_token)
    def whiteboard_token_source(self, request: TokenRequest) -> SourceT_co:
        """Returns a source of whiteboard tokens; for the arguments see `issue_whiteboard_token`."""
        return self.token_source(request)

    @_arguments_of(TokenRequests.issue_rtc_token)
    def rtc_token_source(self, request: TokenRequest) -> SourceT_co:
        """Returns a source of RTC tokens; for the arguments see `issue_rtc_token`."""
        return self.token_source(request)

    @_arguments_of(TokenRequests.issue_rtm_token)
    def rtm_token_source(self, request: TokenRequest) -> SourceT_co:
        """Returns a source of RTM (Signaling) tokens; for the arguments see `issue_rtm_token`."""
        return self.token_source(request)

    @_arguments_of(TokenRequests.issue_chat_token)
    def chat_token_source(self, request: TokenRequest) -> SourceT_co:
        """Returns a source of Chat tokens; for the arguments see `issue_chat_token`."""
        return self.token_source(request)

    @_arguments_of(TokenRequests.issue_education_token)
    def education_token_source(self, request: TokenRequest) -> SourceT_co:
        """Returns a source of education tokens; for the arguments see `issue_education_token`."""
        return self.token_source(request)

    @_arguments_of(TokenRequests.issue_access_token)
    def access_token_source(self, request: TokenRequest) -> SourceT_co:
        """Returns a source of 007 tokens; for the arguments see `issue_access_token`."""
        return self.token_source(request)
