"""Flexible Classroom (education, aPaaS) tokens: for a user in a room, a user, and the app."""

import hashlib
from collections.abc import Sequence
from typing import Final

from token_authority.v1 import access_token_pb2, education_pb2
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

# What Agora writes where there is no room.
_NO_ROLE: Final = -1

_HasSubject = education_pb2.IssueEducationTokenRequest | access_token_pb2.EducationService


class Education(TokenFamily[education_pb2.IssueEducationTokenRequest, AppCertificate]):
    """Education tokens, timed to the second, 24 hours at most."""

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

    def parts(self, request: education_pb2.IssueEducationTokenRequest) -> Sequence[ServiceAccess]:
        """Returns what the token would carry; see TokenFamily.parts."""
        parts = [education_part(request)]
        if request.HasField("room_user"):
            # The Chat user is the same person under another name.
            user = request.room_user.user_uuid
            parts += [account("rtm", user), account("chat.user", user)]
        return parts

    def terms(self, request: education_pb2.IssueEducationTokenRequest, now_ms: int) -> Terms:
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
        request: education_pb2.IssueEducationTokenRequest,
        terms: Terms,
        key: AppCertificate,
        moment: Moment,
    ) -> str:
        """Builds the token; see TokenFamily.sign."""
        life = ttl_seconds(terms)
        services = [education_service(request, life)]
        if request.HasField("room_user"):
            user = request.room_user.user_uuid
            # Agora's name for the same person in Chat. Not a matter of security.
            chat_user = hashlib.md5(user.encode(), usedforsecurity=False).hexdigest()
            services.append(v007.rtm(user, {v007.RTM_LOGIN: life}))
            services.append(v007.chat(chat_user, {v007.CHAT_USER: life}))
        return build_007(key, terms, moment, services)


def education_part(message: _HasSubject) -> ServiceAccess:
    """Returns the part that a message with the oneof `subject` makes."""
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
            return account("education.user", message.user.user_uuid)
        case _:
            return ServiceAccess("education.app")


def education_service(message: _HasSubject, life: int) -> v007.Service:
    """Packs service 7 of a message with the oneof `subject`, for `life` seconds."""
    match message.WhichOneof("subject"):
        case "room_user":
            room_user = message.room_user
            return v007.education(
                room_user.room_uuid,
                room_user.user_uuid,
                room_user.role,
                {v007.EDUCATION_ROOM_USER: life},
            )
        case "user":
            privileges = {v007.EDUCATION_USER: life}
            return v007.education("", message.user.user_uuid, _NO_ROLE, privileges)
        case "app":
            return v007.education("", "", _NO_ROLE, {v007.EDUCATION_APP: life})
        case _:
            raise AssertionError("the contract requires a subject")
