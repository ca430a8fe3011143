"""Chat tokens: for a user, and for the app."""

from token_authority.v1 import chat_pb2
from token_authority_server.formats import access_token_007 as v007
from token_authority_server.keyring import AppCertificate
from token_authority_server.kinds.agora import (
    APP_ADVISORY,
    build_007,
    terms_to_the_second,
    ttl_seconds,
)
from token_authority_server.kinds.base import DAY_MS, Kind, Moment, Terms


class Chat(Kind[chat_pb2.IssueChatTokenRequest, AppCertificate]):
    """Chat tokens, timed to the second, 24 hours at most."""

    name = "chat"
    request_type = chat_pb2.IssueChatTokenRequest
    response_type = chat_pb2.IssueChatTokenResponse
    key_type = AppCertificate
    max_ttl_ms = DAY_MS

    def terms(self, request: chat_pb2.IssueChatTokenRequest, now_ms: int) -> Terms:
        """Reads a request; see Kind.terms."""
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
        """Builds the token; see Kind.sign."""
        life = ttl_seconds(terms)
        if request.HasField("app"):
            service = v007.chat("", {v007.CHAT_APP: life})
        else:
            service = v007.chat(request.user.user_id, {v007.CHAT_USER: life})
        return build_007(key, terms, moment, [service])
