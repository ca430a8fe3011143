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


def _source_of(
    issue: Callable[Concatenate[TokenMethods[TokenRequest], P], TokenRequest],
) -> Callable[Concatenate["SourceMethods[SourceT]", P], SourceT]:
    """Returns the method that takes the arguments of `issue` and returns a source."""

    def tokens(self: "SourceMethods[SourceT]", /, *arguments: P.args, **named: P.kwargs) -> SourceT:
        return self.tokens(issue(prepare, *arguments, **named))

    name = issue.__name__
    update_wrapper(tokens, issue)
    tokens.__name__ = f"{name.removeprefix('issue_').removesuffix('_token')}_tokens"
    tokens.__qualname__ = f"SourceMethods.{tokens.__name__}"
    tokens.__doc__ = f"Keeps a token fresh: a source of what `{name}` issues for these arguments."
    return tokens


class SourceMethods(ABC, Generic[SourceT_co]):
    """One method for each kind of token, with the arguments of the one that issues it."""

    @abstractmethod
    def tokens(self, request: TokenRequest) -> SourceT_co:
        """Keeps a token fresh: a source of tokens for a request that `prepare` made."""

    whiteboard_tokens = _source_of(TokenMethods[TokenRequest].issue_whiteboard_token)
    rtc_tokens = _source_of(TokenMethods[TokenRequest].issue_rtc_token)
    rtm_tokens = _source_of(TokenMethods[TokenRequest].issue_rtm_token)
    chat_tokens = _source_of(TokenMethods[TokenRequest].issue_chat_token)
    education_tokens = _source_of(TokenMethods[TokenRequest].issue_education_token)
    access_tokens = _source_of(TokenMethods[TokenRequest].issue_access_token)
