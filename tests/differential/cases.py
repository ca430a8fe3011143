"""Random valid requests of every family, each with the equivalent call of Agora's packages."""

import hashlib
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from differential.drawing import (
    ANY_USER,
    IDS,
    MAYBE,
    NAMED_CHANNELS,
    NAMES,
    PLACES,
    ROLES,
    RTC_TTLS,
    TTLS,
    USERS,
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
from support.keys import ACCESS_KEY, SECRET_KEY
from token_authority.v1 import issued_token_pb2, whiteboard_pb2
from token_authority_server.families import Moment


@st.composite
def rtc_006(draw: DrawFn, moment: Moment) -> Case:
    (channel, channel_text), (user, user_text) = draw(st.tuples(NAMED_CHANNELS, USERS | ANY_USER))
    fields = {**channel, **user, "format": issued_token_pb2.TOKEN_FORMAT_V006}
    now = moment.now_ms // 1000
    if draw(st.booleans()):
        role, number = draw(ROLES)
        end, life = draw(ends(moment.now_ms, HOUR))
        way = "buildTokenWithAccount" if isinstance(user_text, str) else "buildTokenWithUid"
        args = [*IDS, channel_text, user_text, number, now + life]
        return Case({**fields, **end, "role": role}, Call(f"006.RtcTokenBuilder.{way}", args))
    values = draw(st.tuples(TTLS, MAYBE, MAYBE, MAYBE))
    longest = max(granted(values).values())
    end, _ = draw(ends(moment.now_ms, longest, longest))
    privileges = {right: now + ttl for right, ttl in granted(values).items()}
    call = Call("raw.token.privileges006", [*IDS, channel_text, user_text, privileges])
    return Case({**fields, **end, "privileges": lifetimes(RTC_TTLS, values)}, call)


@st.composite
def rtc_007_role(draw: DrawFn, moment: Moment) -> Case:
    (channel, channel_text), (user, user_text) = draw(PLACES)
    role, number = draw(ROLES)
    end, life = draw(ends(moment.now_ms, HOUR))
    fields = {**channel, **user, **end, "role": role}
    place = [*IDS, channel_text, user_text]
    match draw(st.sampled_from(["alone", "same user", "other user"])):
        case "same user" if (
            isinstance(user_text, str) and len(user_text) <= 64 and user_text[0] != " "
        ):
            fields["rtm"] = {"user_id": user_text}
            name, args = "buildTokenWithRtm", [*place, number, life, life]
        case "other user":
            login, ttl = draw(NAMES), draw(st.none() | st.integers(1, life))
            fields["rtm"] = {"user_id": login, **lifetimes(("ttl",), (ttl,))}
            name = "buildTokenWithRtm2"
            args = [*place, number, life, life, life, life, life, login, ttl or life]
        case _:
            is_account = isinstance(user_text, str)
            name = "buildTokenWithUserAccount" if is_account else "buildTokenWithUid"
            args = [*place, number, life, life]
    return Case(fields, Call(f"007.RtcTokenBuilder.{name}", args))


@st.composite
def rtc_007_privileges(draw: DrawFn, moment: Moment) -> Case:
    (channel, channel_text), (user, user_text) = draw(PLACES)
    publish = draw(st.tuples(TTLS, TTLS, TTLS) | st.tuples(MAYBE, MAYBE, MAYBE))
    values = (draw(TTLS), *publish)
    rights = granted(values)
    login, login_ttl = draw(st.tuples(st.none() | NAMES, MAYBE))
    longest = max([*rights.values(), login_ttl if login and login_ttl else 1])
    end, life = draw(ends(moment.now_ms, longest, longest))
    fields = {**channel, **user, **end, "privileges": lifetimes(RTC_TTLS, values)}
    place = [*IDS, channel_text, user_text]
    if login:
        fields["rtm"] = {"user_id": login, **lifetimes(("ttl",), (login_ttl,))}
    if len(rights) == 4 and login:
        args = [*place, 1, life, *values, login, login_ttl or life]
        return Case(fields, Call("007.RtcTokenBuilder.buildTokenWithRtm2", args))
    if len(rights) == 4:
        is_account = isinstance(user_text, str)
        with_account = "BuildTokenWithUserAccountAndPrivilege"
        name = with_account if is_account else "buildTokenWithUidAndPrivilege"
        return Case(fields, Call(f"007.RtcTokenBuilder.{name}", [*place, life, *values]))
    services = [service("ServiceRtc", [channel_text, user_text], rights)]
    if login:
        services.append(service("ServiceRtm", [login], {1: login_ttl or life}))
    return Case(fields, raw(life, *services))


@st.composite
def rtm(draw: DrawFn, moment: Moment) -> Case:
    user = draw(NAMES)
    end, life = draw(ends(moment.now_ms, HOUR))
    fields = {"user_id": user, **end}
    match draw(st.sampled_from(["006", "007", "permissions"])):
        case "006":
            fields["format"] = issued_token_pb2.TOKEN_FORMAT_V006
            args = [*IDS, user, 1, moment.now_ms // 1000 + life]
            return Case(fields, Call("006.RtmTokenBuilder.buildToken", args))
        case "007":
            return Case(fields, Call("007.RtmTokenBuilder.buildToken", [*IDS, user, life]))
        case _:
            fields["permissions"], theirs = draw(permissions())
            args = [*IDS, user, theirs, life]
            return Case(fields, Call("007.RtmTokenBuilder.buildTokenWithPermissions", args))


@st.composite
def chat(draw: DrawFn, moment: Moment) -> Case:
    end, life = draw(ends(moment.now_ms, HOUR))
    user = draw(st.none() | UUIDS)
    if user is None:
        return Case({"app": {}, **end}, Call("007.ChatTokenBuilder.buildAppToken", [*IDS, life]))
    fields = {"user": {"user_id": user}, **end}
    return Case(fields, Call("007.ChatTokenBuilder.buildUserToken", [*IDS, user, life]))


@st.composite
def education(draw: DrawFn, moment: Moment) -> Case:
    end, life = draw(ends(moment.now_ms, HOUR))
    # Agora has two names for one product.
    builder = f"007.{draw(st.sampled_from(['Education', 'Apaas']))}TokenBuilder"
    match draw(st.sampled_from(["room_user", "user", "app"])):
        case "app":
            return Case({"app": {}, **end}, Call(f"{builder}.buildAppToken", [*IDS, life]))
        case "user":
            user = draw(NAMES)
            fields = {"user": {"user_uuid": user}, **end}
            return Case(fields, Call(f"{builder}.buildUserToken", [*IDS, user, life]))
        case _:
            # The MD5 of user23 starts with zeros.
            room, user = draw(NAMES), draw(NAMES | st.just("user23"))
            role = draw(st.integers(0, 32767))
            subject = {"room_uuid": room, "user_uuid": user, "role": role}
            chat_user = hashlib.md5(user.encode(), usedforsecurity=False).hexdigest()
            call = raw(
                life,
                service("ServiceApaas", [room, user], {1: life}, role=role),
                service("ServiceRtm", [user], {1: life}),
                service("ServiceChat", [chat_user], {1: life}),
            )
            flawed = Call(f"{builder}.buildRoomUserToken", [*IDS, room, user, role, life])
            return Case({"room_user": subject, **end}, call, flawed=flawed)


WHITEBOARD_ROLES = {
    whiteboard_pb2.WHITEBOARD_ROLE_ADMIN: "0",
    whiteboard_pb2.WHITEBOARD_ROLE_WRITER: "1",
    whiteboard_pb2.WHITEBOARD_ROLE_READER: "2",
}


@st.composite
def whiteboard(draw: DrawFn, moment: Moment) -> Case:
    scope = draw(st.sampled_from(["sdk", "room", "task"]))
    role = draw(st.sampled_from([*WHITEBOARD_ROLES]))
    content = {"role": WHITEBOARD_ROLES[role]}
    named = {}
    if scope != "sdk":
        content["uuid"] = draw(UUIDS)
        named[f"{scope}_uuid"] = content["uuid"]
    never: SearchStrategy[tuple[dict[str, Any], int]] = st.just(({"non_expiring": {}}, 0))
    longest = 3650 * DAY * 1000
    end, life = draw(never | ends(moment.now_ms, HOUR * 1000, longest=longest, unit_ms=1))
    args = [ACCESS_KEY, SECRET_KEY, life, content]
    return Case({scope: named, "role": role, **end}, Call(f"netless.token.{scope}Token", args))
