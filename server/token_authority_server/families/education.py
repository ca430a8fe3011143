"""Flexible Classroom (education, aPaaS) tokens: for a user in a room, a user, and the app."""

import hashlib
from collections.abc import Iterator
from typing import Final

from token_authority.v1 import access_token_pb2, education_pb2
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
from token_authority_server.formats.service_packing import PackedService, chat, education, rtm
from token_authority_server.formats.services import CHAT, EDUCATION, RTM
from token_authority_server.keyring import AppCertificate

# Agora writes this role if there is no room.
_NO_ROLE: Final = -1

_HasSubject = education_pb2.IssueEducationTokenRequest | access_token_pb2.EducationService


class Education(TokenFamily[education_pb2.IssueEducationTokenRequest, AppCertificate]):
    """Education tokens: times in seconds, 24 hours at most."""

    name = "education"
    request_type = education_pb2.IssueEducationTokenRequest
    response_type = education_pb2.IssueEducationTokenResponse
    key_type = AppCertificate
    max_ttl_ms = DAY_MS
    unit = SECONDS
    token_types = (
        TokenType("education.room_user", ("roles", "rooms", "users")),
        TokenType("education.user", ("users",)),
        TokenType("education.app", explicit=True),
    )

    def read(self, request: education_pb2.IssueEducationTokenRequest, now_ms: int) -> AccessRequest:
        """Reads a request; see TokenFamily.read."""
        accesses = [education_access(request)]
        if request.HasField("room_user"):
            # The Chat user is the same person under another name.
            user = request.room_user.user_uuid
            chat_access = login_access("chat.user", user)
            chat_access = chat_access._replace(alias=f"account:{_chat_user(user)}")
            accesses += [login_access("rtm", user), chat_access]
        expiration = request.WhichOneof("expiration")
        violations: list[FieldViolation] = []
        terms = read_terms_in_seconds(
            request, expiration, now_ms, violations, advisories=tuple(education_advisories(request))
        )
        return AccessRequest(accesses, terms, violations)

    def sign(
        self,
        request: education_pb2.IssueEducationTokenRequest,
        terms: Terms,
        key: AppCertificate,
        moment: Moment,
    ) -> str:
        """Builds the token; see TokenFamily.sign."""
        ttl_s = ttl_seconds(terms)
        services = [education_service(request, ttl_s)]
        if request.HasField("room_user"):
            user = request.room_user.user_uuid
            services.append(rtm(user, {RTM.privileges["login"]: ttl_s}))
            services.append(chat(_chat_user(user), {CHAT.privileges["user"]: ttl_s}))
        return sign_007(key, terms, moment, services)


def _chat_user(user: str) -> str:
    """Returns Agora's name for the same person in Chat; the hash protects nothing."""
    return hashlib.md5(user.encode(), usedforsecurity=False).hexdigest()


def education_access(message: _HasSubject) -> ServiceAccess:
    """Returns the access that a message with the oneof `subject` asks for."""
    match message.WhichOneof("subject"):
        case "room_user":
            room_user = message.room_user
            return ServiceAccess(
                "education.room_user",
                str(room_user.role),
                user=f"account:{room_user.user_uuid}",
                room=room_user.room_uuid,
            )
        case "user":
            return login_access("education.user", message.user.user_uuid)
        case _:
            return ServiceAccess("education.app")


def education_advisories(message: _HasSubject) -> Iterator[Advisory]:
    """Yields the warnings about a message with the oneof `subject`."""
    if message.HasField("app"):
        yield Advisory.of(token_warnings.APP_TOKEN_SERVER_SIDE_ONLY)


def education_service(message: _HasSubject, ttl_s: int) -> PackedService:
    """Packs a message with the oneof `subject`, with a lifetime in seconds."""
    subject = message.WhichOneof("subject")
    assert subject  # the contract requires one
    privileges = {EDUCATION.privileges[subject]: ttl_s}
    match subject:
        case "room_user":
            user = message.room_user
            return education(user.room_uuid, user.user_uuid, user.role, privileges)
        case "user":
            return education("", message.user.user_uuid, _NO_ROLE, privileges)
        case "app":
            return education("", "", _NO_ROLE, privileges)
