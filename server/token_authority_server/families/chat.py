"""Chat tokens: for a user, and for the app."""

from collections.abc import Iterator

from token_authority.v1 import access_token_pb2, chat_pb2
from token_authority_server.errors import FieldViolation
from token_authority_server.families.advisories import Advisory
from token_authority_server.families.channel_user import login_access
from token_authority_server.families.expiration import read_terms_in_seconds
from token_authority_server.families.moment import Moment
from token_authority_server.families.service_access import AccessRequest, ServiceAccess, TokenType
from token_authority_server.families.signing import sign_007, ttl_seconds
from token_authority_server.families.terms import DAY_MS, SECONDS, Terms
from token_authority_server.families.token_family import TokenFamily
from token_authority_server.formats import token_warnings
from token_authority_server.formats.service_packing import PackedService, chat
from token_authority_server.formats.services import CHAT
from token_authority_server.keyring import AppCertificate

_HasSubject = chat_pb2.IssueChatTokenRequest | access_token_pb2.ChatService


class Chat(TokenFamily[chat_pb2.IssueChatTokenRequest, AppCertificate]):
    """Chat tokens: times in seconds, 24 hours at most."""

    name = "chat"
    request_type = chat_pb2.IssueChatTokenRequest
    response_type = chat_pb2.IssueChatTokenResponse
    key_type = AppCertificate
    max_ttl_ms = DAY_MS
    unit = SECONDS
    token_types = (TokenType("chat.user", ("users",)), TokenType("chat.app", explicit=True))

    def read(self, request: chat_pb2.IssueChatTokenRequest, now_ms: int) -> AccessRequest:
        """Reads a request; see TokenFamily.read."""
        expiration = request.WhichOneof("expiration")
        violations: list[FieldViolation] = []
        terms = read_terms_in_seconds(
            request, expiration, now_ms, violations, advisories=tuple(chat_advisories(request))
        )
        return AccessRequest([chat_access(request)], terms, violations)

    def sign(
        self,
        request: chat_pb2.IssueChatTokenRequest,
        terms: Terms,
        key: AppCertificate,
        moment: Moment,
    ) -> str:
        """Builds the token; see TokenFamily.sign."""
        return sign_007(key, terms, moment, [chat_service(request, ttl_seconds(terms))])


def chat_access(message: _HasSubject) -> ServiceAccess:
    """Returns the access that a message with the oneof `subject` asks for."""
    if message.HasField("app"):
        return ServiceAccess("chat.app")
    return login_access("chat.user", message.user.user_id)


def chat_advisories(message: _HasSubject) -> Iterator[Advisory]:
    """Yields the warnings about a message with the oneof `subject`."""
    if message.HasField("app"):
        yield Advisory.of(token_warnings.APP_TOKEN_SERVER_SIDE_ONLY)
    user_id = message.user.user_id
    if user_id != user_id.lower():
        yield Advisory.of(token_warnings.CHAT_USER_ID_UPPER_CASE)


def chat_service(message: _HasSubject, ttl_s: int) -> PackedService:
    """Packs a message with the oneof `subject`, with a lifetime in seconds."""
    if message.HasField("app"):
        return chat("", {CHAT.privileges["app"]: ttl_s})
    return chat(message.user.user_id, {CHAT.privileges["user"]: ttl_s})
