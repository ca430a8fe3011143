"""Chat tokens: for a user, and for the app."""

from collections.abc import Sequence

from token_authority.v1 import access_token_pb2, chat_pb2
from token_authority_server.families.agora import (
    APP_ADVISORY,
    account,
    build_007,
    terms_to_the_second,
    ttl_seconds,
)
from token_authority_server.families.base import (
    DAY_MS,
    SECONDS,
    Moment,
    ServiceAccess,
    Terms,
    TokenFamily,
    TokenType,
)
from token_authority_server.formats import access_token_007 as v007
from token_authority_server.keyring import AppCertificate

_HasSubject = chat_pb2.IssueChatTokenRequest | access_token_pb2.ChatService


class Chat(TokenFamily[chat_pb2.IssueChatTokenRequest, AppCertificate]):
    """Chat tokens, timed to the second, 24 hours at most."""

    name = "chat"
    request_type = chat_pb2.IssueChatTokenRequest
    response_type = chat_pb2.IssueChatTokenResponse
    key_type = AppCertificate
    max_ttl_ms = DAY_MS
    unit = SECONDS
    token_types = (TokenType("chat.user", ("users",)), TokenType("chat.app", explicit=True))

    def parts(self, request: chat_pb2.IssueChatTokenRequest) -> Sequence[ServiceAccess]:
        """Returns what the token would carry; see TokenFamily.parts."""
        return [chat_part(request)]

    def terms(self, request: chat_pb2.IssueChatTokenRequest, now_ms: int) -> Terms:
        """Reads a request; see TokenFamily.terms."""
        return terms_to_the_second(
            request,
            request.WhichOneof("expiration"),
            now_ms,
            [],
            advisories=(APP_ADVISORY,) if request.HasField("app") else (),
        )

    def sign(
        self,
        request: chat_pb2.IssueChatTokenRequest,
        terms: Terms,
        key: AppCertificate,
        moment: Moment,
    ) -> str:
        """Builds the token; see TokenFamily.sign."""
        return build_007(key, terms, moment, [chat_service(request, ttl_seconds(terms))])


def chat_part(message: _HasSubject) -> ServiceAccess:
    """Returns the part that a message with the oneof `subject` makes."""
    if message.HasField("app"):
        return ServiceAccess("chat.app")
    return account("chat.user", message.user.user_id)


def chat_service(message: _HasSubject, life: int) -> v007.Service:
    """Packs service 5 of a message with the oneof `subject`, for `life` seconds."""
    if message.HasField("app"):
        return v007.chat("", {v007.CHAT_APP: life})
    return v007.chat(message.user.user_id, {v007.CHAT_USER: life})
