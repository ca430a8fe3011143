"""Random compositions of services, each with the equivalent call of Agora's packages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from differential.drawing import (
    IDS,
    MAYBE,
    NAMES,
    PLACES,
    ROLES,
    RTC_TTLS,
    TTLS,
    UUIDS,
    Call,
    Case,
    ends,
    granted,
    lifetimes,
    permissions,
    raw,
    service,
)
from families.cases import DAY, HOUR
from token_authority.v1 import rtc_pb2
from token_authority_server.families import Moment

Row = dict[str, Any]


@dataclass(frozen=True)
class ServiceAccess:
    """One entry of `services`, and a function from the token's lifetime to Agora's equivalent."""

    fields: dict[str, Any]
    row: Callable[[int], Row]
    ttls: tuple[int, ...] = ()


def unset_means_life(
    name: str, args: list[Any], privilege: int, ttl: int | None, **more: int
) -> Callable[[int], Row]:
    return lambda life: service(name, args, {privilege: ttl or life}, **more)


def own(ttl: int | None) -> tuple[int, ...]:
    return () if ttl is None else (ttl,)


CHANNELLED = {
    "rtc": ("ServiceRtc", RTC_TTLS),
    "streaming": ("ServiceStreaming", ("publish_mixed_ttl", "publish_raw_ttl")),
    "fcdn": ("ServiceFCdn", ("publish_ttl", "play_ttl")),
}


@st.composite
def channelled(draw: DrawFn) -> ServiceAccess:
    kind = draw(st.sampled_from([*CHANNELLED]))
    name, fields = CHANNELLED[kind]
    (channel, channel_text), (user, user_text) = draw(PLACES)
    values = draw(st.tuples(*[MAYBE] * len(fields)).filter(any))
    rights = granted(values)
    row = service(name, [channel_text, user_text], rights)
    part = {kind: {**channel, **user, **lifetimes(fields, values)}}
    return ServiceAccess(part, lambda _: row, tuple(rights.values()))


@st.composite
def login(draw: DrawFn) -> ServiceAccess:
    user, ttl = draw(NAMES), draw(MAYBE)
    fields = {"user_id": user, **lifetimes(("login_ttl",), (ttl,))}
    if draw(st.booleans()):
        return ServiceAccess(
            {"rtm": fields}, unset_means_life("ServiceRtm", [user], 1, ttl), own(ttl)
        )
    ours, theirs = draw(permissions())
    row = unset_means_life("ServiceRtm2", [user, theirs], 1, ttl)
    return ServiceAccess({"rtm2": {**fields, "permissions": ours}}, row, own(ttl))


@st.composite
def chat(draw: DrawFn) -> ServiceAccess:
    user, ttl = draw(st.none() | UUIDS), draw(MAYBE)
    fields = lifetimes(("ttl",), (ttl,))
    subject: dict[str, Any] = {"app": {}} if user is None else {"user": {"user_id": user}}
    row = unset_means_life("ServiceChat", [user or ""], 2 if user is None else 1, ttl)
    return ServiceAccess({"chat": {**subject, **fields}}, row, own(ttl))


@st.composite
def education(draw: DrawFn) -> ServiceAccess:
    ttl, room, user = draw(MAYBE), draw(NAMES), draw(NAMES)
    subject: dict[str, Any]
    match draw(st.sampled_from(["room_user", "user", "app"])):
        case "room_user":
            role = draw(st.integers(0, 32767))
            subject = {"room_user": {"room_uuid": room, "user_uuid": user, "role": role}}
            args, privilege = [room, user], 1
        case "user":
            subject, args, privilege, role = {"user": {"user_uuid": user}}, ["", user], 2, -1
        case _:
            subject, args, privilege, role = {"app": {}}, ["", ""], 3, -1
    row = unset_means_life("ServiceApaas", args, privilege, ttl, role=role)
    return ServiceAccess({"education": {**subject, **lifetimes(("ttl",), (ttl,))}}, row, own(ttl))


BARE: SearchStrategy[ServiceAccess] = st.sampled_from(
    [
        ServiceAccess({"fpa": {}}, lambda _: service("ServiceFpa", [], {1: 0})),
        ServiceAccess({"convo_ai": {}}, lambda _: service("ServiceConvoAI", [], {})),
        ServiceAccess({"stt": {}}, lambda _: service("ServiceStt", [], {})),
    ]
)


@st.composite
def composition(draw: DrawFn, moment: Moment) -> Case:
    """Draws any services in any order, with duplicates."""
    parts = draw(
        st.lists(
            st.one_of(channelled(), login(), chat(), education(), BARE), min_size=1, max_size=6
        )
    )
    ttls = [ttl for part in parts for ttl in part.ttls]
    only_fpa = all("fpa" in part.fields for part in parts)
    unset = max(ttls, default=DAY if only_fpa else HOUR)
    end, life = draw(ends(moment.now_ms, unset, max(ttls, default=1)))
    rows = [part.row(life) for part in parts]
    return Case({"services": [part.fields for part in parts], **end}, raw(life, *rows))


@st.composite
def agent(draw: DrawFn, moment: Moment) -> Case:
    """Draws the compositions of Agora's builders for Conversational AI and speech to text."""
    (channel, channel_text), (user, user_text) = draw(PLACES)
    role, number = draw(ROLES)
    values = draw(st.tuples(TTLS, TTLS, TTLS, TTLS))
    name, login_ttl = draw(NAMES), draw(TTLS)
    used = values if role == rtc_pb2.RTC_ROLE_PUBLISHER else values[:1]
    longest = max(*used, login_ttl)
    end, life = draw(ends(moment.now_ms, longest, longest))
    kind, builder = draw(st.sampled_from([("convo_ai", "ConvoAI"), ("stt", "Stt")]))
    services: list[dict[str, Any]] = [
        {"rtc": {**channel, **user, **lifetimes(RTC_TTLS[: len(used)], used)}},
        {"rtm": {"user_id": name, **lifetimes(("login_ttl",), (login_ttl,))}},
        {kind: {}},
    ]
    args = [*IDS, channel_text, user_text, number, life, *values, name, login_ttl]
    call = Call(f"007.{builder}TokenBuilder.buildToken", args)
    return Case({"services": draw(st.permutations(services)), **end}, call)


FPA = Case({"services": [{"fpa": {}}]}, Call("007.FpaTokenBuilder.buildToken", IDS))


def access_token(moment: Moment) -> SearchStrategy[Case]:
    """Draws any composition, and those that Agora has builders for."""
    return composition(moment) | agent(moment) | st.just(FPA)
