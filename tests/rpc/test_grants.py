"""Every dimension of a grant, denied and allowed, by every way to ask."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from rpc.grants import (
    ALONE,
    DENIALS,
    FOR_EVER,
    KIND_OF,
    MEMBERS,
    OLDER,
    RTC,
    SAMPLES,
    WILDCARD_MESSAGES,
    Denial,
    Sample,
    batch,
    composed,
    single,
)
from support.decoding import decode
from support.granting import caller, callers, everything, grant
from support.keys import NOW_MS
from support.serving import no_trail, refused, running
from token_authority.v1.access_token_pb2 import AccessTokenService
from token_authority.v1.issued_token_pb2 import TOKEN_FORMAT_V006
from token_authority.v1.rtc_pb2 import RTC_ROLE_SUBSCRIBER
from token_authority_server.audit import AuditTrail, FileSink
from token_authority_server.config.callers import TOKEN_TYPES
from token_authority_server.families import FAMILIES

HOUR = Duration(seconds=3600)
# For an entry that is allowed, whatever a test denies.
SPARE = everything("rtc-only", name="spare")


def serving(*grants: dict[str, Any], **options: Any) -> Any:
    """A server with one caller, who has these grants."""
    return running(who=callers(caller(*grants)), **options)


def test_there_is_a_sample_for_every_kind_with_all_its_dimensions() -> None:
    assert ALONE.keys() == TOKEN_TYPES.keys()
    for name, token_kind in TOKEN_TYPES.items():
        assert ALONE[name].parts[name].keys() == set(token_kind.dimensions)


def test_there_is_a_sample_for_every_service_of_a_composition() -> None:
    fields = AccessTokenService.DESCRIPTOR.fields_by_name
    assert set(MEMBERS) == set(fields)
    with_wildcards = {
        name
        for name, field in fields.items()
        if field.message_type and "any_user" in field.message_type.fields_by_name
    }
    assert WILDCARD_MESSAGES.keys() == with_wildcards


def test_there_is_a_sample_for_every_kind_that_knows_an_allowance() -> None:
    for field, samples in (
        ("any_user", [sample for sample in SAMPLES if sample.name == "rtc_any_user"]),
        ("format", OLDER),
        ("non_expiring", FOR_EVER),
    ):
        having = {
            kind.name for kind in FAMILIES if field in kind.request_type.DESCRIPTOR.fields_by_name
        }
        assert {sample.kind for sample in samples} == having


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
async def test_just_enough_is_enough(sample: Sample) -> None:
    entry = sample.entry()
    async with serving(SPARE, sample.just_enough()) as server:
        assert (await single(server, entry)).issued_token.token
        (issued,) = (await batch(server, entry)).issued_tokens
        assert issued.token
        decided = (await single(server, entry, validate_only=True)).decision
        (also,) = (await batch(server, entry, validate_only=True)).decisions
        assert decided == also
        assert (decided.caller, decided.grant) == ("tester", "all")


@pytest.mark.parametrize("denial", DENIALS, ids=lambda denial: denial.id)
async def test_all_but_one_thing_is_not_enough(denial: Denial) -> None:
    entry, other = denial.sample.entry(), ALONE["rtc"].entry(project="rtc-only")
    path = f"requests[1].{denial.sample.kind}"
    async with serving(SPARE, grant(**denial.changes)) as server:
        alone = await refused(single(server, entry))
        assert (alone.code, alone.reason) == (StatusCode.PERMISSION_DENIED, denial.reason)
        assert alone.metadata["grant"] == "all"
        assert alone.metadata["project"] == "classroom"
        assert alone.metadata["missing"] == denial.missing
        assert denial.wanted in alone.metadata["wanted"]
        assert denial.missing in alone.metadata["advice"]
        asked = await refused(single(server, entry, validate_only=True))
        assert (asked.message, asked.metadata) == (alone.message, alone.metadata)
        for validate_only in (False, True):
            answer = await refused(batch(server, other, entry, validate_only=validate_only))
            assert (answer.code, answer.reason) == (alone.code, alone.reason)
            assert answer.metadata == {**alone.metadata, "entry": path}
            assert answer.message == f"{path}: {alone.message}"
        assert {line["event"] for line in server.log} == {"refused"}


KIND_SAMPLES = {kind.name: ALONE[kind.token_types[-1].name] for kind in FAMILIES}
KIND_SAMPLES["access_token"] = composed("rtm", [{"rtm": {"user_id": "al"}}], {"rtm": {}})
MAX_S = 60
LIMITED = {"max_ttl": f"{MAX_S}s"}
CLAMPING = {**LIMITED, "above_max_ttl": "clamp"}
each_kind = pytest.mark.parametrize("kind", [kind.name for kind in FAMILIES])


@each_kind
async def test_a_life_above_the_largest_is_refused(kind: str) -> None:
    sample, unit_ms = KIND_SAMPLES[kind], KIND_OF[kind].unit.ms
    above = MAX_S * 1000 + unit_ms
    end = NOW_MS // unit_ms * unit_ms + above
    async with serving(grant(**LIMITED)) as server:
        for expiration in ({"ttl": milliseconds(above)}, {"expire_time": moment(end)}):
            entry = sample.entry(**expiration)
            for call in (
                single(server, entry),
                single(server, entry, validate_only=True),
                batch(server, entry),
                batch(server, entry, validate_only=True),
            ):
                answer = await refused(call)
                assert (answer.code, answer.reason) == (
                    StatusCode.PERMISSION_DENIED,
                    "TTL_FORBIDDEN",
                )
                assert (answer.metadata["grant"], answer.metadata["missing"]) == ("all", "max_ttl")
                assert (
                    answer.metadata["wanted"]
                    == f"a lifetime above 60 s ({above / 1000:g} s requested)"
                )
        # The longest, and what it is by default: an hour is too long.
        for changes in ({"ttl": milliseconds(MAX_S * 1000)}, {}):
            issued = (await single(server, sample.entry(**changes))).issued_token
            assert issued.expire_time.ToMilliseconds() == end - unit_ms
            assert "TTL_CLAMPED" not in advisories(issued)


@each_kind
async def test_a_lifetime_above_the_maximum_is_clamped_where_the_grant_clamps(kind: str) -> None:
    sample, unit_ms = KIND_SAMPLES[kind], KIND_OF[kind].unit.ms
    entry = sample.entry(ttl=HOUR)
    end = NOW_MS // unit_ms * unit_ms + MAX_S * 1000
    async with serving(grant(**CLAMPING)) as server:
        alone = (await single(server, entry)).issued_token
        (in_batch,) = (await batch(server, entry)).issued_tokens
        for issued in (alone, in_batch):
            assert "TTL_CLAMPED" in advisories(issued)
            assert issued.expire_time.ToMilliseconds() == end
            assert lives(issued.token) <= {MAX_S}
        decided = (await single(server, entry, validate_only=True)).decision
        (also,) = (await batch(server, entry, validate_only=True)).decisions
        assert decided == also
        assert (decided.ttl.seconds, decided.max_ttl.seconds) == (MAX_S, MAX_S)
        assert "TTL_CLAMPED" in advisories(decided)
        within = (await single(server, sample.entry(ttl=milliseconds(MAX_S * 1000)))).issued_token
        assert "TTL_CLAMPED" not in advisories(within)
        assert sorted(advisories(alone)) == sorted([*advisories(within), "TTL_CLAMPED"])


async def test_a_life_that_is_cut_down_leaves_the_other_advisories() -> None:
    request = KIND_SAMPLES["rtc"].entry(
        ttl=HOUR, role=RTC_ROLE_SUBSCRIBER, format=TOKEN_FORMAT_V006
    )
    async with serving(grant(**CLAMPING)) as server:
        found = advisories((await single(server, request)).issued_token)
    assert {"SUBSCRIBER_NOT_ENFORCED", "LEGACY_FORMAT_006", "TTL_CLAMPED"} <= set(found)


def milliseconds(ms: int) -> Duration:
    return Duration(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)


def moment(ms: int) -> Timestamp:
    return Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)


def advisories(message: Any) -> list[str]:
    return [advisory.reason for advisory in message.advisories]


def lives(token: str) -> set[int]:
    """Every lifetime that a token carries, in seconds from its issue."""
    fields = decode(token).fields
    if "expireAt" in fields:
        return {(int(fields["expireAt"]) - NOW_MS) // 1000}
    if "services" not in fields:
        return {end - NOW_MS // 1000 for end in fields["privileges"].values()}
    return {fields["expire"]} | {
        life for service in fields["services"] for life in service["privileges"].values()
    }


def with_own_lives(message: Any, life: Duration) -> Any:
    """Sets every lifetime that a service of a composition can have."""
    for field in message.DESCRIPTOR.fields:
        if field.name.endswith("ttl"):
            getattr(message, field.name).CopyFrom(life)
    return message


@pytest.mark.parametrize("member", MEMBERS)
async def test_the_rights_of_a_service_are_cut_down_too(member: str) -> None:
    message: Any = MEMBERS[member][0]
    service = AccessTokenService(**{member: message})
    with_own_lives(getattr(service, member), HOUR)
    sample = Sample(member, "access_token", {"services": [service]}, {})
    async with serving(grant(**CLAMPING)) as server:
        issued = (await single(server, sample.entry(ttl=HOUR))).issued_token
        assert "TTL_CLAMPED" in advisories(issued)
        assert issued.expire_time.ToMilliseconds() == NOW_MS // 1000 * 1000 + MAX_S * 1000
        # FPA has a 0: its login lives as long as the token.
        assert lives(issued.token) == ({MAX_S, 0} if member == "fpa" else {MAX_S})


RIGHTS = {
    name: {"seconds": 3000}
    for name in ("join_channel_ttl", "publish_audio_ttl", "publish_video_ttl", "publish_data_ttl")
}
OWN_LIVES: dict[str, tuple[Sample, dict[str, Any]]] = {
    "role": (ALONE["rtc"], {"ttl": HOUR}),
    "role in 006": (OLDER[0], {"ttl": HOUR}),
    "rtm in 006": (OLDER[1], {"ttl": HOUR}),
    "privileges": (ALONE["rtc"], {"privileges": RIGHTS}),
    "privileges in 006": (OLDER[0], {"privileges": RIGHTS, "ttl": HOUR}),
    "rtm in rtc": (ALONE["rtc"], {"ttl": HOUR, "rtm": {"user_id": "al", "ttl": {"seconds": 3000}}}),
    "rtm in rtc, as long as the token": (ALONE["rtc"], {"ttl": HOUR, "rtm": {"user_id": "al"}}),
    "education": (ALONE["education.room_user"], {"ttl": HOUR}),
    "chat": (ALONE["chat.app"], {"ttl": HOUR}),
}


@pytest.mark.parametrize(("sample", "changes"), OWN_LIVES.values(), ids=OWN_LIVES)
async def test_the_rights_of_a_token_are_cut_down_too(
    sample: Sample, changes: dict[str, Any]
) -> None:
    fields = dict(sample.fields)
    if "privileges" in changes:
        del fields["role"]
    entry = Sample(sample.name, sample.kind, {**fields, **changes}, {}).entry()
    async with serving(grant(**CLAMPING)) as server:
        issued = (await single(server, entry)).issued_token
        assert lives(issued.token) == {MAX_S}
        assert issued.expire_time.seconds == NOW_MS // 1000 + MAX_S


@pytest.mark.parametrize("kind", [kind.name for kind in FAMILIES])
async def test_no_default_makes_a_token_live_longer_than_its_kind_may(kind: str) -> None:
    # The grant is for whiteboard tokens too, which may live that long.
    entry = KIND_SAMPLES[kind].entry()
    async with serving(grant(default_ttl="3650d")) as server:
        issued = (await single(server, entry)).issued_token
        assert max(lives(issued.token)) == KIND_OF[kind].max_ttl_ms // 1000


async def test_the_first_grant_that_covers_a_request_settles_its_life() -> None:
    rows = [
        grant(name="short", channels=("c-*",), max_ttl="1m", default_ttl="30s"),
        grant(name="long", channels=("*",), default_ttl="2h"),
    ]
    async with serving(*rows) as server:
        for channel, changes, expected in (
            ("c-1", {}, ("short", 30, 60)),
            ("c-1", {"ttl": Duration(seconds=61)}, ("long", 61, 86400)),
            ("x", {}, ("long", 7200, 86400)),
        ):
            entry = ALONE["rtc"].entry(channel_name=channel, **changes)
            decided = (await single(server, entry, validate_only=True)).decision
            assert (decided.grant, decided.ttl.seconds, decided.max_ttl.seconds) == expected


async def test_patterns_are_for_case_and_brackets_as_they_are() -> None:
    async with serving(grant(channels=("lesson-[1]*",))) as server:
        for channel, is_allowed in (
            ("lesson-[1]", True),
            ("lesson-[1]?!", True),
            ("lesson-1", False),
            ("Lesson-[1]", False),
        ):
            call = single(server, ALONE["rtc"].entry(channel_name=channel))
            if is_allowed:
                assert (await call).issued_token.token
            else:
                assert (await refused(call)).metadata["missing"] == "channels"


async def test_a_star_is_neither_any_user_nor_any_channel() -> None:
    wildcards = [sample for sample in SAMPLES if {"any_user", "any_channel"} & set(sample.allow)]
    assert len(wildcards) == 8
    async with serving(grant(allow=())) as server:
        for sample in wildcards:
            answer = await refused(single(server, sample.entry()))
            assert answer.reason == "WILDCARD_FORBIDDEN"


async def test_a_project_that_is_not_granted_is_answered_like_one_that_does_not_exist() -> None:
    # "rtc-only" exists, "nowhere-" does not; they are equally long.
    async with serving(grant(), everything("retired")) as server:

        async def answers(project: str) -> list[Any]:
            found = []
            for sample in ALONE.values():
                entry = sample.entry(project=project)
                granted = sample.entry()
                for call in (
                    single(server, entry),
                    single(server, entry, validate_only=True),
                    batch(server, entry),
                    batch(server, granted, entry, granted, validate_only=True),
                ):
                    answer = await refused(call)
                    text = repr((answer.code, answer.message, answer.reason, answer.metadata))
                    found.append((text.replace(project, "?"), sorted(answer.details)))
            return found

        known, unknown = await answers("rtc-only"), await answers("nowhere-")
        assert known == unknown
        assert all("GRANT_MISSING" in text for text, _ in known)
        # The log and the metrics, which others may read, tell no more.
        lines = [
            json.dumps({**line, "duration_us": 0, "timestamp": ""}, sort_keys=True)
            for line in server.log
        ]
    half = len(lines) // 2
    assert sorted(line.replace("rtc-only", "?") for line in lines[:half]) == sorted(
        line.replace("nowhere-", "?") for line in lines[half:]
    )


async def trail_in(path: Path) -> AuditTrail:
    """A trail that is required, in a file."""
    sink = await asyncio.to_thread(FileSink, path, "never", "0" * 32)
    return AuditTrail(
        [sink],
        required=True,
        clock=lambda: NOW_MS,
        on_failure=pytest.fail,
        on_recovery=print,
    )


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


async def test_the_audit_record_has_a_pattern_as_the_channel(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    request = ALONE["rtc"].entry(channel_name=None, channel_pattern="c-*").rtc
    granted = grant(allow=("channel_pattern",), channels=("c-*",))
    for row, event in ((granted, "issued"), ({**granted, "channels": ("c-1",)}, "refused")):
        async with running(who=callers(caller(row)), trail=await trail_in(path)) as server:
            call = server.stub.IssueRtcToken(request)
            await (call if event == "issued" else refused(call))
        record = records(path)[-1]
        assert (record["event"], record["channel"]) == (event, "c-*")
        assert "any_channel" not in record


FORBIDDEN = {
    "a channel": ALONE["rtc"].entry(channel_name="office"),
    "a project": ALONE["rtc"].entry(project="office"),
    "a part": ALONE["rtc"].entry(rtm={"user_id": "boss"}),
    "a life": ALONE["rtm"].entry(ttl=HOUR),
    "an invalid one": ALONE["rtc"].entry(uid=0),
}


@pytest.mark.parametrize("place", [0, 1, 7])
@pytest.mark.parametrize("entry", FORBIDDEN.values(), ids=FORBIDDEN)
async def test_one_forbidden_entry_leaves_nothing_of_a_batch(
    tmp_path: Path, entry: Any, place: int
) -> None:
    path = tmp_path / "audit.jsonl"
    row = grant(channels=("c-*",), users=("uid:*", "account:al"), max_ttl="10m")
    async with running(
        who=callers(caller(row, rate_limit="7/minute")), trail=await trail_in(path)
    ) as server:
        entries = [ALONE["rtc"].entry(uid=1000 + number) for number in range(7)]
        mixed = [*entries[:place], entry, *entries[place:]]
        for _ in range(3):
            answer = await refused(batch(server, *mixed))
            # What is said is about that entry alone.
            assert f"requests[{place}]." in answer.message
            for text in (answer.message, repr(answer.metadata), repr(answer.details)):
                assert "100" not in text
        assert {line["event"] for line in server.log} == {"refused"}
        assert "token_id" not in server.output.getvalue()
        assert "uid:100" not in server.output.getvalue()
        # Nothing was charged: all that the caller may have is still there.
        response = await batch(server, *entries)
        assert len(response.issued_tokens) == 7
        assert (await refused(single(server, entries[0]))).reason == "RATE_LIMITED"
    kept = records(path)
    refusals = [record for record in kept if record["event"] == "refused"]
    issued = [record for record in kept if record["event"] == "issued"]
    expected = 0 if answer.reason == "INVALID_REQUEST" else 3
    reasons = [record["reason"] for record in refusals]
    assert reasons == [answer.reason] * expected + ["RATE_LIMITED"]
    for record in refusals[:-1]:
        assert (record["caller"], record["method"]) == ("tester", "BatchIssueTokens")
        assert record["entry"].startswith(f"requests[{place}].")
        assert "uid:100" not in json.dumps(record)
    # In order, and only of the batch that was answered.
    assert [record["token_id"] for record in issued] == [
        one.token_id for one in response.issued_tokens
    ]


async def test_a_refusal_is_on_record_with_the_grant_and_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    async with serving(grant(users=("uid:*",)), trail=await trail_in(path)) as server:
        await refused(single(server, ALONE["rtc"].entry(rtm={"user_id": "al"})))
    (record,) = records(path)
    expected = {
        "event": "refused",
        "reason": "GRANT_MISSING",
        "caller": "tester",
        "identity": "local",
        "method": "IssueRtcToken",
        "kind": "rtc",
        "parts": ["rtc", "rtm"],
        "channel": "c-1",
        "user": ["uid:7", "account:al"],
        "project": "classroom",
        "grant": "all",
        "missing": "users",
    }
    assert expected.items() <= record.items()


PASTED: list[tuple[str, dict[str, Any]]] = [
    ("rtm", {"user_id": "007eJxTYAhb" + "A" * 50}),
    ("whiteboard.room", {"room": {"room_uuid": "NETLESSROOM_" + "a" * 50}}),
    ("rtc", {"uid": None, "user_account": "006" + "0" * 32 + "IA" + "b" * 200}),
]
"""Where people paste tokens by mistake; `running` looks for them in the log."""


@pytest.mark.parametrize(("kind", "changes"), PASTED)
async def test_a_token_in_a_refused_request_is_repeated_nowhere(
    tmp_path: Path, kind: str, changes: dict[str, Any]
) -> None:
    path = tmp_path / "audit.jsonl"
    fields = {**ALONE[kind].fields, **changes}
    sample = Sample(kind, ALONE[kind].kind, {k: v for k, v in fields.items() if v}, {})
    row = grant(users=("uid:*",), rooms=("r",))
    async with serving(row, trail=await trail_in(path)) as server:
        for call in (single(server, sample.entry()), batch(server, sample.entry())):
            answer = await refused(call)
            assert answer.reason == "GRANT_MISSING"
            assert "(token " in answer.metadata["wanted"]
    assert len(records(path)) == 2


async def test_what_is_granted_twice_is_not_granted_together() -> None:
    rows = [
        grant(name="rtc", tokens=("rtc",), rooms=()),
        grant(name="rtm", tokens=("rtm",), roles=(), channels=(), rooms=()),
    ]
    async with serving(*rows, trail=no_trail()) as server:
        for sample in (ALONE["rtc"], ALONE["rtm"]):
            assert (await single(server, sample.entry())).issued_token.token
        answer = await refused(single(server, ALONE["rtc"].entry(rtm={"user_id": "al"})))
        assert (answer.metadata["grant"], answer.metadata["missing"]) == ("rtc", "tokens")
        assert answer.metadata["wanted"] == "tokens of type rtm"


async def test_the_project_of_a_request_that_names_none() -> None:
    only = everything("rtc-only", name="only")
    unnamed = Sample("unnamed", "rtc", {**RTC, "project": ""}, {}).entry()
    async with serving(only) as server:
        assert (await single(server, unnamed)).issued_token.token
    async with running(
        who=callers(caller(grant(allow=()), only, default_project="rtc-only"))
    ) as server:
        assert (await single(server, unnamed, validate_only=True)).decision.grant == "only"
        # The default lends nothing to another project.
        denied = Sample("x", "rtc", {"any_user": {}, "channel_name": "c", "role": 1}, {}).entry()
        assert (await refused(single(server, denied))).metadata["project"] == "classroom"
    async with serving(grant(), only) as server:
        for call in (single(server, unnamed), batch(server, unnamed)):
            assert (await refused(call)).reason == "INVALID_REQUEST"
