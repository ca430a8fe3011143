"""Token families: each has one Issue RPC, one type of key and one set of rules."""

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from google.protobuf.message import Message

from token_authority_server.families.moment import Moment
from token_authority_server.families.service_access import AccessRequest, TokenType
from token_authority_server.families.terms import Terms, TtlUnit
from token_authority_server.keyring import KeyT

RequestT = TypeVar("RequestT", bound=Message)


class TokenFamily(ABC, Generic[RequestT, KeyT]):
    """The tokens of one Issue RPC.

    Stateless; `families.FAMILIES` has the only instance of each. A new family is a module like its
    siblings and a row in that tuple.
    """

    name: ClassVar[str]
    """A short, unique name."""
    request_type: type[RequestT]
    """The RPC's request message, by which `rpc.contract` pairs RPCs with families."""
    response_type: type[Message]
    """The RPC's response message: `issued_token` and `decision`."""
    key_type: type[KeyT]
    """The type of keys that sign."""
    max_ttl_ms: ClassVar[int]
    """The longest lifetime, from Agora's documentation if that has one."""
    unit: ClassVar[TtlUnit]
    """The resolution of its times."""
    token_types: ClassVar[tuple[TokenType, ...]]
    """The types of token that grants distinguish, in addition to those of other families."""

    @abstractmethod
    def read(self, request: RequestT, now_ms: int) -> AccessRequest:
        """Reads a request whose single fields are valid.

        Args:
            request: The request.
            now_ms: Milliseconds since 1970.

        Returns:
            What it asks for, with every rule that it breaks over several fields or the clock.
        """

    @abstractmethod
    def sign(self, request: RequestT, terms: Terms, key: KeyT, moment: Moment) -> str:
        """Builds the token for a request without violations."""
