from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.clients import Either, answering
from token_authority.v1 import authority_pb2 as pb
from token_authority_client import (
    AuthorityInfo,
    CallerLimits,
    Grant,
    InternalError,
    InvalidRequest,
    SigningKey,
)

INFO = pb.GetAuthorityInfoResponse(
    caller="lessons",
    identity="spiffe://example.org/lessons",
    grants=[
        pb.Grant(
            name="teach",
            project="classroom",
            tokens=["rtc"],
            roles=["publisher"],
            channels=["lesson-*"],
            users=["uid:*"],
            rooms=["r-*"],
            default_ttl={"seconds": 60},  # type: ignore[arg-type]
            max_ttl={"seconds": 3600},  # type: ignore[arg-type]
            clamp_ttl=True,
            allow=["list_keys"],
        ),
        pb.Grant(name="rest"),
    ],
    default_project="classroom",
    limits=pb.CallerLimits(
        rates=["200 per 1 second"], max_in_flight=8, max_batch_size=200, max_request_bytes=1000
    ),
    server_version="0.1.0",
    server_time={"seconds": 1_700_000_000},  # type: ignore[arg-type]
)


async def test_who_one_is_and_what_one_may_ask_for(client_type: Any) -> None:
    async def answer(_: bytes, __: Any) -> bytes:
        return INFO.SerializeToString()

    async with answering(answer) as target:
        either = Either(client_type(target))
        info = await either.get_authority_info()
        await either.close()
    teach = Grant(
        name="teach",
        project="classroom",
        tokens=("rtc",),
        roles=("publisher",),
        channels=("lesson-*",),
        users=("uid:*",),
        rooms=("r-*",),
        default_ttl=timedelta(minutes=1),
        max_ttl=timedelta(hours=1),
        clamp_ttl=True,
        allow=("list_keys",),
    )
    rest = Grant("rest", "", (), (), (), (), (), None, timedelta(0), False, ())
    assert info == AuthorityInfo(
        caller="lessons",
        identity="spiffe://example.org/lessons",
        grants=(teach, rest),
        default_project="classroom",
        limits=CallerLimits(("200 per 1 second",), 8, 200, 1000),
        server_version="0.1.0",
        server_time=datetime.fromtimestamp(1_700_000_000, UTC),
    )


async def test_an_answer_without_a_caller_is_an_internal_error(client_type: Any) -> None:
    async def answer(_: bytes, __: Any) -> bytes:
        return b""

    async with answering(answer) as target:
        either = Either(client_type(target))
        with pytest.raises(InternalError):
            await either.get_authority_info()
        await either.close()


def key(key_id: str, **fields: Any) -> pb.SigningKey:
    return pb.SigningKey(project="classroom", key_id=key_id, product="agora", **fields)


async def test_keys_are_listed_page_by_page(client_type: Any) -> None:
    asked: list[tuple[str, str]] = []
    pages = {
        "": pb.ListSigningKeysResponse(
            signing_keys=[
                key("new", app_id="970C", state=1, deletion=4),
                key(
                    "old",
                    state=2,
                    retire_time={"seconds": 1_700_000_000},
                    deletion=2,
                    safe_to_delete_time={"seconds": 1_700_003_600},
                ),
            ],
            next_page_token="p2",
        ),
        "p2": pb.ListSigningKeysResponse(signing_keys=[key("odd", state=99, deletion=99)]),
    }

    async def answer(data: bytes, _: Any) -> bytes:
        request = pb.ListSigningKeysRequest.FromString(data)
        asked.append((request.project, request.page_token))
        return pages[request.page_token].SerializeToString()

    async with answering(answer) as target:
        either = Either(client_type(target, project="another"))
        keys = await either.list_signing_keys(project="classroom")
        await either.close()
    assert asked == [("classroom", ""), ("classroom", "p2")]
    retired = datetime.fromtimestamp(1_700_000_000, UTC)
    assert keys == [
        SigningKey("classroom", "new", "agora", "970C", "active", None, "unknown", None),
        SigningKey(
            "classroom",
            "old",
            "agora",
            "",
            "verify_only",
            retired,
            "wait",
            retired + timedelta(hours=1),
        ),
        SigningKey("classroom", "odd", "agora", "", "unknown", None, "unknown", None),
    ]


async def test_a_project_that_is_no_text_is_refused_before_it_is_sent(client_type: Any) -> None:
    either = Either(client_type("127.0.0.1:1"))
    with pytest.raises(InvalidRequest) as caught:
        await either.list_signing_keys(project=7)
    assert [violation.field for violation in caught.value.violations] == ["project"]
    await either.close()
