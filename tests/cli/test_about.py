import json
from typing import Any

from support.clients import answering
from support.commands import run
from token_authority.v1 import authority_pb2 as pb

INFO = pb.GetAuthorityInfoResponse(
    caller="lessons",
    identity="spiffe://example.org/lessons",
    grants=[
        pb.Grant(
            name="teach",
            project="classroom",
            tokens=["rtc", "rtm"],
            roles=["publisher"],
            channels=["lesson-*"],
            users=["uid:*"],
            default_ttl={"seconds": 60},  # type: ignore[arg-type]
            max_ttl={"seconds": 3600},  # type: ignore[arg-type]
            allow=["list_keys"],
        ),
        pb.Grant(
            name="board",
            project="classroom",
            tokens=["whiteboard.room"],
            rooms=["r-*"],
            max_ttl={"seconds": 60},  # type: ignore[arg-type]
            clamp_ttl=True,
        ),
    ],
    default_project="classroom",
    limits=pb.CallerLimits(
        rates=["200 per 1 second"], max_in_flight=8, max_batch_size=200, max_request_bytes=1000
    ),
    server_version="0.1.0",
    server_time={"seconds": 1_700_000_000},  # type: ignore[arg-type]
)


def key(project: str, key_id: str, **fields: Any) -> pb.SigningKey:
    return pb.SigningKey(project=project, key_id=key_id, **fields)


WAIT = {"seconds": 1_700_003_600}
KEYS = pb.ListSigningKeysResponse(
    signing_keys=[
        key("classroom", "new", product="agora", app_id="970C", state=1, deletion=4),
        key(
            "classroom",
            "old",
            product="agora",
            state=2,
            deletion=2,
            safe_to_delete_time=WAIT,
            warnings=["retired_at is in the future: correct it"],
        ),
        key("p", "a", product="whiteboard", state=2, deletion=4, safe_to_delete_time=WAIT),
        key("p", "b", product="whiteboard", state=3, deletion=3),
        key("p", "c", product="whiteboard", state=3, deletion=4),
    ]
)


async def answer(_: bytes, __: Any) -> bytes:
    return INFO.SerializeToString()


async def test_who_am_i() -> None:
    async with answering(answer) as target:
        ran = await run("whoami", "--target", target)
        assert (ran.code, ran.err) == (0, "")
        assert ran.out == (
            "caller:   lessons\n"
            "identity: spiffe://example.org/lessons\n"
            "project:  classroom\n"
            "limits:   200 per 1 second; 8 concurrent calls, batches of 200, "
            "requests of 1000 bytes\n"
            "server:   0.1.0, at 2023-11-14 22:13:20 UTC\n"
            "grant teach: rtc, rtm in classroom\n"
            "  roles:    publisher\n"
            "  channels: lesson-*\n"
            "  users:    uid:*\n"
            "  allow:    list_keys\n"
            "  ttl:      default 1 m, at most 1 h, longer ones are refused\n"
            "grant board: whiteboard.room in classroom\n"
            "  rooms:    r-*\n"
            "  ttl:      at most 1 m, longer ones are reduced\n"
        )
        ran = await run("whoami", "--target", target, "--json")
    told = json.loads(ran.out)
    assert told["grants"][0]["max_ttl"] == "3600s"
    assert told["server_time"] == "2023-11-14T22:13:20Z"


async def test_the_keys() -> None:
    asked: list[str] = []

    async def keys(data: bytes, _: Any) -> bytes:
        asked.append(pb.ListSigningKeysRequest.FromString(data).project)
        return KEYS.SerializeToString()

    async with answering(keys) as target:
        ran = await run("keys", "--target", target)
        assert (ran.code, ran.err) == (0, "")
        assert ran.out == (
            "classroom: agora key new of App ID 970C: active, in use\n"
            "classroom: agora key old: verify_only, needed until 2023-11-14 23:13:20 UTC or "
            "longer\n"
            "  warning: retired_at is in the future: correct it\n"
            "p: whiteboard key a: verify_only, not needed under current grants since 2023-11-14 "
            "23:13:20 UTC\n"
            "p: whiteboard key b: disabled, never to be deleted: tokens that never expire need it\n"
            "p: whiteboard key c: disabled, unknown how long it is needed\n"
            "note: this is computed from the current grants and the tokens that one instance "
            "signed since it started: before you delete a key, run `token-authority keys --audit "
            "FILE...` over the audit trails of all instances\n"
        )
        ran = await run("keys", "--project", "classroom", "--target", target, "--json")
    assert [key["key_id"] for key in json.loads(ran.out)["signing_keys"]] == ["new", "old", *"abc"]
    assert asked == ["", "classroom"]


async def test_no_keys() -> None:
    async def none(_: bytes, __: Any) -> bytes:
        return b""

    async with answering(none) as target:
        assert (await run("keys", "--target", target)).out == "no keys\n"
