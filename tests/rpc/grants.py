"""Requests that need one thing each of a grant, and the grants that have it and that lack it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from families.cases import method_of
from support import granting
from support.serving import Running
from token_authority.v1.access_token_pb2 import AccessTokenService
from token_authority.v1.batch_pb2 import BatchIssueTokensRequest, IssueTokenRequest
from token_authority.v1.chat_pb2 import ChatApp
from token_authority.v1.education_pb2 import EducationApp
from token_authority.v1.issued_token_pb2 import TOKEN_FORMAT_V006
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, RTC_ROLE_SUBSCRIBER, AnyChannel, AnyUser
from token_authority.v1.whiteboard_pb2 import (
    WHITEBOARD_ROLE_ADMIN,
    WHITEBOARD_ROLE_READER,
    WHITEBOARD_ROLE_WRITER,
    NonExpiring,
    WhiteboardSdkScope,
)
from token_authority_server.config.callers import TOKEN_TYPES
from token_authority_server.families import FAMILIES, Dimension

Parts = Mapping[str, Mapping[str, str]]
Row = dict[str, Any]

TOKEN_DIMENSIONS: Final = get_args(Dimension)
KIND_OF: Final = {kind.name: kind for kind in FAMILIES}


@dataclass(frozen=True)
class Sample:
    """A request, and all that a grant needs for it."""

    name: str
    kind: str
    """The TokenFamily that answers it."""
    fields: Mapping[str, Any]
    parts: Parts
    """By the names of TokenKinds: what of each dimension it carries."""
    allow: tuple[str, ...] = ()

    def entry(self, **changes: Any) -> IssueTokenRequest:
        """The request as an entry of a batch."""
        request_type = KIND_OF[self.kind].request_type
        fields = {"project": "classroom", **self.fields, **changes}
        return IssueTokenRequest(**{self.kind: request_type(**fields)})

    def values(self, dimension: str) -> list[str]:
        """What it carries of a dimension, of all its parts."""
        return [part[dimension] for part in self.parts.values() if dimension in part]

    def just_enough(self) -> Row:
        """A grant for nothing else."""
        needed = {dimension for kind in self.parts for dimension in TOKEN_TYPES[kind].dimensions}
        # A wildcard carries nothing that a pattern could be for.
        bounds = {name: tuple(self.values(name)) or ("uid:1",) for name in sorted(needed)}
        row: Row = {name: bounds.get(name, ()) for name in TOKEN_DIMENSIONS}
        return granting.grant(**row, tokens=tuple(self.parts), allow=self.allow)

    def denials(self) -> Iterator["Denial"]:
        """Grants for all but one thing that it needs."""
        for kind in self.parts:
            reason = "SDK_SCOPE_FORBIDDEN" if kind == "whiteboard.sdk" else "GRANT_MISSING"
            others = tuple(name for name in TOKEN_TYPES if name != kind)
            yield Denial(self, "tokens", {"tokens": others}, reason, f"tokens of type {kind}")
        for dimension in TOKEN_DIMENSIONS:
            for value in dict.fromkeys(self.values(dimension)):
                others = tuple(one for one in self.values(dimension) if one != value)
                changes = {dimension: (*others, "uid:99" if dimension == "users" else "other-99")}
                yield Denial(self, dimension, changes, "GRANT_MISSING", f"'{value}'")
        for allowance in self.allow:
            others = tuple(name for name in granting.ALL_ALLOWANCES if name != allowance)
            yield Denial(self, allowance, {"allow": others}, _REASONS[allowance], "")


_REASONS: Final = {
    "any_user": "WILDCARD_FORBIDDEN",
    "any_channel": "WILDCARD_FORBIDDEN",
    "channel_pattern": "WILDCARD_FORBIDDEN",
    "non_expiring": "NON_EXPIRING_FORBIDDEN",
    "v006": "GRANT_MISSING",
}


@dataclass(frozen=True)
class Denial:
    """A grant that lacks one thing."""

    sample: Sample
    missing: str
    changes: Row = field(repr=False)
    reason: str
    wanted: str
    """A part of what the refusal says is wanted."""

    @property
    def id(self) -> str:
        """A name for the test."""
        return f"{self.sample.name}-{self.missing}-{self.wanted.strip(chr(39))}".replace(" ", "_")


RTC: Final[Row] = {"channel_name": "c-1", "uid": 7, "role": RTC_ROLE_PUBLISHER}
_PUBLISHER: Final = {"roles": "publisher", "channels": "c-1", "users": "uid:7"}
_AL: Final = {"users": "account:al"}
_ROOM_USER: Final = {"room_user": {"room_uuid": "r-1", "user_uuid": "al", "role": 1}}
_IN_ROOM: Final = {"roles": "1", "rooms": "r-1", **_AL}
_JOIN: Final = {"join_channel_ttl": {"seconds": 60}}
_IN_CHANNEL: Final = {"channel_name": "c-1", "uid": 7}
_BROADCAST: Final = {"publish_mixed_ttl": {"seconds": 60}}
_PUBLISH: Final = {"publish_ttl": {"seconds": 60}}
_WHITEBOARD_ROOM: Final[Row] = {"room": {"room_uuid": "r-1"}, "role": WHITEBOARD_ROLE_READER}


def composed(name: str, services: list[Row], parts: Parts, *allow: str) -> Sample:
    """A sample of IssueAccessToken."""
    fields = {"services": [AccessTokenService(**service) for service in services]}
    return Sample(name, "access_token", fields, {"access_token": {}, **parts}, allow)


ALONE: Final[dict[str, Sample]] = {
    "whiteboard.sdk": Sample(
        "sdk",
        "whiteboard",
        {"sdk": WhiteboardSdkScope(), "role": WHITEBOARD_ROLE_ADMIN},
        {"whiteboard.sdk": {"roles": "admin"}},
    ),
    "whiteboard.room": Sample(
        "room",
        "whiteboard",
        _WHITEBOARD_ROOM,
        {"whiteboard.room": {"roles": "reader", "rooms": "r-1"}},
    ),
    "whiteboard.task": Sample(
        "task",
        "whiteboard",
        {"task": {"task_uuid": "t-1"}, "role": WHITEBOARD_ROLE_WRITER},
        {"whiteboard.task": {"roles": "writer", "rooms": "t-1"}},
    ),
    "rtc": Sample("rtc", "rtc", RTC, {"rtc": _PUBLISHER}),
    "rtm": Sample("rtm", "rtm", {"user_id": "al"}, {"rtm": _AL}),
    "chat.user": Sample("chat", "chat", {"user": {"user_id": "al"}}, {"chat.user": _AL}),
    "chat.app": Sample("chat_app", "chat", {"app": ChatApp()}, {"chat.app": {}}),
    "education.room_user": Sample(
        "room_user",
        "education",
        _ROOM_USER,
        # The token logs the user in to RTM and Chat as well.
        {"education.room_user": _IN_ROOM, "rtm": _AL, "chat.user": _AL},
    ),
    "education.user": Sample(
        "education_user", "education", {"user": {"user_uuid": "al"}}, {"education.user": _AL}
    ),
    "education.app": Sample(
        "education_app", "education", {"app": EducationApp()}, {"education.app": {}}
    ),
    "access_token": composed("composition", [{"fpa": {}}], {"fpa": {}}),
    "streaming": composed(
        "streaming", [{"streaming": {**_IN_CHANNEL, **_BROADCAST}}], {"streaming": _PUBLISHER}
    ),
    "fcdn": composed("fcdn", [{"fcdn": {**_IN_CHANNEL, **_PUBLISH}}], {"fcdn": _PUBLISHER}),
    "fpa": composed("fpa", [{"rtm": {"user_id": "al"}}, {"fpa": {}}], {"rtm": _AL, "fpa": {}}),
    "convo_ai": composed("convo_ai", [{"convo_ai": {}}], {"convo_ai": {}}),
    "stt": composed("stt", [{"stt": {}}], {"stt": {}}),
}
"""For each TokenType a request that needs it."""

MEMBERS: Final[dict[str, tuple[Row, Parts]]] = {
    "rtc": ({**_IN_CHANNEL, **_JOIN}, {"rtc": {**_PUBLISHER, "roles": "subscriber"}}),
    "rtm": ({"user_id": "al"}, {"rtm": _AL}),
    "streaming": ({**_IN_CHANNEL, **_BROADCAST}, {"streaming": _PUBLISHER}),
    "fpa": ({}, {"fpa": {}}),
    "chat": ({"user": {"user_id": "al"}}, {"chat.user": _AL}),
    "fcdn": (
        {**_IN_CHANNEL, "play_ttl": {"seconds": 9}},
        {"fcdn": {**_PUBLISHER, "roles": "subscriber"}},
    ),
    "education": (_ROOM_USER, {"education.room_user": _IN_ROOM}),
    "rtm2": ({"user_id": "al"}, {"rtm": _AL}),
    "convo_ai": ({}, {"convo_ai": {}}),
    "stt": ({}, {"stt": {}}),
}
"""Each member of AccessTokenService, and what it needs."""

_OTHER: Final[tuple[Row, Parts]] = (
    {"rtm": {"user_id": "other"}},
    {"rtm": {"users": "account:other"}},
)


def _in_composition(name: str, message: Row, parts: Parts) -> Sample:
    """A member beside another one, of which it must not borrow."""
    other, others_parts = _OTHER
    if "rtm" in parts:
        other, others_parts = {"fpa": {}}, {"fpa": {}}
    return composed(f"composed_{name}", [other, {name: message}], {**others_parts, **parts})


WILDCARD_MESSAGES: Final[dict[str, Row]] = {
    "streaming": _BROADCAST,
    "fcdn": _PUBLISH,
    "rtc": {"join_channel_ttl": {"seconds": 60}, "publish_data_ttl": {"seconds": 60}},
}
"""The members of AccessTokenService with wildcards, and a publisher's right of theirs."""


def _wildcards() -> Iterator[Sample]:
    anyone = {name: value for name, value in _PUBLISHER.items() if name != "users"}
    anywhere = {name: value for name, value in _PUBLISHER.items() if name != "channels"}
    pattern = {"uid": 7, "channel_pattern": "c-*"}
    included = {**_PUBLISHER, "channels": "c-*"}
    every = tuple(WILDCARD_MESSAGES)
    for allowance, part, fields, messages in (
        ("any_user", anyone, {"channel_name": "c-1", "any_user": AnyUser()}, every),
        ("any_channel", anywhere, {"uid": 7, "any_channel": AnyChannel()}, every),
        ("channel_pattern", included, pattern, ("rtc",)),
    ):
        asked = {"role": RTC_ROLE_PUBLISHER, **fields}
        yield Sample(f"rtc_{allowance}", "rtc", asked, {"rtc": part}, (allowance,))
        for name in messages:
            yield composed(
                f"composed_{name}_{allowance}",
                [{"fpa": {}}, {name: {**WILDCARD_MESSAGES[name], **fields}}],
                {"fpa": {}, name: part},
                allowance,
            )


OLDER: Final = tuple(
    Sample(
        f"{name}_006",
        name,
        {**ALONE[name].fields, "format": TOKEN_FORMAT_V006},
        ALONE[name].parts,
        ("v006",),
    )
    for name in ("rtc", "rtm")
)
FOR_EVER: Final = tuple(
    Sample(
        f"{ALONE[name].name}_for_ever",
        "whiteboard",
        {**ALONE[name].fields, "non_expiring": NonExpiring()},
        ALONE[name].parts,
        ("non_expiring",),
    )
    for name in ("whiteboard.sdk", "whiteboard.room", "whiteboard.task")
)

SAMPLES: Final[tuple[Sample, ...]] = (
    *ALONE.values(),
    Sample(
        "subscriber",
        "rtc",
        {**RTC, "role": RTC_ROLE_SUBSCRIBER},
        {"rtc": {**_PUBLISHER, "roles": "subscriber"}},
    ),
    Sample(
        "join_only",
        "rtc",
        {**_IN_CHANNEL, "privileges": _JOIN},
        {"rtc": {**_PUBLISHER, "roles": "subscriber"}},
    ),
    Sample(
        "join_and_publish_data",
        "rtc",
        {**_IN_CHANNEL, "privileges": {**_JOIN, "publish_data_ttl": {"seconds": 1}}},
        {"rtc": _PUBLISHER},
    ),
    Sample(
        "account",
        "rtc",
        {"channel_name": "c-1", "user_account": "al", "role": RTC_ROLE_PUBLISHER},
        {"rtc": {**_PUBLISHER, **_AL}},
    ),
    # The token is the same as the uid's.
    Sample(
        "account_like_a_uid",
        "rtc",
        {"channel_name": "c-1", "user_account": "4294967295", "role": RTC_ROLE_PUBLISHER},
        {"rtc": {**_PUBLISHER, "users": "uid:4294967295"}},
    ),
    *(
        Sample(
            f"account_{text}",
            "rtc",
            {"channel_name": "c-1", "user_account": text, "role": RTC_ROLE_PUBLISHER},
            {"rtc": {**_PUBLISHER, "users": f"account:{text}"}},
        )
        for text in ("0", "007", "4294967296", "1" * 255, "+7", "7 ")
    ),
    Sample(
        "rtc_with_rtm",
        "rtc",
        {**RTC, "rtm": {"user_id": "al"}},
        {"rtc": _PUBLISHER, "rtm": _AL},
    ),
    *(_in_composition(name, *member) for name, member in MEMBERS.items()),
    composed(
        "composed_chat_app", [{"fpa": {}}, {"chat": {"app": {}}}], {"fpa": {}, "chat.app": {}}
    ),
    composed(
        "composed_education_app",
        [{"fpa": {}}, {"education": {"app": {}}}],
        {"fpa": {}, "education.app": {}},
    ),
    composed(
        "composed_education_user",
        [{"fpa": {}}, {"education": {"user": {"user_uuid": "al"}}}],
        {"fpa": {}, "education.user": _AL},
    ),
    *_wildcards(),
    *OLDER,
    *FOR_EVER,
)
DENIALS: Final = tuple(denial for sample in SAMPLES for denial in sample.denials())


def single(server: Running, entry: IssueTokenRequest, *, validate_only: bool = False) -> Any:
    """Asks by the RPC of the entry's kind."""
    name = entry.WhichOneof("request")
    assert name
    request = type(getattr(entry, name))()
    request.CopyFrom(getattr(entry, name))
    request.validate_only = validate_only
    return getattr(server.stub, method_of(KIND_OF[name]))(request)


def batch(server: Running, *entries: IssueTokenRequest, validate_only: bool = False) -> Any:
    """Asks for several."""
    return server.stub.BatchIssueTokens(
        BatchIssueTokensRequest(requests=entries, validate_only=validate_only)
    )
