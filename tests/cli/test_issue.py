"""Every kind of token from the command line. A kind without a command or a case here fails."""

import json
import re
import shlex
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from support.commands import Ran, run
from support.decoding import decode
from support.serving import Running
from token_authority.v1.access_token_pb2 import AccessTokenService
from token_authority_cli.issue import COMMANDS
from token_authority_server.families import FAMILIES, TokenFamily

Ask = Callable[..., Awaitable[Ran]]

# Arguments, and what is in the token: its services, or the fields of an older format.
CASES: dict[str, list[tuple[str, Any]]] = {
    "whiteboard": [
        ("--room r-1 --role writer", {"prefix": "NETLESSROOM_", "uuid": "r-1", "role": "1"}),
        ("--task t_1 --role reader", {"prefix": "NETLESSTASK_", "uuid": "t_1", "role": "2"}),
        ("--sdk --role admin --ttl 10m", {"prefix": "NETLESSSDK_", "role": "0"}),
    ],
    "rtc": [
        (
            "--channel c --uid 7 --role subscriber --ttl 90s",
            [{"type": 1, "privileges": {1: 90}, "channel_name": "c", "uid": "7"}],
        ),
        (
            "--any-channel --user-account al --join-ttl 60s --publish-data-ttl 9s --rtm-user al",
            [
                {"type": 1, "privileges": {1: 60, 4: 9}, "channel_name": "*", "uid": "al"},
                {"type": 2, "privileges": {1: 60}, "user_id": "al"},
            ],
        ),
        (
            "--channel-pattern lesson-* --uid 7 --role subscriber --ttl 90s",
            [{"type": 1, "privileges": {1: 90}, "channel_name": "lesson-*", "uid": "7"}],
        ),
    ],
    "rtm": [
        ("--user al --ttl 60s", [{"type": 2, "privileges": {1: 60}, "user_id": "al"}]),
        (
            "--user al --allow read:message_channel:lobby --allow read:user:a:b"
            " --allow write:message_channel:lobby --allow read:message_channel:hall",
            [
                {
                    "type": 8,
                    "privileges": {1: 3600},
                    "user_id": "al",
                    "permissions": {0: {0: ["lobby", "hall"], 1: ["lobby"]}, 4: {0: ["a:b"]}},
                }
            ],
        ),
        (
            "--user al --allow-nothing",
            [{"type": 8, "privileges": {1: 3600}, "user_id": "al", "permissions": {}}],
        ),
        ("--user al --format 006", {"privileges": {1000: 1_700_003_600}}),
    ],
    "chat": [
        ("--user u-1 --ttl 60s", [{"type": 5, "privileges": {1: 60}, "user_id": "u-1"}]),
        ("--app", [{"type": 5, "privileges": {2: 3600}, "user_id": ""}]),
    ],
    "education": [
        (
            "--user al --room r --role 0",
            [
                {"type": 2, "privileges": {1: 3600}, "user_id": "al"},
                {
                    "type": 5,
                    "privileges": {1: 3600},
                    "user_id": "97282b278e5d51866f8e57204e4820e5",
                },
                {
                    "type": 7,
                    "privileges": {1: 3600},
                    "room_uuid": "r",
                    "user_uuid": "al",
                    "role": 0,
                },
            ],
        ),
        (
            "--user al",
            [
                {
                    "type": 7,
                    "privileges": {2: 3600},
                    "room_uuid": "",
                    "user_uuid": "al",
                    "role": -1,
                }
            ],
        ),
        (
            "--app --expire-time 2023-11-14T22:14:20Z",
            [{"type": 7, "privileges": {3: 60}, "room_uuid": "", "user_uuid": "", "role": -1}],
        ),
    ],
    "access_token": [
        (
            "services.json",
            [
                {"type": 1, "privileges": {1: 60}, "channel_name": "c", "uid": "7"},
                {"type": 9, "privileges": {}},
            ],
        )
    ],
}
SERVICES = {
    "services": [
        {"convoAi": {}},
        {"rtc": {"channelName": "c", "uid": 7, "joinChannelTtl": "60s"}},
    ]
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands run; the file that a case names is there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "services.json").write_text(json.dumps(SERVICES))
    return tmp_path


@pytest.fixture
def ask(server: Running, folder: Path) -> Ask:  # noqa: ARG001  # the command runs there
    """Runs `token-authority issue …` against a server with known keys and a still clock."""

    async def ask(*arguments: str, **options: Any) -> Ran:
        where = ("--target", server.address, "--project", "classroom")
        return await run("issue", *arguments, *where, **options)

    return ask


every_kind = pytest.mark.parametrize("kind", FAMILIES, ids=lambda kind: kind.name)


def command_of(kind: TokenFamily[Any, Any]) -> str:
    return kind.name.replace("_", "-")


@every_kind
def test_every_kind_has_a_command_and_cases(kind: TokenFamily[Any, Any]) -> None:
    assert command_of(kind) in {command.name for command in COMMANDS}
    assert CASES[kind.name]


@every_kind
async def test_every_kind_explains_itself_by_examples(kind: TokenFamily[Any, Any]) -> None:
    ran = await run("issue", command_of(kind), "--help")
    assert (ran.code, ran.err) == (0, "")
    _, _, examples = ran.out.partition("\nexamples:\n")
    assert f"  token-authority issue {command_of(kind)} " in examples
    assert max(len(line) for line in ran.out.splitlines()) <= 100


@pytest.mark.parametrize(
    ("kind", "arguments", "holds"),
    [
        pytest.param(kind, arguments, holds, id=f"{kind.name} {arguments}")
        for kind in FAMILIES
        for arguments, holds in CASES.get(kind.name, [])
    ],
)
async def test_every_kind_is_issued(
    ask: Ask, kind: TokenFamily[Any, Any], arguments: str, holds: Any
) -> None:
    ran = await ask(command_of(kind), *arguments.split())
    assert ran.code == 0, ran.err
    fields = decode(ran.out.removesuffix("\n")).fields
    if isinstance(holds, list):
        assert fields["services"] == holds
    else:
        assert {name: fields[name] for name in holds} == holds
    assert "token id: " in ran.err
    assert ran.out.strip() not in ran.err


@every_kind
async def test_every_kind_answers_programs_and_may_only_validate(
    ask: Ask, kind: TokenFamily[Any, Any]
) -> None:
    arguments = [command_of(kind), *CASES[kind.name][0][0].split()]
    issued = json.loads((await ask(*arguments, "--json")).out)
    assert decode(issued["token"])
    decision = json.loads((await ask(*arguments, "--json", "--validate-only")).out)
    assert decision["key_id"] == issued["key_id"]
    assert decision["max_ttl"] == f"{kind.max_ttl_ms // 1000}s"


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ("rtm", "--user"),
        ("rtm --user al --allow admin:user:bo", "begin with read:, write:"),
        ("rtm --user al --allow read:channel:lobby", "a type of message_channel, stream_channel,"),
        ("rtm --user al --allow read:user", "write ACCESS:TYPE:NAME"),
        ("rtm --user al --allow read", "write ACCESS:TYPE:NAME"),
        ("rtm --user al --allow read:user:bo --allow-nothing", "not allowed with argument --allow"),
        ("chat", "one of the arguments --user --app is required"),
        ("chat --user u --app", "not allowed with argument --user"),
        ("education", "--user or --app is required"),
        ("education --room r --role 1", "--user or --app is required"),
        ("education --user al --room r", "--room and --role require each other"),
        ("education --user al --role 1", "--room and --role require each other"),
        ("education --user al --app", "--app cannot be combined"),
        ("education --role 1 --app", "--app cannot be combined"),
        ("education --user al --room r --role teacher", "write an integer"),
        ("access-token", "the following arguments are required: FILE"),
    ],
)
async def test_arguments_that_do_not_fit_together_are_code_2(arguments: str, advice: str) -> None:
    ran = await run("issue", *arguments.split())
    assert (ran.code, ran.out) == (2, "")
    assert advice in " ".join(ran.err.split())


async def test_a_refusal_of_the_server_has_its_code(ask: Ask) -> None:
    ran = await ask("rtm", "--user", "al", "--allow-nothing", "--format", "006")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "token-authority: invalid request: --allow exist in 007 only: leave --format unset\n"
    )


REFUSED = [
    (
        "rtc --channel c --uid 0 --role publisher",
        "--uid must be from 1 to 4294967295 (to admit anyone, set --any-user)",
    ),
    (
        "rtc --channel lesson/1 --uid 7 --role publisher",
        "--channel must consist of the characters Agora allows: a-z A-Z 0-9 space and "
        "!#$%&()+-:;<=.>?@[]^_{}|~, (for every channel, set --any-channel)",
    ),
    ("rtc --channel c --user-account é --role publisher", "--user-account must consist of the"),
    (
        "rtc --any-channel --any-user --role publisher",
        "--any-user must not be set together with --any-channel: name the user or the channel",
    ),
    (
        "rtc --any-channel --uid 7 --role publisher --format 006",
        "--any-channel exists in 007 only: leave --format unset, or name the channel",
    ),
    (
        "rtc --channel c --uid 7 --role publisher --rtm-user al --format 006",
        "--rtm-user exists in 007 only: leave --format unset",
    ),
    ("rtc --channel c --uid 7 --role publisher --rtm-user *", "--rtm-user must be"),
    (
        "rtc --channel c --uid 7 --role publisher --ttl 1m --rtm-user al --rtm-ttl 2m",
        "--rtm-ttl must not exceed the token's lifetime: raise the token's --ttl, or lower this",
    ),
    (
        "rtc --channel c --uid 7 --join-ttl 25h --publish-audio-ttl 0s",
        "--join-ttl must be from 1 s to 24 h; --publish-audio-ttl must be from 1 s to 24 h",
    ),
    ("rtc --channel c --uid 7 --role publisher --ttl 25h", "--ttl must be from 1 s to 24 h"),
    (
        "rtc --channel c --uid 7 --role publisher --expire-time 2001-01-01T00:00:00Z",
        "--expire-time ",
    ),
    ("rtm --user *", "--user must be"),
    ("rtm --user al --allow read:user:", "--allow must not be empty"),
    ("chat --user Ä", "--user must be a Chat user ID"),
    ("education --user * --room r --role 1", "--user must be"),
    ("education --user al --room * --role 40000", "--room must be"),
    ("whiteboard --room é --role writer", "--room must"),
    ("whiteboard --task é --role writer", "--task must"),
    (
        "whiteboard --room r --role writer --ttl 4000d",
        "--ttl must be from 1 ms to 3650 days; for a token that never expires, set --non-expiring",
    ),
    ("channel-key --channel é --context a", "--channel must"),
    ("channel-key --channel c --context é", "--context must"),
    ("channel-key --channel c --context a --key-id é", "--key-id must"),
]


@pytest.mark.parametrize(("arguments", "problem"), REFUSED)
async def test_a_refused_field_is_named_by_its_option(
    ask: Ask, arguments: str, problem: str
) -> None:
    ran = await ask(*arguments.split())
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"token-authority: invalid request: {problem}")


async def test_json_names_the_fields_of_the_contract(ask: Ask) -> None:
    ran = await ask("rtc", "--channel", "c", "--uid", "0", "--role", "publisher", "--json")
    error = json.loads(ran.out)["error"]
    assert error["violations"][0]["field"] == "uid"
    assert error["message"].endswith("set any_user)")


async def test_services_may_come_from_standard_input(ask: Ask) -> None:
    ran = await ask("access-token", "-", stdin=json.dumps(SERVICES).encode())
    assert [part["type"] for part in decode(ran.out.strip()).fields["services"]] == [1, 9]


async def test_options_override_what_the_file_says(ask: Ask, folder: Path) -> None:
    path = folder / "services.json"
    path.write_text(json.dumps({**SERVICES, "project": "nowhere", "ttl": "70s"}))
    fields = decode((await ask("access-token", path.name)).out.strip()).fields
    assert fields["expire"] == 70
    for options in (["--ttl", "80s"], ["--expire-time", "2023-11-14T22:14:40Z"]):
        ran = await ask("access-token", path.name, *options)
        assert decode(ran.out.strip()).fields["expire"] == 80
    path.write_text(json.dumps({**SERVICES, "ttl": "70.5s"}))
    ran = await ask("access-token", path.name, "--ttl", "80s")
    assert decode(ran.out.strip()).fields["expire"] == 80


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "Failed to load JSON"),
        (b"\xff", "can't decode byte"),
        (b"null", "is not an IssueAccessTokenRequest"),
        (b'{"services": [{"rtc": {"channel": "c"}}]}', 'has no field named "channel"'),
        (b'{"services": [{"rtc": {"joinChannelTtl": "1h"}}]}', 'must end with letter "s": 1h'),
        (b'{"services": [{"rtc": {}, "rtm": {}}]}', "multiple"),
        (b"[" * 100_000, "recursion"),
        (b'{"validateOnly": true}', "remove validateOnly, and pass --validate-only"),
    ],
    ids=["nothing", "not text", "null", "unknown", "lifetime", "two in one", "deep", "validate"],
)
async def test_a_file_that_cannot_be_used_is_code_2_and_one_line(
    folder: Path, text: bytes, problem: str
) -> None:
    (folder / "bad.json").write_bytes(text)
    ran = await run("issue", "access-token", "bad.json", "--target", "127.0.0.1:1")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("token-authority: bad.json: ")
    assert problem in ran.err
    assert ran.err.count("\n") == 1


async def test_a_file_that_is_not_there_is_code_2_and_one_line(folder: Path) -> None:
    for name, reason in {"gone.json": "No such file", ".": "Is a directory"}.items():
        ran = await run("issue", "access-token", name, "--target", "127.0.0.1:1")
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith(f"token-authority: {name}: cannot be read: {reason}")
        assert ran.err.count("\n") == 1
    assert not (folder / "gone.json").exists()


async def test_the_help_names_every_service_and_its_members() -> None:
    out = (await run("issue", "access-token", "--help")).out
    for service in AccessTokenService.DESCRIPTOR.fields:
        assert re.search(rf"^  {service.json_name}\b", out, re.MULTILINE)
        assert service.message_type
        for member in service.message_type.fields:
            assert re.search(rf"\b{member.json_name}\b", out)


@every_kind
async def test_the_examples_of_the_help_work(ask: Ask, kind: TokenFamily[Any, Any]) -> None:
    _, _, text = (await run("issue", command_of(kind), "--help")).out.partition("\nexamples:\n")
    document = ""
    if "<<'END'" in text:
        text, _, document = text.partition("<<'END'\n")
        document = document.partition("\n  END\n")[0]
    examples = re.findall(r"^  token-authority issue (.*)$", text.replace("\\\n", ""), re.MULTILINE)
    assert len(examples) >= 2
    for example in examples:
        ran = await ask(*shlex.split(example), stdin=document.encode())
        assert ran.code == 0, ran.err
