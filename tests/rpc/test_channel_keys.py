"""IssueChannelKey through the wire."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from grpc import StatusCode

from support import granting
from support.keys import (
    APP_ID,
    ENCRYPTION_SECRET,
    NOW_MS,
    Moments,
    certificate,
)
from support.serving import Refused, Running, no_limits, refused, running
from token_authority.v1.encryption_pb2 import ChannelKey, IssueChannelKeyRequest
from token_authority.v1.encryption_service_pb2_grpc import EncryptionServiceStub
from token_authority_server.access.denial import Denial
from token_authority_server.access.denials import Denials
from token_authority_server.audit import AuditTrail, FileSink
from token_authority_server.authorization import PolicySnapshot
from token_authority_server.formats.fingerprint import fingerprint
from token_authority_server.keyring import (
    EncryptionSecret,
    Keyring,
    KeyState,
    Project,
    Secret,
    derive_channel_key,
)
from token_authority_server.limits import RateLimiter

GRANT: Final[dict[str, Any]] = {
    "name": "meetings",
    "project": "classroom",
    "tokens": ("channel_key",),
    "channels": ("lesson-*",),
}


def who(*grants: dict[str, Any], **settings: Any) -> Any:
    return granting.callers(granting.caller(*(grants or (GRANT,)), **settings))


def wanted(**fields: str) -> IssueChannelKeyRequest:
    return IssueChannelKeyRequest(**{"channel_name": "lesson-1", "key_context": "m", **fields})


async def issue(server: Running, **fields: str) -> ChannelKey:
    stub: Any = EncryptionServiceStub(server.channel)
    return (await stub.IssueChannelKey(wanted(**fields))).channel_key  # type: ignore[no-any-return]


async def refusal(server: Running, **fields: str) -> Refused:
    return await refused(issue(server, **fields))


async def test_members_of_a_meeting_get_one_key_and_other_meetings_another() -> None:
    async with running(who=who()) as server:
        key = await issue(server)
        secret = EncryptionSecret("enc-2", KeyState.ACTIVE, APP_ID, Secret(ENCRYPTION_SECRET * 4))
        expected = derive_channel_key(secret, "lesson-1", "m")
        assert (key.encryption_key, key.salt) == (expected.encryption_key, expected.salt)
        assert (len(key.encryption_key), len(key.salt), key.key_id) == (43, 32, "enc-2")
        assert key.fingerprint == fingerprint(key.encryption_key)
        assert await issue(server, project="classroom") == key
        others = [
            await issue(server, key_context="n"),
            await issue(server, channel_name="lesson-2"),
            await issue(server, key_id="enc-1"),
        ]
        assert len({one.encryption_key for one in (key, *others)}) == 4


async def test_all_replicas_switch_to_a_new_secret_at_its_time() -> None:
    moments = Moments(NOW_MS + 599_999)
    async with running(who=who(), moments=moments) as server:
        before = await issue(server)
        moments.now_ms += 1
        after = await issue(server)
        assert (before.key_id, after.key_id) == ("enc-2", "enc-3")
        # Members that join later get the key of the meeting.
        assert await issue(server, key_id="enc-2") == before


@pytest.mark.parametrize("key_id", ["enc-0", "enc-9", "cert-2"])
async def test_a_secret_that_is_disabled_or_unknown_is_refused(key_id: str) -> None:
    async with running(who=who()) as server:
        found = await refusal(server, key_id=key_id)
        assert (found.code, found.reason) == (StatusCode.FAILED_PRECONDITION, "NO_ACTIVE_KEY")
        assert found.metadata["key_id"] == key_id


async def test_without_a_secret_the_feature_is_off() -> None:
    keys = Keyring([Project("classroom", (certificate(),))])
    async with running(keys, who=who()) as server:
        found = await refusal(server)
        assert (found.code, found.reason) == (
            StatusCode.FAILED_PRECONDITION,
            "PROJECT_LACKS_PRODUCT",
        )
        assert found.metadata["product"] == "encryption"


GRANTS: Final = {
    "another channel": {**GRANT, "channels": ("office",)},
    "tokens for the channel": {
        **GRANT,
        "tokens": ("rtc",),
        "roles": ("*",),
        "users": ("*",),
    },
    "every token and every wildcard": granting.grant(),
}


@pytest.mark.parametrize("grant", GRANTS)
async def test_no_other_grant_gives_a_key(grant: str) -> None:
    async with running(who=who(GRANTS[grant])) as server:
        found = await refusal(server)
        assert (found.code, found.reason) == (StatusCode.PERMISSION_DENIED, "GRANT_MISSING")
        assert found.metadata["grant"] == GRANTS[grant]["name"]


async def test_another_project_is_answered_like_an_unknown_one() -> None:
    async with running(who=who()) as server:
        for project in ("rtc-only", "nowhere"):
            found = await refusal(server, project=project)
            assert found.reason == "GRANT_MISSING"
            assert found.message.startswith(f"project '{project}' does not exist or is not granted")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"channel_name": ""}, "channel_name"),
        ({"channel_name": "*"}, "channel_name"),
        ({"channel_name": "c" * 65}, "channel_name"),
        ({"key_context": ""}, "key_context"),
        ({"key_context": "x" * 65}, "key_context"),
        ({"key_context": "ä"}, "key_context"),
        ({"key_id": "a b"}, "key_id"),
        ({"project": "Not A Name"}, "project"),
    ],
)
async def test_fields_that_break_the_contract_are_named(fields: dict[str, str], field: str) -> None:
    async with running(who=who()) as server:
        found = await refusal(server, **fields)
        assert found.reason == "INVALID_REQUEST"
        assert found.fields == [field]


async def test_a_denied_channel_gets_no_key() -> None:
    denials = Denials([Denial("classroom", NOW_MS + 1000, channel="lesson-1")])
    async with running(who=who(), denials=denials) as server:
        assert (await refusal(server)).reason == "DENIED"
        assert await issue(server, channel_name="lesson-2")


async def test_keys_count_as_tokens() -> None:
    limited = who(rate_limit="2/hour")
    async with running(who=limited, limiter=no_limits()) as server:
        await issue(server)
        await issue(server)
        assert (await refusal(server)).reason == "RATE_LIMITED"


async def test_a_reload_while_the_limit_is_charged_counts() -> None:
    limited = who(rate_limit="2/hour")
    replaced: list[float] = []

    def clock() -> float:
        server.authority.apply(PolicySnapshot(Keyring([Project("classroom", ())]), limited))
        replaced.append(0.0)
        return 0.0

    limiter = RateLimiter("memory", on_degraded=print, on_recovered=print, clock=clock)
    async with running(who=limited, limiter=limiter) as server:
        assert (await refusal(server)).reason == "PROJECT_LACKS_PRODUCT"
        assert replaced


async def test_a_key_is_on_record_by_its_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    trail = AuditTrail(
        [FileSink(path, "never", "a" * 32)],
        required=True,
        clock=Moments().clock,
        on_failure=print,
        on_recovery=print,
    )
    async with running(who=who(), trail=trail) as server:
        key = await issue(server)
        await refusal(server, channel_name="office")
        (line,) = [line for line in server.log if line["event"] == "channel_key_issued"]
        assert (line["fingerprint"], line["key_id"]) == (key.fingerprint, "enc-2")
        output = server.output.getvalue()
    issued, denied = map(json.loads, path.read_text().splitlines())
    expected = {
        "event": "channel_key_issued",
        "caller": "tester",
        "kind": "channel_key",
        "project": "classroom",
        "channel": "lesson-1",
        "key_context": "m",
        "grant": "meetings",
        "key_id": "enc-2",
        "fingerprint": key.fingerprint,
    }
    assert expected.items() <= issued.items()
    assert (denied["reason"], denied["channel"]) == ("GRANT_MISSING", "office")
    for text in (output, path.read_text()):
        assert key.encryption_key not in text
        assert key.salt_base64 not in text
