"""The base of the issuing methods, of which each family of tokens has a module.

They turn Python arguments into a request message. What happens with it is up to the subclass: it is
sent now, sent for a decision only, or kept. The contract's rules are not checked here; the server
reports all violations at once.
"""

from abc import ABC, abstractmethod
from typing import Final, Generic, TypeVar

from token_authority.v1 import issued_token_pb2
from token_authority_client._concrete_methods import ConcreteMethods
from token_authority_client._token_request import TokenRequest

ResultT_co = TypeVar("ResultT_co", covariant=True)

FORMATS: Final = {
    "006": issued_token_pb2.TOKEN_FORMAT_V006,
    "007": issued_token_pb2.TOKEN_FORMAT_V007,
}
"""The formats of tokens that exist in two."""


class IssuingMethods(ConcreteMethods, ABC, Generic[ResultT_co]):
    """A base of classes with one issuing method."""

    @abstractmethod
    def issue(self, request: TokenRequest) -> ResultT_co:
        """Handles a request; all issuing methods pass theirs to it."""
