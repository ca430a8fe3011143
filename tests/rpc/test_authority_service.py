"""AuthorityService, and whose keys InspectToken tries."""

import base64
import dataclasses
from typing import Any, Final

import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode

from inspection.tokens import t007
from support.granting import ALL_ALLOWANCES, API_KEY, API_KEY_IDENTITY, caller, callers, everything
from support.keys import (
    ACCESS_KEY,
    APP_ID,
    CERTIFICATE,
    NOW_MS,
    OLD_CERTIFICATE,
    SECRETS,
    access_key,
    certificate,
)
from support.profiling import functions_called
from support.serving import Running, refused, running
from token_authority.v1.authority_pb2 import (
    KEY_DELETION_NEVER_SAFE,
    KEY_DELETION_UNKNOWN,
    KEY_DELETION_WAIT,
    GetAuthorityInfoRequest,
    ListSigningKeysRequest,
    ListSigningKeysResponse,
)
from token_authority.v1.authority_service_pb2_grpc import AuthorityServiceStub
from token_authority.v1.inspection_pb2 import (
    KEY_STATE_DISABLED,
    KEY_STATE_VERIFY_ONLY,
    SIGNATURE_VERDICT_INVALID,
    SIGNATURE_VERDICT_UNKNOWN_KEY,
    SIGNATURE_VERDICT_VALID,
    InspectTokenRequest,
)
from token_authority.v1.inspection_service_pb2_grpc import InspectionServiceStub
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub
from token_authority.v1.whiteboard_pb2 import (
    WHITEBOARD_ROLE_READER,
    IssueWhiteboardTokenRequest,
    NonExpiring,
    WhiteboardRoomScope,
)
from token_authority_server.access.key_retirement import key_report
from token_authority_server.authorization import PolicySnapshot
from token_authority_server.config.callers import TOKEN_TYPES
from token_authority_server.keyring import AppCertificate, Keyring, KeyState, Project, Secret

HOUR_MS: Final = 3_600_000


def about(server: Running) -> Any:
    return AuthorityServiceStub(server.channel)


async def info(server: Running, **options: Any) -> Any:
    return await about(server).GetAuthorityInfo(GetAuthorityInfoRequest(), **options)


async def keys_of(server: Running, **request: Any) -> ListSigningKeysResponse:
    answer: ListSigningKeysResponse = await about(server).ListSigningKeys(
        ListSigningKeysRequest(**request)
    )
    return answer


def row(project: str, *allow: str, **changes: Any) -> dict[str, Any]:
    return everything(project, **{"allow": allow, **changes})


def named(answer: ListSigningKeysResponse) -> list[tuple[str, str]]:
    return [(key.project, key.key_id) for key in answer.signing_keys]


async def test_a_caller_can_read_its_own_grants() -> None:
    first = everything(
        "rtc-only",
        name="lessons",
        tokens=("rtc", "chat"),
        roles=("publisher",),
        channels=("lesson-*", "hall"),
        users=("uid:*",),
        rooms=(),
        max_ttl="2h",
        default_ttl="90s",
        above_max_ttl="clamp",
        allow=("v006", "any_user"),
    )
    known = caller(
        first,
        everything("retired", name="rest"),
        identities=[API_KEY_IDENTITY],
        default_project="retired",
        rate_limit="200/second; 300/minute",
        max_in_flight=7,
    )
    other = caller(everything("classroom"), name="other")
    async with running(who=callers(known, other), max_request_bytes=5000) as server:
        server.moments.now_ms += 5
        answer = await info(server, metadata=[("authorization", f"Bearer {API_KEY}")])
        assert answer.caller == "tester"
        # Eight digits of the hash tell keys apart and help nobody to find one.
        assert answer.identity == API_KEY_IDENTITY[: len("api-key:sha256:") + 8]
        lessons, rest = answer.grants
        assert (lessons.name, lessons.project) == ("lessons", "rtc-only")
        assert lessons.tokens == ["chat.user", "rtc"]
        assert (lessons.roles, lessons.users) == (["publisher"], ["uid:*"])
        assert (lessons.channels, list(lessons.rooms)) == (["lesson-*", "hall"], [])
        assert (lessons.max_ttl.seconds, lessons.default_ttl.seconds) == (7200, 90)
        assert lessons.clamp_ttl
        assert lessons.allow == ["any_user", "v006"]
        assert (rest.name, rest.project) == ("rest", "retired")
        assert rest.tokens == sorted(TOKEN_TYPES)
        assert rest.allow == sorted(ALL_ALLOWANCES)
        assert not rest.HasField("default_ttl")
        assert not rest.clamp_ttl
        assert answer.default_project == "retired"
        assert answer.limits.rates == ["200 per 1 second", "300 per 1 minute"]
        assert answer.limits.max_in_flight == 7
        assert (answer.limits.max_batch_size, answer.limits.max_request_bytes) == (200, 5000)
        assert (answer.server_version, answer.server_time.ToMilliseconds()) == ("1.2.3", NOW_MS + 5)
        # Nothing of other callers and their projects, and no secret.
        text = answer.SerializeToString()
        for hidden in (b"other", b"classroom", API_KEY.encode(), *map(str.encode, SECRETS)):
            assert hidden not in text


async def test_without_limits_there_are_none() -> None:
    async with running(who=callers(caller(everything("rtc-only")))) as server:
        answer = await info(server)
        assert list(answer.limits.rates) == []
        assert (answer.limits.max_in_flight, answer.limits.max_batch_size) == (0, 500)
        # The only project needs no name.
        assert (answer.default_project, answer.identity) == ("rtc-only", "local")


@pytest.mark.parametrize("data", [b"\x0a\x01x", b"\x0a\x7f"], ids=["later contract", "cut off"])
async def test_a_request_with_what_the_server_does_not_know_is_refused(data: bytes) -> None:
    async with running() as server:
        path = "/token_authority.v1.AuthorityService/GetAuthorityInfo"
        answer = await refused(server.channel.unary_unary(path)(data))
        assert answer.reason == "INVALID_REQUEST"


async def test_keys_are_listed_for_the_projects_with_the_allowance_only() -> None:
    rows = (
        row("retired", "list_keys"),
        row("rtc-only", "inspect"),
        row("whiteboard-only", "list_keys"),
    )
    async with running(who=callers(caller(*rows))) as server:
        everywhere = await keys_of(server)
        assert named(everywhere) == [
            ("retired", "ak-1"),
            ("retired", "cert-1"),
            ("whiteboard-only", "ak-1"),
        ]
        assert named(await keys_of(server, project="retired")) == named(everywhere)[:2]
        for secret in (*SECRETS, ACCESS_KEY):
            assert secret.encode() not in everywhere.SerializeToString()
        without = await refused(keys_of(server, project="rtc-only"))
        assert (without.code, without.reason) == (StatusCode.PERMISSION_DENIED, "GRANT_MISSING")
        assert without.metadata["missing"] == "list_keys"
        assert 'add "list_keys" to `allow`' in without.metadata["advice"]


async def test_a_foreign_project_has_no_keys_whether_it_exists_or_not() -> None:
    for rows in (
        [row("retired", "list_keys")],
        [row("retired", "list_keys"), row("whiteboard-only")],
        [row("retired", "inspect")],
    ):
        async with running(who=callers(caller(*rows))) as server:
            known, unknown = [
                await refused(keys_of(server, project=project))
                for project in ("rtc-only", "nowhere")
            ]
            assert (known.code, known.reason) == (unknown.code, unknown.reason)
            assert known.message.replace("rtc-only", "nowhere") == unknown.message
            assert {**known.metadata, "project": ""} == {**unknown.metadata, "project": ""}
            assert known.details.keys() == unknown.details.keys()


async def test_without_the_allowance_there_are_no_keys() -> None:
    async with running(who=callers(caller(row("retired", "inspect")))) as server:
        for project in ("", "retired", "rtc-only", "nowhere"):
            answer = await refused(keys_of(server, project=project))
            assert answer.reason == "GRANT_MISSING"
            assert answer.metadata["missing"] == "list_keys"
        assert {line["event"] for line in server.log} == {"refused"}


@pytest.mark.parametrize("page_size", [1, 2, 3, 4, 5, 1000, 0])
async def test_pages_add_up_to_the_whole(page_size: int) -> None:
    async with running() as server:
        whole = named(await keys_of(server))
        assert whole == sorted(whole)
        assert len(whole) == 7
        found: list[tuple[str, str]] = []
        token, pages = "", 0
        while token or not pages:
            page = await keys_of(server, page_size=page_size, page_token=token)
            assert 0 < len(page.signing_keys) <= (page_size or 100)
            found += named(page)
            token, pages = page.next_page_token, pages + 1
            assert pages <= 7
        assert found == whole


async def test_a_page_of_a_hundred_is_what_an_unset_size_means() -> None:
    many = tuple(access_key(f"ak-{n:03}", KeyState.DISABLED) for n in range(101))
    async with running(Keyring([Project("classroom", many)])) as server:
        first = await keys_of(server)
        assert len(first.signing_keys) == 100
        rest = await keys_of(server, page_token=first.next_page_token)
        assert named(rest) == [("classroom", "ak-100")]


async def test_only_the_keys_of_a_page_are_reported_on() -> None:
    many = tuple(access_key(f"ak-{n:03}", KeyState.DISABLED) for n in range(101))
    async with running(Keyring([Project("classroom", many)])) as server:
        with functions_called() as called:
            await keys_of(server, page_size=5)
    # One more shows that there is another page.
    assert called.count(key_report.__name__) == 6


async def test_the_cost_of_a_page_does_not_grow_with_the_grants() -> None:
    keys = tuple(
        dataclasses.replace(
            certificate(f"c-{number}", state=KeyState.VERIFY_ONLY), retired_ms=NOW_MS
        )
        for number in range(20)
    )
    counts: list[int] = []
    for number in (1, 1000):
        who = callers(caller(*(row("classroom", "list_keys", name=f"g{n}") for n in range(number))))
        async with running(Keyring([Project("classroom", keys)]), who=who) as server:
            with functions_called() as called:
                answer = await keys_of(server)
        assert [key.deletion for key in answer.signing_keys] == [KEY_DELETION_WAIT] * 20
        counts.append(len(called))
    assert counts[1] < 1.5 * counts[0]


async def test_the_longest_names_fit_a_page_token() -> None:
    project = "p" * 63
    keys = (access_key("k" * 63 + "1"), access_key("k" * 63 + "2", KeyState.DISABLED))
    async with running(Keyring([Project(project, keys)])) as server:
        first = await keys_of(server, project=project, page_size=1)
        rest = await keys_of(server, project=project, page_token=first.next_page_token)
        assert named(rest) == [(project, "k" * 63 + "2")]


def page_token(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode()


BAD_PAGES: Final = {
    "of another project": page_token(b"rtc-only/rtc-only/cert-2"),
    "of all projects": page_token(b"/classroom/ak-1"),
    "no base64": "!",
    "no base64 of ASCII": "\u0435",
    "cut off": page_token(b"classroom/classroom/ak-1")[:-3],
    "too few": page_token(b"classroom/ak-1"),
    "too many": page_token(b"classroom/classroom/ak-1/"),
    "no text": page_token(b"\xff\xfe"),
    "a NUL": "\0",
}


@pytest.mark.parametrize("token", BAD_PAGES.values(), ids=BAD_PAGES)
async def test_a_page_token_that_is_none_is_refused(token: str) -> None:
    async with running() as server:
        answer = await refused(keys_of(server, project="classroom", page_token=token))
        assert answer.violations == [("page_token", "PAGE_TOKEN_INVALID")]


async def test_a_page_token_opens_no_project() -> None:
    async with running(who=callers(caller(row("retired", "list_keys")))) as server:
        # A made-up one for all projects, and one for a project that is not granted.
        forged = page_token(b"/classroom/")
        assert named(await keys_of(server, page_token=forged)) == [
            ("retired", "ak-1"),
            ("retired", "cert-1"),
        ]
        forged = page_token(b"rtc-only/rtc-only/a")
        answer = await refused(keys_of(server, project="rtc-only", page_token=forged))
        assert answer.reason == "GRANT_MISSING"


async def test_the_rules_on_pages() -> None:
    async with running() as server:
        for request, violation in (
            ({"page_size": -1}, ("page_size", "INT32_GTE_LTE")),
            ({"page_size": 1001}, ("page_size", "INT32_GTE_LTE")),
            ({"page_token": "x" * 257}, ("page_token", "STRING_MAX_BYTES")),
            ({"project": "-"}, ("project", "STRING_PATTERN")),
        ):
            assert (await refused(keys_of(server, **request))).violations == [violation]


ROOMS: Final = {"tokens": ("whiteboard",), "channels": (), "users": ()}


async def test_a_key_tells_its_state_and_how_long_present_grants_need_it() -> None:
    def retired(key: Any, state: KeyState, ago_ms: int | None) -> Any:
        at_ms = None if ago_ms is None else NOW_MS - ago_ms
        return dataclasses.replace(key, state=state, retired_ms=at_ms)

    keys = (
        certificate("a-active"),
        retired(certificate("b-since-1h"), KeyState.VERIFY_ONLY, HOUR_MS),
        retired(certificate("c-since-2h"), KeyState.DISABLED, 2 * HOUR_MS),
        retired(certificate("d-unsaid"), KeyState.VERIFY_ONLY, None),
        retired(access_key("e-whiteboard"), KeyState.VERIFY_ONLY, HOUR_MS),
    )
    rows = (
        row("classroom", "list_keys", max_ttl="1h"),
        # Another caller's: what it was given lives as well.
        row("classroom", max_ttl="2h"),
        row(
            "classroom", "non_expiring", name="ever", tokens=("whiteboard",), channels=(), users=()
        ),
    )
    who = callers(
        caller(rows[0]),
        caller(*rows[1:], name="other", identities=[API_KEY_IDENTITY]),
    )
    async with running(Keyring([Project("classroom", keys)]), who=who) as server:
        active, wait, over, unsaid, whiteboard = (await keys_of(server)).signing_keys
    assert (active.product, active.app_id, active.deletion) == (
        "agora",
        APP_ID,
        KEY_DELETION_UNKNOWN,
    )
    assert (wait.state, wait.deletion) == (KEY_STATE_VERIFY_ONLY, KEY_DELETION_WAIT)
    assert wait.retire_time.ToMilliseconds() == NOW_MS - HOUR_MS
    assert wait.safe_to_delete_time.ToMilliseconds() == NOW_MS + HOUR_MS
    assert (over.state, over.deletion) == (KEY_STATE_DISABLED, KEY_DELETION_UNKNOWN)
    assert list(over.warnings) == [
        "current grants allow tokens of at most 7200 s; earlier grants may have allowed tokens of "
        "up to 86400 s"
    ]
    assert over.safe_to_delete_time.ToMilliseconds() == NOW_MS
    assert (whiteboard.product, whiteboard.app_id) == ("whiteboard", "")
    assert whiteboard.deletion == KEY_DELETION_NEVER_SAFE
    assert unsaid.deletion == KEY_DELETION_UNKNOWN
    for key in (active, unsaid, whiteboard):
        assert not key.HasField("safe_to_delete_time")


async def test_a_retired_key_is_never_safe_after_it_signed_a_non_expiring_token() -> None:
    def policy(state: KeyState, *allow: str) -> PolicySnapshot:
        key = access_key(state=state)
        if state is not KeyState.ACTIVE:
            key = dataclasses.replace(key, retired_ms=NOW_MS - HOUR_MS)
        rows = [row("classroom", "list_keys", *allow, max_ttl="1h")]
        return PolicySnapshot(Keyring([Project("classroom", (key,))]), callers(caller(*rows)))

    before = policy(KeyState.ACTIVE, "non_expiring")
    async with running(before.keyring, who=before.callers) as server:
        await TokenServiceStub(server.channel).IssueWhiteboardToken(
            IssueWhiteboardTokenRequest(
                project="classroom",
                room=WhiteboardRoomScope(room_uuid="r"),
                role=WHITEBOARD_ROLE_READER,
                non_expiring=NonExpiring(),
            )
        )
        server.authority.apply(policy(KeyState.VERIFY_ONLY))
        server.moments.now_ms += 3650 * 24 * HOUR_MS
        (key,) = (await keys_of(server)).signing_keys
    assert key.deletion == KEY_DELETION_NEVER_SAFE
    assert list(key.warnings) == [
        "retired_at (2023-11-14T21:13:20.123Z) is earlier than the last token that this instance "
        "signed with the key (2023-11-14T22:13:20.123Z): the later time is used",
        "this instance signed a token with the key that never expires, which current grants do "
        "not allow",
    ]


FOREIGN = "1" * 32
FOREIGN_SECRET = "2" * 32
MIXED = Keyring(
    [
        Project("ours", (certificate(),)),
        Project(
            "theirs",
            (AppCertificate("theirs-1", KeyState.ACTIVE, FOREIGN, Secret(FOREIGN_SECRET)),),
        ),
        # The same App ID, with a certificate of its own.
        Project("shared", (certificate("old", OLD_CERTIFICATE, KeyState.VERIFY_ONLY),)),
    ]
)


async def inspected(server: Running, token: str) -> Any:
    stub = InspectionServiceStub(server.channel)
    return await stub.InspectToken(InspectTokenRequest(token=token))


async def test_a_token_is_held_against_the_keys_of_projects_with_inspect_only() -> None:
    rows = [row("ours", "inspect"), row("theirs", "list_keys"), row("shared")]
    theirs = t007(app_id=FOREIGN, app_certificate=FOREIGN_SECRET)
    shared = t007(app_certificate=OLD_CERTIFICATE)
    # An App ID that is somebody's secret is pointed out only to who may inspect their tokens.
    misplaced = t007(app_id=FOREIGN_SECRET)
    async with running(MIXED, who=callers(caller(*rows))) as server:
        ours = await inspected(server, t007(app_certificate=CERTIFICATE))
        assert ours.signature.verdict == SIGNATURE_VERDICT_VALID
        assert (ours.signature.project, ours.signature.key_id) == ("ours", "cert-2")
        for token, verdict in (
            (theirs, SIGNATURE_VERDICT_UNKNOWN_KEY),
            (shared, SIGNATURE_VERDICT_INVALID),
            (misplaced, SIGNATURE_VERDICT_UNKNOWN_KEY),
        ):
            answer = await inspected(server, token)
            assert answer.signature.verdict == verdict
            for name in (b"theirs", b"shared", b"a secret"):
                assert name not in answer.SerializeToString()
    rows = [row("ours", "inspect"), row("theirs", "inspect"), row("shared", "inspect")]
    async with running(MIXED, who=callers(caller(*rows))) as server:
        for token, project in ((theirs, "theirs"), (shared, "shared")):
            answer = await inspected(server, token)
            assert answer.signature.project == project
        assert b"a secret" in (await inspected(server, misplaced)).SerializeToString()


async def test_without_inspect_nothing_is_inspected() -> None:
    async with running(MIXED, who=callers(caller(row("ours", "list_keys")))) as server:
        for token in (t007(), "nothing"):
            answer = await refused(inspected(server, token))
            assert (answer.code, answer.reason) == (StatusCode.PERMISSION_DENIED, "GRANT_MISSING")
            assert answer.metadata["missing"] == "inspect"


async def test_a_grant_redact_tokenss_is_for_inspection_alone() -> None:
    nothing = {"tokens": (), "roles": (), "channels": (), "users": (), "rooms": ()}
    async with running(who=callers(caller(row("classroom", "inspect", **nothing)))) as server:
        assert (await inspected(server, t007())).token_id
        assert (await info(server)).grants[0].max_ttl == Duration(seconds=3650 * 86400)
