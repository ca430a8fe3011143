"""The methods that create token sources: one per issuing method, with the same arguments."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from token_authority_client._concrete_methods import ConcreteMethods
from token_authority_client._message_builder import TokenRequest
from token_authority_client._requests import TokenRequests, prepare

P = ParamSpec("P")
SourceT = TypeVar("SourceT")
SourceT_co = TypeVar("SourceT_co", covariant=True)


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
