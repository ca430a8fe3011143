"""The semantics of denials, compared with brute force over small sets of names."""

import re
from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.profiling import functions_called
from token_authority_server.access.denial import WHITEBOARD as WHITEBOARD_TYPES
from token_authority_server.access.denial import Denial, DenialRule, readings_of_006
from token_authority_server.access.denials import Denials, Scopes
from token_authority_server.access.patterns import Glob
from token_authority_server.families import ServiceAccess, user_name

NOW = 1_700_000_000_000
LATER = NOW + 1000
# Two patterns of three characters that match a common text match one of this length at most: each
# has two letters beside its `*`.
TEXTS = ["".join(letters) for length in range(5) for letters in product("ab", repeat=length)]
PATTERN = st.text("ab*", min_size=1, max_size=3)
# Of each product, the names that a user can log in with.
USERS = ("uid:7", "uid:71", "account:al", "account:7")
CHANNEL_TYPES = ("rtc", "streaming", "fcdn")


def matches(pattern: str, text: str) -> bool:
    return bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text))


@given(PATTERN, PATTERN)
def test_patterns_match_and_overlap_as_brute_force_says(one: str, other: str) -> None:
    assert [Glob(one).matches(text) for text in TEXTS] == [matches(one, text) for text in TEXTS]
    common = any(matches(one, text) and matches(other, text) for text in TEXTS)
    assert Glob(one).overlaps(Glob(other)) == common


def accesses() -> st.SearchStrategy[ServiceAccess]:
    place = st.one_of(
        st.builds(lambda text: {"channel": text}, st.text("ab", min_size=1, max_size=3)),
        st.builds(lambda text: {"channel_pattern": f"{text}*"}, st.text("ab*", max_size=2)),
        st.just({"any_channel": True}),
    )
    # Wildcards of both are refused before (families.channel_user); here they are compared too.
    person = st.one_of(
        st.builds(lambda user: {"user": user}, st.sampled_from(USERS[:3])),
        st.just({"any_user": True}),
    )
    return st.builds(
        lambda token_type, where, who: ServiceAccess(token_type, "publisher", **where, **who),
        st.sampled_from(CHANNEL_TYPES),
        place,
        person,
    )


def logins() -> st.SearchStrategy[ServiceAccess]:
    return st.builds(
        lambda token_type, user: ServiceAccess(token_type, user=user),
        st.sampled_from(("rtm", "chat.user", "education.user")),
        st.sampled_from(USERS[2:]),
    )


DENIALS = st.builds(
    lambda user, channel, until, types: Denial("p", until, user, channel, None, types),
    st.sampled_from(
        (
            *(None, "uid:7", "uid:7*", "uid:*", "uid:*1", "uid:*7*", "account:al", "account:7"),
            *("account:*", "account:*l", "*"),
        )
    ),
    st.one_of(st.none(), PATTERN),
    st.sampled_from((NOW - 1, NOW, NOW + 1, LATER)),
    st.sampled_from((frozenset[str](), frozenset(("rtc",)), frozenset(("rtm", "fcdn")))),
).filter(lambda denial: denial.user is not None or denial.channel is not None)


def uses(access: ServiceAccess) -> Iterator[tuple[str, str | None]]:
    """Yields who can use a token, and where: the person's name, and a channel or None."""
    if access.token_type not in CHANNEL_TYPES:
        assert access.user
        yield access.user, None
        return
    channels = [access.channel] if access.channel else TEXTS
    if access.channel_pattern:
        channels = [text for text in TEXTS if matches(access.channel_pattern, text)]
    # In a channel, the account "7" is the user 7.
    users = [access.user] if access.user else ["uid:7", "uid:71", "account:al"]
    yield from product(users, channels)


def is_denied(denial: Denial, access: ServiceAccess) -> bool:
    """Whether a denied person can use a token in a denied channel."""
    if denial.token_types and access.token_type not in denial.token_types:
        return False
    for user, channel in uses(access):
        names = {user}
        if channel is not None:
            names.add(user.replace("uid:", "account:"))
        if denial.user is not None and not any(matches(denial.user, name) for name in names):
            continue
        if denial.channel is not None and (channel is None or not matches(denial.channel, channel)):
            continue
        return True
    return False


@given(st.lists(DENIALS, max_size=6), st.lists(accesses() | logins(), min_size=1, max_size=3))
def test_what_a_denied_user_could_use_is_denied_and_nothing_else(
    rows: list[Denial], wanted: list[ServiceAccess]
) -> None:
    found = Denials(rows).find("p", wanted, NOW)
    ends = [
        row.until_ms
        for row in rows
        if row.until_ms > NOW and any(is_denied(row, access) for access in wanted)
    ]
    assert (found and found.until_ms) == (max(ends) if ends else None)
    assert Denials(rows).find("q", wanted, NOW) is None


def denied(denial: Denial, access: ServiceAccess) -> bool:
    return Denials([denial]).find("p", [access], NOW) is not None


ROOM = "4a50cb3b-6a0c-4b5e-9d2f-0123456789ab"
WHITEBOARD = ServiceAccess("whiteboard.room", "writer", room=ROOM)
UNDASHED = WHITEBOARD._replace(room=ROOM.replace("-", ""))
SDK = ServiceAccess("whiteboard.sdk", "admin")
CLASSROOM = ServiceAccess("education.room_user", "1", user="account:al", room="r1")
CLASSROOM_OF_UUID = CLASSROOM._replace(room=ROOM.replace("-", ""))
CASES = [
    # Whiteboard tokens name no user.
    (Denial("p", LATER, user="*"), WHITEBOARD, False),
    (Denial("p", LATER, user="*", room=ROOM), WHITEBOARD, False),
    (Denial("p", LATER, room=ROOM), WHITEBOARD, True),
    (Denial("p", LATER, room=ROOM.replace("-", "").upper()), WHITEBOARD, True),
    (Denial("p", LATER, room="4a50*"), WHITEBOARD, True),
    (Denial("p", LATER, room="4a51*"), WHITEBOARD, False),
    # A pattern of UUIDs, written in another way than the request.
    (Denial("p", LATER, room="4A50CB3B-*"), WHITEBOARD, True),
    (Denial("p", LATER, room="4A50*"), UNDASHED, True),
    (Denial("p", LATER, room="4a50cb3b-6a0c*"), UNDASHED, True),
    (Denial("p", LATER, room="*-0123456789AB"), UNDASHED, True),
    (Denial("p", LATER, room="4a50cb3b-6a0c*", user="account:al"), CLASSROOM_OF_UUID, True),
    # Other names of rooms are compared as they are.
    (Denial("p", LATER, room="R1"), CLASSROOM, False),
    (Denial("p", LATER, room="r-1*"), CLASSROOM, False),
    (Denial("p", LATER, room="r1"), WHITEBOARD, False),
    # An SDK token works in every room, unless the denial is for other tokens.
    (Denial("p", LATER, room="r1"), SDK, True),
    (Denial("p", LATER, room="r1", token_types=frozenset(("whiteboard.room",))), SDK, False),
    (Denial("p", LATER, channel="r1"), SDK, False),
    (Denial("p", LATER, user="account:al", room="r1"), CLASSROOM, True),
    (Denial("p", LATER, user="account:al", room="r2"), CLASSROOM, False),
    (Denial("p", LATER, user="account:bo", room="r1"), CLASSROOM, False),
    # A login is for no channel.
    (Denial("p", LATER, "account:al", "c"), ServiceAccess("rtm", user="account:al"), False),
    # A user in one product is not the user of the same name in another.
    (Denial("p", LATER, "uid:7"), ServiceAccess("rtm", user="account:7"), False),
    # Chat ignores case; other products do not.
    (Denial("p", LATER, "account:AL"), ServiceAccess("chat.user", user="account:al"), True),
    (Denial("p", LATER, "account:al"), ServiceAccess("chat.user", user="account:AL"), True),
    (Denial("p", LATER, "account:A*"), ServiceAccess("chat.user", user="account:al"), True),
    (Denial("p", LATER, "account:AL"), ServiceAccess("rtm", user="account:al"), False),
    # The person that a classroom's token admits to Chat has another name there.
    (
        Denial("p", LATER, "account:0cc175b9c0f1b6a831c399e269772661"),
        ServiceAccess(
            "chat.user", user="account:a", alias="account:0cc175b9c0f1b6a831c399e269772661"
        ),
        True,
    ),
    # App tokens name nobody.
    (Denial("p", LATER, "*"), ServiceAccess("chat.app"), False),
]


@pytest.mark.parametrize(("denial", "access", "expected"), CASES)
def test_a_denial_concerns_services_that_have_what_it_names(
    denial: Denial, access: ServiceAccess, expected: bool
) -> None:
    assert denied(denial, access) is expected


DENIED_PEOPLE = (None, "account:al", "account:BO", "account:b*", "account:*l", "uid:7", "*")
DENIED_ROOMS = ("R1", "4A50*", ROOM.replace("-", "").upper(), "*-0123456789AB", "r*", "*50C*", "*")
# A user in a room is looked up by whichever of the two has fewer denials.
PEOPLE_AND_ROOMS = [(DENIED_PEOPLE, DENIED_ROOMS[:3]), (DENIED_PEOPLE[:3], DENIED_ROOMS)]


def accesses_of_rooms_and_people() -> Iterator[ServiceAccess]:
    yield SDK
    rooms = (ROOM, ROOM.replace("-", ""), ROOM.upper(), "r1", "R1")
    yield from (WHITEBOARD._replace(room=room) for room in rooms)
    for user in ("account:al", "account:bo", "account:BO", "account:zoe"):
        yield from (CLASSROOM._replace(room=room, user=user) for room in rooms)
        yield ServiceAccess("rtm", user=user)
        yield ServiceAccess("chat.user", user=user)
        yield ServiceAccess("chat.user", user="account:a", alias=user)


@pytest.mark.parametrize(("people", "rooms"), PEOPLE_AND_ROOMS)
def test_denials_of_rooms_are_found_as_by_comparing_each(
    people: tuple[str | None, ...], rooms: tuple[str, ...]
) -> None:
    rows = list(product(people, rooms)) + [(user, None) for user in people if user is not None]
    for first in range(len(rows)):
        # Each in turn ends last.
        ends = ((LATER - place, *row) for place, row in enumerate(rows[first:] + rows[:first]))
        listed = [Denial("p", until, user, None, room) for until, user, room in ends]
        denials, rules = Denials(listed), [DenialRule(denial) for denial in listed]
        for access in accesses_of_rooms_and_people():
            expected = next((rule.denial for rule in rules if rule.applies_to(access)), None)
            assert denials.find("p", [access], NOW) == expected


SCOPES = {
    "p": Scopes("app 1", ("board 1", "board 2")),
    "q": Scopes("app 1", ("board 2",)),
    "r": Scopes("app 2", ("board 1",)),
    "s": Scopes("app 3"),
}
# Few people and places, so that many denials have one of them in common.
MIXED_DENIALS = st.builds(
    lambda project, until, user, place, types: Denial(
        project, until, user, place[0], place[1], types
    ),
    st.sampled_from(("p", "p", "p", *SCOPES)),
    st.integers(NOW, NOW + 30),
    st.sampled_from((None, "uid:7", "account:al", "account:BO", "*")),
    st.one_of(
        st.just((None, None)),
        st.text("ab*", min_size=1, max_size=6).map(lambda channel: (channel, None)),
        st.sampled_from(("a", "a*", "*b", "*a*b*")).map(lambda channel: (channel, None)),
        st.sampled_from(DENIED_ROOMS).map(lambda room: (None, room)),
    ),
    st.sampled_from((*[frozenset[str]()] * 4, frozenset(("rtm", "whiteboard.room")))),
).filter(lambda denial: (denial.user, denial.channel, denial.room) != (None, None, None))


def is_shared(denial: Denial, project: str, access: ServiceAccess) -> bool:
    """Whether a denial of one project is for a token of another, or the same."""
    one, other = SCOPES[denial.project], SCOPES[project]
    if one.app == other.app:
        return True
    is_of_a_board = denial.room is not None and access.token_type in WHITEBOARD_TYPES
    return is_of_a_board and not set(one.boards).isdisjoint(other.boards)


@settings(max_examples=1000)
@given(
    st.lists(MIXED_DENIALS, min_size=6, max_size=24),
    st.sampled_from(("p", *SCOPES)),
    st.lists(
        accesses() | logins() | st.sampled_from(tuple(accesses_of_rooms_and_people())),
        min_size=1,
        max_size=3,
    ),
    st.booleans(),
)
def test_denials_of_many_shapes_are_found_as_by_comparing_each(
    rows: list[Denial], project: str, wanted: list[ServiceAccess], is_006: bool
) -> None:
    """The expected end is that of the rule on its own, without any index."""
    found = Denials(rows, SCOPES).find(project, wanted, NOW, is_006=is_006)
    ends = [NOW]
    for row in rows:
        rule = DenialRule(row)
        for access in wanted:
            read = readings_of_006(access) if is_006 and row.channel is not None else ()
            if is_shared(row, project, access) and any(map(rule.applies_to, (access, *read))):
                ends.append(row.until_ms)
    assert (found.until_ms if found else NOW) == max(ends)


IN_006 = [
    # The denial, the channel, the user: "room1" with 23 has the signature of "room12" with 3.
    (Denial("p", LATER, channel="room12"), "room1", "uid:23", True),
    (Denial("p", LATER, channel="room12"), "room", "uid:12", True),
    (Denial("p", LATER, channel="room12"), "room123", None, True),
    (Denial("p", LATER, channel="room12"), "room1", "account:2bob", True),
    (Denial("p", LATER, channel="*m12"), "room1", "uid:23", True),
    (Denial("p", LATER, "uid:3", "room12"), "room1", "uid:23", True),
    (Denial("p", LATER, "uid:4", "room12"), "room1", "uid:23", False),
    # With no user, "room12" is for any user.
    (Denial("p", LATER, "uid:4", "room12"), "room1", "uid:2", True),
    (Denial("p", LATER, channel="room12"), "room2", "uid:13", False),
    # Every 006 token can be altered to be for any user of some channel.
    (Denial("p", LATER, "uid:3"), "room1", "uid:23", False),
    # No channel has a name of 65 characters.
    (Denial("p", LATER, channel="*b"), "r" * 63, "account:bc", True),
    (Denial("p", LATER, channel="*b"), "r" * 64, "account:bc", False),
]


@pytest.mark.parametrize(("denial", "channel", "user", "expected"), IN_006)
def test_a_006_token_is_denied_if_it_can_be_altered_to_be_for_a_denied_channel(
    denial: Denial, channel: str, user: str | None, expected: bool
) -> None:
    wanted = [ServiceAccess("rtc", "x", channel=channel, user=user, any_user=user is None)]
    found = Denials([denial]).find("p", wanted, NOW, is_006=True)
    assert (found is not None) is expected
    in_007 = Denials([denial]).find("p", wanted, NOW)
    assert in_007 is None


@given(st.lists(DENIALS, max_size=6), st.text("ab", min_size=1, max_size=3), st.text("17a"))
def test_all_readings_of_a_006_token_are_compared_with_denials_of_channels(
    rows: list[Denial], channel: str, account: str
) -> None:
    user = user_name(account) if account else None
    access = ServiceAccess("rtc", "x", channel=channel, user=user, any_user=user is None)
    found = Denials(rows).find("p", [access], NOW, is_006=True)
    ends = [
        row.until_ms
        for row in rows
        for reading in (access, *readings_of_006(access))
        if row.until_ms > NOW
        and (reading is access or row.channel is not None)
        and DenialRule(row).applies_to(reading)
    ]
    assert (found and found.until_ms) == (max(ends) if ends else None)


OTHER_TYPE = frozenset(("fcdn",))
MANY = {
    "names": lambda number: Denial("p", LATER, channel=f"c{number:05}"),
    "prefixes": lambda number: Denial("p", LATER, channel=f"c{number:05}*"),
    "suffixes": lambda number: Denial("p", LATER, channel=f"*c{number:05}"),
    "parts": lambda number: Denial("p", LATER, channel=f"*c{number:05}*"),
    "a common prefix": lambda number: Denial("p", LATER, channel=f"c*{number:05}"),
    "many stars": lambda number: Denial("p", LATER, channel=f"*c*0*{number:05}*0*"),
    "users": lambda number: Denial("p", LATER, f"uid:{number + 1}"),
    "suffixes of users": lambda number: Denial("p", LATER, f"account:*{number:05}"),
    "users of a channel": lambda number: Denial("p", LATER, f"uid:{number + 9}", "c*"),
    "channels of a user": lambda number: Denial("p", LATER, "uid:7", f"*c{number:05}"),
    "suffixes of users and channels": lambda number: Denial("p", LATER, f"uid:*{number:05}", "*c*"),
    "rooms": lambda number: Denial("p", LATER, room=f"r{number:05}"),
    "suffixes of rooms": lambda number: Denial("p", LATER, room=f"*r{number:05}"),
    "other types": lambda number: Denial("p", LATER, f"*{number:05}", token_types=OTHER_TYPE),
}
PUBLISHER = ServiceAccess("rtc", "x", channel="0c0" + "x" * 61, user="uid:7")
LOGIN = ServiceAccess("rtm", user="account:zoe")
ASKED = {
    "a name": [PUBLISHER],
    "a name that is denied": [PUBLISHER._replace(channel="c00007", user="uid:9")],
    "any user": [PUBLISHER._replace(user=None, any_user=True)],
    "any channel": [PUBLISHER._replace(channel=None, any_channel=True)],
    "a pattern": [PUBLISHER._replace(channel=None, channel_pattern="cc*")],
    "a pattern that is denied": [PUBLISHER._replace(channel=None, channel_pattern="c*")],
    "a pattern of parts": [PUBLISHER._replace(channel=None, channel_pattern="*cc*")],
    "a login": [LOGIN],
    "a whiteboard": [UNDASHED],
    "all whiteboards": [SDK],
    "a classroom": [CLASSROOM, LOGIN],
    "a composition": [PUBLISHER, LOGIN, CLASSROOM] * 10,
}


def calls_of_a_decision(denials: Denials, wanted: list[ServiceAccess], *, is_006: bool) -> int:
    """Returns how many functions a decision calls, those that are not written in Python too."""
    with functions_called() as called:
        denials.find("p", wanted, NOW, is_006=is_006)
    return len(called)


@pytest.mark.parametrize("shape", MANY)
def test_the_cost_of_a_decision_does_not_grow_with_the_list(shape: str) -> None:
    few, many = (Denials(map(MANY[shape], range(count))) for count in (100, 5000))
    requests = {name: (wanted, False) for name, wanted in ASKED.items()}
    requests["a name in format 006"] = ([PUBLISHER], True)
    requests["any user in format 006"] = ([PUBLISHER._replace(user=None, any_user=True)], True)
    grown = {
        name: calls
        for name, (wanted, is_006) in requests.items()
        if (calls := calls_of_a_decision(many, wanted, is_006=is_006))
        > 1.2 * calls_of_a_decision(few, wanted, is_006=is_006) + 100
    }
    assert grown == {}


def test_a_denial_ends_at_its_time() -> None:
    denials = Denials([Denial("p", NOW, user="uid:7")])
    wanted = [ServiceAccess("rtc", "publisher", channel="c", user="uid:7")]
    assert denials.find("p", wanted, NOW - 1)
    assert denials.find("p", wanted, NOW) is None
