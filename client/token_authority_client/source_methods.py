"""The methods that make token sources: one for each that issues tokens, with its arguments."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import update_wrapper
from typing import Concatenate, Generic, ParamSpec, TypeVar

from token_authority_client.requests import TokenMethods, prepare
from token_authority_client.token_request import TokenRequest

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
        def tokens(
            self: "SourceMethods[SourceT]", /, *arguments: P.args, **named: P.kwargs
        ) -> SourceT:
            return method(self, issue(prepare, *arguments, **named))

        # Its name and documentation are those of `method`, its signature is that of `issue`.
        return update_wrapper(update_wrapper(tokens, method), issue, assigned=())

    return decorate


class SourceMethods(ABC, Generic[SourceT_co]):
    """One method for each kind of token, with the arguments of the one that issues it."""

    @abstractmethod
    def tokens(self, request: TokenRequest) -> SourceT_co:
        """Keeps a token fresh: a source of tokens for a request that `prepare` made."""

    @_arguments_of(TokenMethods[TokenRequest].issue_whiteboard_token)
    def whiteboard_tokens(self, request: TokenRequest) -> SourceT_co:
        """Keeps an Interactive Whiteboard token fresh: `issue_whiteboard_token` as a source."""
        return self.tokens(request)

    @_arguments_of(TokenMethods[TokenRequest].issue_rtc_token)
    def rtc_tokens(self, request: TokenRequest) -> SourceT_co:
        """Keeps an RTC token fresh: `issue_rtc_token` as a source."""
        return self.tokens(request)

    @_arguments_of(TokenMethods[TokenRequest].issue_rtm_token)
    def rtm_tokens(self, request: TokenRequest) -> SourceT_co:
        """Keeps an RTM (Signaling) token fresh: `issue_rtm_token` as a source."""
        return self.tokens(request)

    @_arguments_of(TokenMethods[TokenRequest].issue_chat_token)
    def chat_tokens(self, request: TokenRequest) -> SourceT_co:
        """Keeps a Chat token fresh: `issue_chat_token` as a source."""
        return self.tokens(request)

    @_arguments_of(TokenMethods[TokenRequest].issue_education_token)
    def education_tokens(self, request: TokenRequest) -> SourceT_co:
        """Keeps a Flexible Classroom token fresh: `issue_education_token` as a source."""
        return self.tokens(request)

    @_arguments_of(TokenMethods[TokenRequest].issue_access_token)
    def access_tokens(self, request: TokenRequest) -> SourceT_co:
        """Keeps a 007 token for several services fresh: `issue_access_token` as a source."""
        return self.tokens(request)
