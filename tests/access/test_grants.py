import itertools
import string
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support import granting
from support.keys import NOW_MS
from token_authority.v1.issued_token_pb2 import TOKEN_FORMAT_V006, TOKEN_FORMAT_V007
from token_authority_server.access.grants import Grant, find_grant
from token_authority_server.access.patterns import Glob, Patterns
from token_authority_server.config.callers import TOKEN_TYPES, GrantSettings
from token_authority_server.errors import Reason, Refusal
from token_authority_server.families import AccessRequest, ServiceAccess, Terms

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
RTC = ServiceAccess("rtc", "publisher", channel="lesson-1", user="uid:7")
RTM = ServiceAccess("rtm", user="account:al")

# What globs, regular expressions and fnmatch take for special, and letters of both cases.
SPECIAL = st.text("ab*AB[]?!^-.+|()\\{}$\n ", max_size=12)


def naive(glob: str, text: str) -> bool:
    """Matches a glob by trying everything."""

    @cache
    def matches(at: int, place: int) -> bool:
        if at == len(glob):
            return place == len(text)
        if glob[at] == "*":
            return any(matches(at + 1, rest) for rest in range(place, len(text) + 1))
        return place < len(text) and glob[at] == text[place] and matches(at + 1, place + 1)

    return matches(0, 0)


@given(st.lists(SPECIAL, max_size=4), SPECIAL)
@example(["a*ab"], "aab")
@example(["a*b", "*|*"], "axb")
@example(["a*a"], "a")
@example(["**"], "")
@example(["*\n"], "a\n")
def test_only_a_star_is_special(globs: list[str], text: str) -> None:
    matching = [naive(glob, text) for glob in globs]
    assert bool(Patterns(globs).match(text)) is any(matching)
    assert [Glob(glob).matches(text) for glob in globs] == matching


PIECE = st.text("ab", max_size=2)


@given(st.lists(PIECE, min_size=4, max_size=7), st.text("ab", max_size=10))
@example(["", "ab", "ab", ""], "ab")  # no piece matches text that another has matched
@example(["", "aa", "aa", ""], "aaa")
@example(["a", "b", "", "a"], "aba")
@example(["a", "ba", "ab", "b"], "abab")
@example(["", "b", "a", "", ""], "ab")
def test_three_stars_and_more_match_what_brute_force_matches(pieces: list[str], text: str) -> None:
    glob = "*".join(pieces)
    expected = naive(glob, text)
    assert bool(Patterns([glob]).match(text)) is expected
    assert Glob(glob).matches(text) is expected


# Four letters, of which patterns of at most three have one to spare; brute force needs no longer
# texts, as a pattern that misses one misses the one with a spare letter for each `*`.
LETTERS = "abcd"
NAMES = [
    "".join(letters) for length in range(4) for letters in itertools.product(LETTERS, repeat=length)
]
SHORT_PATTERN = st.text(f"{LETTERS}*", min_size=1, max_size=3)


@given(st.lists(SHORT_PATTERN, max_size=3), SHORT_PATTERN)
@example(["*"], "a*")
@example(["a*", "*a"], "a*a")
@example(["a*b", "a"], "a*")
@example(["ab*", "a"], "a*")
@example(["a*"], "a**")
def test_a_pattern_includes_another_if_it_matches_all_that_the_other_matches(
    granted: list[str], requested: str
) -> None:
    matched = [name for name in NAMES if naive(requested, name)]
    expected = any(all(naive(glob, name) for name in matched) for glob in granted)
    assert Patterns(granted).includes(requested) is expected


@given(SPECIAL, st.lists(SPECIAL, max_size=5))
def test_a_star_stands_for_anything(glob: str, fillings: list[str]) -> None:
    pieces = glob.split("*")
    fill = itertools.chain(fillings, itertools.repeat(""))
    text = pieces[0] + "".join(next(fill) + piece for piece in pieces[1:])
    assert Patterns([glob]).match(text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("lesson-*", "Lesson-1"),
        ("lesson-*", "my lesson-1"),
        ("lesson", "lesson-1"),
        ("lesson-?", "lesson-1"),
        ("lesson-[12]", "lesson-1"),
        ("lesson-[!1]", "lesson-2"),
        ("lesson-.", "lesson-1"),
        ("lesson-1|office", "office"),
        ("*-1", "lesson-1\n"),
        # A Cyrillic letter, a full-width 1, an accent that is a character of its own.
        ("lesson-1", "l\u0435sson-1"),
        ("lesson-1", "lesson-\uff11"),
        ("e", "e\u0301"),
    ],
)
def test_what_a_pattern_is_not_for(pattern: str, text: str) -> None:
    assert not Patterns([pattern]).match(text)


@pytest.mark.parametrize("text", [*string.punctuation, "a[b]!c?", "{1,2}", "a.b"])
def test_a_text_matches_itself_alone_and_among_globs(text: str) -> None:
    for others in ([], ["x*"]):
        assert Patterns([text, *others]).match(text)


def test_no_pattern_takes_longer_than_the_text_is_long() -> None:
    # A matcher that reconsiders its choices would not come back from these.
    for middle in ("a", "aa", "ab"):
        pattern = "*" + f"{middle}*" * 60 + "b"
        assert not Patterns([pattern, pattern + "c"]).match("ab" * 20_000 + "aac")


def test_patterns_show_what_they_are() -> None:
    assert repr(Patterns(["a*", "b"])) == "Patterns(('a*', 'b'))"
    assert not Patterns([]).match("")


def grant(name: str = "all", **changes: Any) -> Grant:
    return GrantSettings.model_validate(granting.grant(name=name, **changes)).grant()


def terms(ttl_ms: int | None = HOUR_MS, **more: Any) -> Terms:
    return Terms(
        **{"format": TOKEN_FORMAT_V007, "advisories": (), **more}, issue_ms=NOW_MS, ttl_ms=ttl_ms
    )


def refusal(grants: list[Grant], *parts: ServiceAccess, **more: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        find_grant(grants, AccessRequest(parts, terms(**more)))
    return caught.value


def test_the_first_grant_that_covers_a_request_decides() -> None:
    grants = [grant("other", channels=("x",)), grant("short", max_ttl="1h"), grant("long")]
    assert find_grant(grants, AccessRequest([RTC], terms())).name == "short"
    assert find_grant(grants, AccessRequest([RTC], terms(HOUR_MS + 1))).name == "long"


def test_grants_are_never_combined() -> None:
    rtc = grant("rtc", tokens=("rtc",), rooms=())
    rtm = grant("rtm", tokens=("rtm",), roles=(), channels=(), rooms=())
    for grants, nearest, kind in (([rtc, rtm], "rtc", "rtm"), ([rtm, rtc], "rtm", "rtc")):
        told = refusal(grants, RTC, RTM)
        assert told.metadata["grant"] == nearest
        assert told.metadata["wanted"] == f"tokens of type {kind}"


# From far to near: what each lacks for an RTC token with an RTM login, and what is missing then.
NEARER: list[tuple[dict[str, Any], str]] = [
    ({"tokens": ("whiteboard.room",), "channels": (), "users": ()}, "tokens"),
    ({"roles": ("subscriber",), "users": ("uid:*",)}, "roles"),
    ({"channels": ("office",), "users": ("uid:*",)}, "channels"),
    ({"users": ("account:x",)}, "users"),
    ({"tokens": ("rtc",), "rooms": ()}, "tokens"),
    ({"users": ("uid:*",)}, "users"),
    ({"allow": ()}, "v006"),
    ({"max_ttl": "1m"}, "max_ttl"),
]


@pytest.mark.parametrize("nearest", range(1, len(NEARER) + 1))
def test_the_nearest_grant_is_named_wherever_it_stands(nearest: int) -> None:
    grants = [grant(f"g{place}", **changes) for place, (changes, _) in enumerate(NEARER[:nearest])]
    for ordered in (grants, grants[::-1]):
        told = refusal(ordered, RTC, RTM, format=TOKEN_FORMAT_V006)
        assert told.metadata["grant"] == f"g{nearest - 1}"
        assert told.metadata["missing"] == NEARER[nearest - 1][1]


def test_of_equally_near_grants_the_first_is_named() -> None:
    grants = [grant(name, channels=("x",)) for name in ("a", "b")]
    assert refusal(grants, RTC).metadata["grant"] == "a"


PATTERN = ServiceAccess("rtc", "publisher", channel_pattern="lesson-*", user="uid:7")
WILD = ServiceAccess("rtc", "publisher", any_channel=True, user="uid:7")
ANYONE = ServiceAccess("rtc", "publisher", channel="c", any_user=True)
ROOM = ServiceAccess("whiteboard.room", "reader", room="r-1")
LACKS: list[tuple[dict[str, Any], ServiceAccess, dict[str, Any], str, Reason, str]] = [
    (
        {"tokens": ("rtm",), "roles": (), "channels": (), "rooms": ()},
        RTC,
        {},
        "tokens",
        Reason.GRANT_MISSING,
        "tokens of type rtc",
    ),
    (
        {"tokens": ("whiteboard",), "channels": (), "users": ()},
        ServiceAccess("whiteboard.sdk", "reader"),
        {},
        "tokens",
        Reason.SDK_SCOPE_FORBIDDEN,
        "tokens of type whiteboard.sdk",
    ),
    (
        {"roles": ("subscriber",)},
        RTC,
        {},
        "roles",
        Reason.GRANT_MISSING,
        "rtc tokens for the role 'publisher'",
    ),
    (
        {"channels": ("x",)},
        RTC,
        {},
        "channels",
        Reason.GRANT_MISSING,
        "rtc tokens for the channel 'lesson-1'",
    ),
    (
        {"users": ("uid:8",)},
        RTC,
        {},
        "users",
        Reason.GRANT_MISSING,
        "rtc tokens for the user 'uid:7'",
    ),
    (
        {"rooms": ("x",)},
        ROOM,
        {},
        "rooms",
        Reason.GRANT_MISSING,
        "whiteboard.room tokens for the room 'r-1'",
    ),
    (
        {"allow": ("any_user",)},
        WILD,
        {},
        "any_channel",
        Reason.WILDCARD_FORBIDDEN,
        "rtc tokens for any_channel",
    ),
    (
        {"allow": ("any_channel",)},
        PATTERN,
        {},
        "channel_pattern",
        Reason.WILDCARD_FORBIDDEN,
        "rtc tokens for the channel pattern 'lesson-*'",
    ),
    (
        {"channels": ("lesson-1*", "*-1", "lesson-")},
        PATTERN,
        {},
        "channels",
        Reason.GRANT_MISSING,
        "rtc tokens for every channel that 'lesson-*' matches",
    ),
    (
        {"allow": ("any_channel",)},
        ANYONE,
        {},
        "any_user",
        Reason.WILDCARD_FORBIDDEN,
        "rtc tokens for any_user",
    ),
    (
        {"allow": ()},
        RTC,
        {"format": TOKEN_FORMAT_V006},
        "v006",
        Reason.GRANT_MISSING,
        "tokens of the older format 006",
    ),
    (
        {"allow": ()},
        ROOM,
        {"ttl_ms": None},
        "non_expiring",
        Reason.NON_EXPIRING_FORBIDDEN,
        "tokens that never expire",
    ),
    (
        {"max_ttl": "59s"},
        RTC,
        {"ttl_ms": 60_000},
        "max_ttl",
        Reason.TTL_FORBIDDEN,
        "a lifetime above 59 s (60 s requested)",
    ),
]


@pytest.mark.parametrize(
    ("changes", "part", "more", "missing", "reason", "wanted"), LACKS, ids=[row[3] for row in LACKS]
)
def test_a_refusal_says_what_is_missing_and_what_to_do(
    changes: dict[str, Any],
    part: ServiceAccess,
    more: dict[str, Any],
    missing: str,
    reason: Reason,
    wanted: str,
) -> None:
    assert find_grant([grant()], AccessRequest([part], terms(**more)))
    told = refusal([grant(**changes)], part, **more)
    assert told.reason is reason
    assert told.metadata == {
        "project": "classroom",
        "grant": "all",
        "missing": missing,
        "wanted": wanted,
    }
    is_allowance = missing in granting.ALL_ALLOWANCES
    cure = f'add "{missing}" to its `allow`' if is_allowance else f"widen its `{missing}`"
    assert cure in told.advice


def test_a_star_is_neither_any_user_nor_any_channel() -> None:
    for part in (WILD, ANYONE, PATTERN):
        assert refusal([grant(allow=())], part).reason is Reason.WILDCARD_FORBIDDEN


def test_a_token_in_a_field_is_not_repeated() -> None:
    token = "007eJxTYAhb" + "A" * 80
    told = refusal([grant(users=("uid:*",))], RTC._replace(user=f"account:{token}"))
    assert token not in told.message
    assert "(token " in told.message


def settled(grant: Grant, wanted: Terms, family_max_ttl_ms: int = DAY_MS) -> Terms:
    return grant.resolve_ttl(wanted, family_max_ttl_ms)


@pytest.mark.parametrize(
    ("options", "family_max_ms", "expected_ms"),
    [
        ({}, DAY_MS, HOUR_MS),
        ({"default_ttl": "5m"}, DAY_MS, 300_000),
        ({"default_ttl": "2h"}, DAY_MS, 2 * HOUR_MS),
        ({"max_ttl": "10m"}, DAY_MS, 600_000),
        ({"max_ttl": "10m", "default_ttl": "5m"}, DAY_MS, 300_000),
        ({"max_ttl": "10m", "above_max_ttl": "clamp"}, DAY_MS, 600_000),
        ({"default_ttl": "30d"}, DAY_MS, DAY_MS),
        ({"default_ttl": "30d"}, 3650 * DAY_MS, 30 * DAY_MS),
    ],
)
def test_a_request_that_does_not_say_gets_the_default_life(
    options: dict[str, Any], family_max_ms: int, expected_ms: int
) -> None:
    found = settled(grant(**options), terms(ttl_is_default=True), family_max_ms)
    assert found.ttl_ms == expected_ms
    assert not found.advisories


def test_a_right_must_not_outlive_the_default_life() -> None:
    wanted = terms(ttl_is_default=True, privilege_ttls_ms={"rtm.ttl": 600_000})
    assert settled(grant(), wanted).ttl_ms == HOUR_MS
    with pytest.raises(Refusal) as caught:
        settled(grant(default_ttl="9m"), wanted)
    (violation,) = caught.value.violations
    assert (violation.field, violation.reason) == ("rtm.ttl", "PRIVILEGE_OUTLIVES_TOKEN")


def test_a_longer_lifetime_is_clamped_where_the_grant_clamps() -> None:
    clamping = grant(max_ttl="10m", above_max_ttl="clamp")
    own = {"privileges.join_channel_ttl": HOUR_MS}
    wanted = terms(HOUR_MS, privilege_ttls_ms=own, entries=frozenset(own))
    found = settled(clamping, wanted)
    assert (found.ttl_ms, found.usable_ms) == (600_000, 600_000)
    assert [advisory.reason for advisory in found.advisories] == ["TTL_CLAMPED"]
    for ttl_ms in (600_000, 1000):
        assert settled(clamping, terms(ttl_ms)) == terms(ttl_ms)


def test_what_never_expires_stays_so() -> None:
    assert settled(grant(max_ttl="1s"), terms(None)).ttl_ms is None


def test_the_grant_for_all_has_every_kind_of_token() -> None:
    # Tests take things away from it, one each: a kind that is not in it could not be denied.
    assert grant().token_types == set(TOKEN_TYPES)
