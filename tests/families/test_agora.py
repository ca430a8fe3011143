"""What holds for all that App Certificates sign."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor

from families.cases import DAY, NOW, reasons, seconds
from families.test_families import AnyKind, ask, issue
from support.decoding import decode
from support.keys import APP_ID, CERTIFICATE, NOW_MS, OLD_CERTIFICATE
from support.serving import Running, refused
from token_authority.v1.issued_token_pb2 import TOKEN_FORMAT_V006, TOKEN_FORMAT_V007
from token_authority_server.families import FAMILIES
from token_authority_server.keyring import AppCertificate

AGORA_KINDS = {kind.name: kind for kind in FAMILIES if kind.key_type is AppCertificate}
every_kind = pytest.mark.parametrize("kind", AGORA_KINDS.values(), ids=AGORA_KINDS)
in_006 = pytest.mark.parametrize("kind", [AGORA_KINDS["rtc"], AGORA_KINDS["rtm"]])


@every_kind
async def test_times_are_whole_seconds_and_salts_are_fresh(server: Running, kind: AnyKind) -> None:
    for salt, ms in enumerate([0, 1, 999, 1000, 1_500_999], start=1):
        server.moments.now_ms = NOW * 1000 + ms
        issued = await issue(server, kind, ttl=seconds(60))
        decoded = decode(issued.token)
        header = {name: value for name, value in decoded.fields.items() if name != "services"}
        assert header == {
            "app_id": APP_ID,
            "issue_ts": NOW + ms // 1000,
            "expire": 60,
            "salt": salt,
        }
        assert issued.issue_time.ToMilliseconds() == (NOW + ms // 1000) * 1000
        assert issued.expire_time.ToMilliseconds() == (NOW + ms // 1000 + 60) * 1000


@every_kind
async def test_the_active_certificate_signs_and_not_the_first(
    server: Running, kind: AnyKind
) -> None:
    decoded = decode((await issue(server, kind)).token)
    assert decoded.verifies(CERTIFICATE)
    assert not decoded.verifies(OLD_CERTIFICATE)


@in_006
async def test_only_006_is_advised_against(server: Running, kind: AnyKind) -> None:
    for token_format in (0, TOKEN_FORMAT_V007):
        assert reasons(await issue(server, kind, format=token_format)) == []
    assert reasons(await issue(server, kind, format=TOKEN_FORMAT_V006)) == ["LEGACY_FORMAT_006"]


@in_006
async def test_006_carries_a_day_whatever_its_rights_last(server: Running, kind: AnyKind) -> None:
    server.moments.now_ms = NOW_MS + 876
    issued = await issue(server, kind, format=TOKEN_FORMAT_V006, ttl=seconds(60))
    fields = decode(issued.token).fields
    assert fields["ts"] == NOW + DAY
    assert set(fields["privileges"].values()) == {NOW + 60}
    assert issued.expire_time.seconds == NOW + 60


def with_wildcards(message: Descriptor, path: str = "") -> Iterator[str]:
    """Yields the path of every message that can name any channel and any user."""
    if {"any_channel", "any_user"} <= {*message.fields_by_name}:
        yield path
    for field in message.fields:
        if field.message_type and field.message_type.file.package == "token_authority.v1":
            yield from with_wildcards(field.message_type, f"{path}{field.name}.")


WILDCARDS: dict[str, Any] = {"any_channel": {}, "any_user": {}}
PARTS: dict[str, dict[str, Any]] = {
    "rtc": {**WILDCARDS, "join_channel_ttl": seconds(9)},
    "streaming": {**WILDCARDS, "publish_raw_ttl": seconds(9)},
    "fcdn": {**WILDCARDS, "play_ttl": seconds(9)},
}


@every_kind
async def test_any_user_in_any_channel_is_refused_wherever_both_can_be_named(
    server: Running, kind: AnyKind
) -> None:
    refusals: dict[str, list[tuple[str, dict[str, Any]]]] = {
        "rtc": [("", {"channel_name": None, "uid": None, **WILDCARDS})],
        "access_token": [
            (f"services[0].{part}.", {"services": [{part: fields}]})
            for part, fields in PARTS.items()
        ],
    }
    paths = [path.replace("[0]", "") for path, _ in refusals.get(kind.name, [])]
    assert paths == [*with_wildcards(kind.request_type.DESCRIPTOR)]
    for path, changes in refusals.get(kind.name, []):
        answer = await refused(ask(server, kind, **changes))
        assert answer.violations == [(f"{path}any_user", "ANY_USER_WITH_ANY_CHANNEL")]
