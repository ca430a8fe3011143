"""The methods that make token sources: one for each that issues tokens, with its arguments."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import update_wrapper
from typing import Concatenate, Generic, ParamSpec, TypeVar

from token_authority_client._requests import TokenMethods, prepare
from token_authority_client._token_request import TokenRequest

P = ParamSpec("P")
SourceT = TypeVar("SourceT")
SourceT_co = TypeVar("SourceT_co", covariant=True)


Issuing = Callable[Concatenate[TokenMethods[TokenRequest], P], TokenRequest]


def _arguments_of(
    issue: Issuing[P],
) -> Callable[
    [Callable[["SourceMethods[SourceT]", TokenRequest], SourceT]],
    Callable[Concatenate["SourceMethods[SourceT]", P], SourceT],
]:
    """Gives a method of a request the arguments of the method that makes such requests."""

    def decorate(
        method: Callable[["SourceMethods[SourceT]", TokenRequest], SourceT],
    ) -> Callable[Concatenate["SourceMethods[SourceT]", P], SourceT]:
        def make_source(
            self: "SourceMethods[SourceT]", /, *arguments: P.args, **named: P.kwargs
        ) -> SourceT:
            return method(self, issue(prepare, *arguments, **named))

        # Its name and documentation are those of `method`, its signature is that of `issue`.
        return update_wrapper(update_wrapper(make_source, method), issue, assigned=())

    return decorate


class SourceMethods(ABC, Generic[SourceT_co]):
    """One method for each kind of token, with the arguments of the one that issues it."""

    @abstractmethod
    def token_source(self, request: TokenRequest) -> SourceT_co:
        """Keeps a token fresh: a source of tokens for a request that `prepare` made."""

    @_arguments_of(TokenMethods[TokenRequest].issue_whiteboard_token)
    def whiteboard_token_source(self, request: TokenRequest) -> SourceT_co:
        """Keeps an Interactive Whiteboard token fresh: `issue_whiteboard_token` as a source."""
        return self.token_source(request)

    @_arguments_of(TokenMethods[TokenRequest].issue_rtc_token)
    def rtc_token_source(self, request: TokenRequest) -> SourceT_co:
        """Keeps an RTC token fresh: `issue_rtc_token` as a source."""
        return self.token_source(request)

    @_arguments_of(TokenMethods[TokenRequest].issue_rtm_token)
    def rtm_token_source(self, request: TokenRequest) -> SourceT_co:
        """Keeps an RTM (Signaling) token fresh: `issue_rtm_token` as a source."""
        return self.token_source(request)

    @_arguments_of(TokenMethods[TokenRequest].issue_chat_token)
    def chat_token_source(self, request: TokenRequest) -> SourceT_co:
        """Keeps a Chat token fresh: `issue_chat_token` as a source."""
        return self.token_source(request)

    @_arguments_of(TokenMethods[TokenRequest].issue_education_token)
    def education_token_source(self, request: TokenRequest) -> SourceT_co:
        """Keeps a Flexible Classroom token fresh: `issue_education_token` as a source."""
        return self.token_source(request)

    @_arguments_of(TokenMethods[TokenRequest].issue_access_token)
    def access_token_source(self, request: TokenRequest) -> SourceT_co:
        """Keeps a 007 token for several services fresh: `issue_access_token` as a source."""
        return self.token_source(request)
