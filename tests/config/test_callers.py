"""Mistakes in callers, grants and tests: each is a line that says where and what to do."""

import re
from pathlib import Path
from typing import Any

import pytest

from support.granting import ALL_ALLOWANCES, API_KEY_IDENTITY
from support.keys import APP_ID, SECRETS
from support.serving import write_config
from token_authority_server import config
from token_authority_server.config import ConfigError, Settings
from token_authority_server.config.callers import GrantSettings
from token_authority_server.families import FAMILIES

GRANT = """
[[callers.grants]]
name = "lessons"
project = "classroom"
tokens = ["rtc"]
roles = ["publisher"]
channels = ["lesson-*"]
users = ["uid:*"]
"""
CALLER = f"""
[[callers]]
name = "tester"
identities = ["local"]
{GRANT}"""
PROJECT = f"""
[projects.classroom.agora]
app_id = "{APP_ID}"
[[projects.classroom.agora.certificates]]
id = "cert-1"
secret = {{ file = "cert" }}
state = "active"
"""
OTHER_CALLER = CALLER.replace('"tester"', '"other"')


def load(folder: Path, text: str) -> Settings:
    return config.load(write_config(folder, PROJECT + text), {})


def with_grant(line: str, without: str = "") -> str:
    """The caller, with a line more in its grant and one less."""
    lines = [kept for kept in CALLER.splitlines() if not (without and kept.startswith(without))]
    return "\n".join([*lines, line])


def with_caller(line: str) -> str:
    return CALLER.replace('name = "tester"', f'name = "tester"\n{line}')


def identified(*identities: str) -> str:
    listed = ", ".join(f'"{identity}"' for identity in identities)
    return CALLER.replace('["local"]', f"[{listed}]")


def expecting(request: str, caller: str = "tester", expect: str = "allow") -> str:
    return f'{CALLER}\n[[tests]]\ncaller = "{caller}"\nrequest = {request}\nexpect = "{expect}"\n'


RTC = '{ rtc = { channel_name = "lesson-1", uid = 7, role = "RTC_ROLE_PUBLISHER" } }'
AT_CALLER = "[[callers]] caller 'tester'"
AT_GRANT = "[[callers.grants]] grant 'lessons' of caller 'tester'"
NO_OTHERS = "must be printable ASCII, where '*' matches any characters"
MISTAKES = {
    "no callers": ("", "callers: is missing: add it"),
    "one table for a list of callers": (
        CALLER.replace("[[callers]]", "[callers]"),
        "callers: must be a list: write [ … ] around it, or [[ … ]]",
    ),
    "no name": (
        CALLER.replace('name = "tester"', ""),
        "[[callers]] caller 1: name: is missing: add it",
    ),
    "an odd name": (
        CALLER.replace('"tester"', '"Lesson Service"'),
        "[[callers]] caller 'Lesson Service': name: must be lower-case letters, digits and '-'",
    ),
    "an unknown key": (
        with_caller('rate-limit = "1/second"'),
        f"{AT_CALLER}: rate-limit: is not a key: did you mean 'rate_limit'?",
    ),
    "an unknown key of a grant": (
        with_grant('channel = ["a"]'),
        f"{AT_GRANT}: channel: is not a key: did you mean 'channels'?",
    ),
    "two callers of one name": (
        CALLER + identified(API_KEY_IDENTITY),
        f"{AT_CALLER}: another caller has this name: rename one",
    ),
    "two callers with one identity": (
        CALLER + OTHER_CALLER,
        "[[callers]] caller 'other': identities.0: caller 'tester' has the same identity",
    ),
    "no identity": (
        identified(),
        f"{AT_CALLER}: identities: must not be empty: add at least one entry",
    ),
    "an unknown identity": (identified("ip:10.0.0.1"), 'identities.0: must be "spiffe://'),
    "an API key for its hash": (
        identified("api-key:sha256:tak_0123"),
        "as `token-authority api-key new` prints it",
    ),
    "a hash in capitals": (identified(API_KEY_IDENTITY.upper()), "identities.0: must be "),
    "a pattern for an identity": (identified("spiffe://example.org/*"), "identities.0: must be "),
    "a JWT without an issuer": (
        identified("jwt:sub=lessons"),
        f"{AT_CALLER}: identities.0: jwt:sub=lessons needs [authentication.jwt]",
    ),
    "a certificate that nobody asks for": (
        identified("spiffe://example.org/lessons"),
        f"{AT_CALLER}: identities.0: spiffe://example.org/lessons needs server.mtls_listen",
    ),
    "whoever comes, from anywhere": (
        '[server]\nlisten = ["0.0.0.0:1"]\nallow_plaintext = true\n' + CALLER,
        f"{AT_CALLER}: identities.0: 'local' would admit every client that reaches the server",
    ),
    "no grants": (
        CALLER.replace(GRANT, ""),
        f"{AT_CALLER}: grants: is missing: add it",
    ),
    "two grants of one name": (
        CALLER + GRANT,
        f"{AT_CALLER}: two grants have the name 'lessons': rename one",
    ),
    "a default project that is not granted": (
        "[projects.office.agora]"
        + PROJECT.partition("[projects.classroom.agora]")[2].replace(".classroom.", ".office.")
        + with_caller('default_project = "office"'),
        f"{AT_CALLER}: default_project is 'office', but no grant is for that project: add one",
    ),
    "a rate that is none": (with_caller('rate_limit = "fast"'), f"{AT_CALLER}: rate_limit: "),
    "a rate as a number": (
        with_caller("rate_limit = 200"),
        AT_CALLER + ': rate_limit: must be text like "200/second; 10000/hour"',
    ),
    "no call at all": (
        with_caller("max_in_flight = 0"),
        f"{AT_CALLER}: max_in_flight: must be at least 1",
    ),
    "an unknown project": (
        CALLER.replace('"classroom"', '"office"'),
        f"{AT_GRANT}: project: there is no project 'office'",
    ),
    "no name of a project": (
        CALLER.replace('"classroom"', '""'),
        f"{AT_GRANT}: project: there is no project ''",
    ),
    "a pattern for a project": (
        CALLER.replace('"classroom"', '"*"'),
        f"{AT_GRANT}: project: there is no project '*'",
    ),
    "an unknown kind": (
        with_grant('tokens = ["rct"]', "tokens"),
        f"{AT_GRANT}: tokens.0: is not a token type: did you mean 'rtc'? (known: access_token, ",
    ),
    "a star for all kinds": (
        with_grant('tokens = ["*"]', "tokens"),
        f"{AT_GRANT}: tokens.0: is not a token type (known: access_token, ",
    ),
    "text for a list": (
        with_grant('tokens = "rtc"', "tokens"),
        f"{AT_GRANT}: tokens: must be a list: write [ … ] around it",
    ),
    "nothing granted": (
        with_grant("tokens = []", "tokens"),
        f'{AT_GRANT}: grants nothing: list `tokens`, or add "inspect" or "list_keys" to `allow`',
    ),
    "no roles": (
        with_grant("", "roles"),
        f'{AT_GRANT}: must list roles, because rtc tokens have them: set ["*"] for all',
    ),
    "no channels": (with_grant("", "channels"), f"{AT_GRANT}: must list channels, because rtc"),
    "no users": (with_grant("", "users"), f"{AT_GRANT}: must list users, because rtc tokens"),
    "rooms without whiteboards": (
        with_grant('rooms = ["*"]'),
        f"{AT_GRANT}: lists rooms, which none of its token types has: remove the key",
    ),
    "a misspelt role": (
        with_grant('roles = ["publisher", "subscribr"]', "roles"),
        f"{AT_GRANT}: none of its token types has the role 'subscribr': did you mean 'subscriber'?",
    ),
    "a role of other tokens": (
        with_grant('roles = ["writer"]', "roles"),
        f"{AT_GRANT}: none of its token types has the role 'writer' (known: publisher, subscriber)",
    ),
    "an empty pattern": (with_grant('channels = [""]', "channels"), f"channels.0: {NO_OTHERS}"),
    "a look-alike": (
        with_grant('channels = ["l\u0435sson-*"]', "channels"),
        f"{AT_GRANT}: channels.0: {NO_OTHERS}",
    ),
    "a full-width star": (
        with_grant('channels = ["lesson-\uff0a"]', "channels"),
        f"{AT_GRANT}: channels.0: {NO_OTHERS}",
    ),
    "a line break": (
        with_grant('channels = ["lesson-*\\n"]', "channels"),
        f"{AT_GRANT}: channels.0: {NO_OTHERS}",
    ),
    "a look-alike in a user": (
        with_grant('users = ["account:\u0430l"]', "users"),
        f"{AT_GRANT}: users.0: {NO_OTHERS}",
    ),
    "a user without its kind": (
        with_grant('users = ["7"]', "users"),
        f'{AT_GRANT}: users.0: must be "uid:7", "uid:*", "account:al*", or "*"',
    ),
    "a star across both kinds of user": (
        with_grant('users = ["*:7"]', "users"),
        f"{AT_GRANT}: users.0: must be ",
    ),
    "a uid with letters": (with_grant('users = ["uid:al"]', "users"), "users.0: must be "),
    "a uid for anyone": (
        with_grant('users = ["uid:0"]', "users"),
        f"{AT_GRANT}: users.0: is not a uid, 1 to 4294967295; for a wildcard token, add "
        '"any_user" to allow',
    ),
    "a uid of 33 bits": (with_grant('users = ["uid:4294967296"]', "users"), "0: is not a uid, "),
    "a uid with a zero in front": (with_grant('users = ["uid:07"]', "users"), "0: is not a uid, "),
    "a uid that is too long": (
        with_grant('users = ["uid:10000000000"]', "users"),
        f"{AT_GRANT}: users.0: is not a uid, ",
    ),
    "an unknown allowance": (
        with_grant('allow = ["everything"]'),
        f"{AT_GRANT}: allow.0: must be one of any_user, ",
    ),
    "a longest life of nothing": (
        with_grant('max_ttl = "0s"'),
        f"{AT_GRANT}: max_ttl must be at least 1ms",
    ),
    "a longest life beyond all": (
        with_grant('max_ttl = "3651d"'),
        f"{AT_GRANT}: max_ttl: must be at most 3650d",
    ),
    "a default life of nothing": (
        with_grant('default_ttl = "0s"'),
        f"{AT_GRANT}: default_ttl must be at least 1ms and at most max_ttl",
    ),
    "a default life beyond the longest": (
        with_grant('max_ttl = "1m"\ndefault_ttl = "61s"'),
        f"{AT_GRANT}: default_ttl must be at least 1ms and at most max_ttl",
    ),
    # In 007 such a life is written as 0, which means a day, or for ever.
    "half a second for RTC": (
        with_grant('max_ttl = "500ms"'),
        f"{AT_GRANT}: max_ttl must be a multiple of 1 second for rtc tokens",
    ),
    "one and a half seconds for RTC": (
        with_grant('default_ttl = "1500ms"'),
        f"{AT_GRANT}: default_ttl must be a multiple of 1 second for rtc tokens",
    ),
    "an unknown way with a longer life": (
        with_grant('above_max_ttl = "cut"'),
        f"{AT_GRANT}: above_max_ttl: must be one of refuse, clamp",
    ),
    "a key that signs and does not": (
        "retired_at = 2026-01-31T18:00:00Z\n" + CALLER,
        "projects.classroom: cert-1 is active and has retired_at: remove one of them",
    ),
    "a retirement at no time in particular": (
        "retired_at = 2026-01-31T18:00:00\n" + CALLER,
        "[[projects.classroom.agora.certificates]] key 1: retired_at: must be a date and time with",
    ),
    "a test of nobody": (
        expecting(RTC, caller="nobody"),
        "[[tests]] test 1: caller: there is no caller 'nobody'",
    ),
    "a test of nothing": (
        expecting("{}"),
        "[[tests]] test 1: request: has no token family: set one of whiteboard, ",
    ),
    "a test as text": (
        expecting('"rtc"'),
        "[[tests]] test 1: request: must be a table like { rtc = ",
    ),
    "a test of an unknown kind": (
        expecting("{ rct = {} }"),
        "[[tests]] test 1: request: is not a request: Message type",
    ),
    "a test of two kinds": (
        expecting("{ rtc = {}, rtm = {} }"),
        "[[tests]] test 1: request: is not a request",
    ),
    "a test with an unknown field": (
        expecting("{ rtc = { chanel = 7 } }"),
        'has no field named "chanel"',
    ),
    "a test with a time of TOML": (
        expecting("{ rtc = { expire_time = 2030-01-31T18:00:00Z } }"),
        "[[tests]] test 1: request: is not a request: Timestamp JSON value not a string",
    ),
    "a test with a number too large": (
        expecting("{ rtc = { uid = 99999999999999999999 } }"),
        "[[tests]] test 1: request: is not a request: ",
    ),
    "a test with a wrong type": (
        expecting("{ rtc = [7] }"),
        "[[tests]] test 1: request: is not a request: ",
    ),
    "a test of an unknown outcome": (
        expecting(RTC, expect="deny"),
        '[[tests]] test 1: expect: must be "allow" or a reason, like "GRANT_MISSING"',
    ),
}


@pytest.mark.parametrize(("text", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_with_file_key_and_cure(
    tmp_path: Path, text: str, expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    (line,) = str(caught.value).splitlines()
    assert re.match(rf"{re.escape(str(tmp_path))}/token-authority\.toml(:\d+)?: ", line)
    assert expected in line
    assert not any(secret in line for secret in SECRETS)


def test_what_the_mistakes_start_from_is_none(tmp_path: Path) -> None:
    for text in (CALLER, with_grant(""), expecting(RTC)):
        assert load(tmp_path, text).callers[0].name == "tester"


def grant(**changes: Any) -> GrantSettings:
    row = {"name": "g", "project": "p", "roles": ["*"], "rooms": ["*"], "users": ["*"], **changes}
    return GrantSettings.model_validate({**row, "tokens": tuple(changes["tokens"])}, strict=False)


@pytest.mark.parametrize(
    ("family", "unbounded", "members"),
    [
        ("whiteboard", {"users"}, {"whiteboard.room", "whiteboard.task"}),
        ("chat", {"roles", "rooms"}, {"chat.user"}),
        ("education", set[str](), {"education.room_user", "education.user"}),
    ],
)
def test_a_family_leaves_out_what_opens_all_of_a_project(
    family: str, unbounded: set[str], members: set[str]
) -> None:
    row = grant(tokens=[family], **dict.fromkeys(unbounded, ()))
    assert row.token_types() == members


def test_what_opens_all_of_a_project_is_explicit() -> None:
    explicit = {one.name for kind in FAMILIES for one in kind.token_types if one.explicit}
    assert explicit == {"whiteboard.sdk", "chat.app", "education.app", "access_token"}


@pytest.mark.parametrize("allowance", ["inspect", "list_keys"])
def test_a_grant_may_be_for_operators_alone(tmp_path: Path, allowance: str) -> None:
    text = "\n".join(
        line
        for line in CALLER.splitlines()
        if not line.startswith(("tokens", "roles", "chan", "users"))
    )
    (row,) = load(tmp_path, f'{text}\nallow = ["{allowance}"]').callers[0].grants
    assert row.token_types() == frozenset()
    assert allowance in ALL_ALLOWANCES


def test_milliseconds_are_for_whiteboards(tmp_path: Path) -> None:
    text = with_grant('tokens = ["whiteboard"]\nrooms = ["*"]\nmax_ttl = "1500ms"', "tokens")
    text = "\n".join(
        line for line in text.splitlines() if not line.startswith(("channels", "users"))
    ).replace("publisher", "writer")
    (row,) = load(tmp_path, text).callers[0].grants
    assert row.grant().max_ttl_ms == 1500


@pytest.mark.parametrize(
    ("tokens", "roles"),
    [
        ("rtc", ["*lisher"]),
        ("rtc", ["subscriber", "publisher"]),
        ("streaming", ["publisher"]),
        # Education's roles are numbers, of which Agora's classroom may know more than we do.
        ("education.room_user", ["2", "-1", "1*"]),
    ],
)
def test_roles_that_some_token_has_are_taken(tokens: str, roles: list[str]) -> None:
    places = {"rooms": ("*",)} if tokens.startswith("education") else {"channels": ("*",)}
    row = {"name": "g", "project": "p", "tokens": (tokens,), "users": ("*",), **places}
    assert GrantSettings.model_validate({**row, "roles": tuple(roles)}).roles == tuple(roles)
