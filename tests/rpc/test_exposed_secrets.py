import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any, Final

import pytest

from inspection.tokens import t007
from support.granting import ALL_ALLOWANCES, caller, callers, everything
from support.keys import (
    CERTIFICATE,
    ENCRYPTION_SECRET,
    NOW_MS,
    SECRET_KEY,
    access_key,
    certificate,
    encryption_secrets,
)
from support.serving import Running, running
from token_authority.v1.inspection_pb2 import Expected, InspectTokenRequest
from token_authority.v1.inspection_service_pb2_grpc import InspectionServiceStub
from token_authority_server.audit import AuditTrail, FileSink
from token_authority_server.keyring import AppCertificate, Keyring, KeyState, Project, Secret

FOREIGN: Final = "2" * 31 + "f"
KEYS: Final = Keyring(
    [
        Project("ours", (certificate(), access_key()), encryption_secrets()),
        Project("theirs", (AppCertificate("t-1", KeyState.ACTIVE, "1" * 32, Secret(FOREIGN)),)),
    ]
)
API_KEY: Final = "a-key-that-somebody-made-up"
JWT: Final = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJsZXNzb25zIn0.c2lnbmF0dXJl"
WHO: Final = callers(
    caller(everything("ours", allow=["inspect"])),
    caller(
        everything("theirs", allow=ALL_ALLOWANCES),
        name="other",
        identities=[f"api-key:sha256:{hashlib.sha256(API_KEY.encode()).hexdigest()}"],
    ),
)


async def inspected(server: Running, token: str, **expected: Any) -> Any:
    request = InspectTokenRequest(token=token, expected=Expected(**expected))
    return await InspectionServiceStub(server.channel).InspectToken(request)


@pytest.mark.parametrize(
    ("secret", "named", "recorded"),
    [
        (CERTIFICATE, "the App Certificate 'cert-2' of project 'ours'", ("ours", "cert-2")),
        (CERTIFICATE.upper(), "the App Certificate 'cert-2'", ("ours", "cert-2")),
        (CERTIFICATE.lower(), "the App Certificate 'cert-2'", ("ours", "cert-2")),
        (SECRET_KEY, "the whiteboard secret key 'ak-1' of project 'ours'", ("ours", "ak-1")),
        (
            ENCRYPTION_SECRET * 4,
            "an encryption secret of this authority 'enc-2' of project 'ours'",
            ("ours", "enc-2"),
        ),
        (FOREIGN, "a signing secret of this authority", ("theirs", "t-1")),
        (API_KEY, "an API key", ("", "")),
        ("tak_" + "x" * 43, "an API key", ("", "")),
        (JWT, "a JWT", ("", "")),
        (FOREIGN[:-1] + "0", None, None),
    ],
)
@pytest.mark.parametrize("place", ["token", "app_id", "error"])
async def test_a_pasted_secret_is_named_recorded_and_never_echoed(
    tmp_path: Path, place: str, secret: str, named: str | None, recorded: tuple[str, str] | None
) -> None:
    sink = await asyncio.to_thread(FileSink, tmp_path / "audit.jsonl", "never", "0" * 32)
    trail = AuditTrail(
        [sink], required=True, clock=lambda: NOW_MS, on_failure=pytest.fail, on_recovery=print
    )
    token = secret if place == "token" else t007()
    use = {} if place == "token" else {place: secret}
    async with running(KEYS, who=WHO, trail=trail) as server:
        answer = await inspected(server, token, **use)
        log = server.output.getvalue()
    written = (tmp_path / "audit.jsonl").read_text()
    records = [json.loads(line) for line in written.splitlines()]
    exposed = [record for record in records if record["event"] == "secret_exposed"]
    if named is None or recorded is None:
        assert "SECRET_EXPOSED" not in [finding.reason for finding in answer.findings]
        assert exposed == []
        return
    finding = answer.findings[0]
    assert finding.reason == "SECRET_EXPOSED"
    assert named in finding.problem
    assert ("Rotate it now" in finding.advice) == (recorded != ("", ""))
    (record,) = exposed
    assert (record["project"], record["key_id"]) == recorded
    (line,) = [json.loads(line) for line in log.splitlines() if "SECRET_EXPOSED" in line]
    assert line["exposed"][0].endswith(" ".join(recorded).strip())
    for text in (answer.SerializeToString().decode(errors="replace"), log, written):
        assert secret not in text


async def test_names_of_keys_are_told_to_those_alone_who_may_inspect_them() -> None:
    async with running(KEYS, who=WHO) as server:
        answer = (await inspected(server, FOREIGN)).SerializeToString()
    assert b"theirs" not in answer
    assert b"t-1" not in answer


async def test_a_secret_beside_a_token_is_found_and_the_token_explained() -> None:
    pasted = json.dumps({"appCertificate": CERTIFICATE, "token": t007()})
    async with running(KEYS, who=WHO) as server:
        answer = await inspected(server, pasted)
    assert answer.kind == "rtc"
    assert answer.findings[0].reason == "SECRET_EXPOSED"
    assert CERTIFICATE.encode() not in answer.SerializeToString()
