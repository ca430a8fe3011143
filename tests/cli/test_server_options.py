import json
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from google.rpc import error_details_pb2, status_pb2

from support.clients import answering
from support.commands import run
from support.tls import pem_files
from token_authority.v1.issued_token_pb2 import IssuedToken
from token_authority.v1.rtc_pb2 import IssueRtcTokenResponse
from token_authority_cli.server_options import exit_code
from token_authority_client import ConfigurationError, TokenAuthorityError, _errors

RTC = ["issue", "rtc", "--channel", "lesson-1", "--uid", "7", "--role", "publisher"]
KEY = "ta_key_0123456789"
TOKEN = IssueRtcTokenResponse(
    issued_token=IssuedToken(token="007…", token_id="t", issue_time={"seconds": 1})  # type: ignore[arg-type]
).SerializeToString()
CODES = {
    "INVALID_ARGUMENT": 2,
    "UNAUTHENTICATED": 3,
    "PERMISSION_DENIED": 4,
    "FAILED_PRECONDITION": 5,
    "RESOURCE_EXHAUSTED": 6,
    "UNAVAILABLE": 7,
    "DEADLINE_EXCEEDED": 7,
    "UNIMPLEMENTED": 1,
    "INTERNAL": 1,
    "ABORTED": 1,
}


def test_every_class_of_error_has_an_exit_code() -> None:
    assert set(_errors.BY_CODE) < set(CODES)
    for code, error in _errors.BY_CODE.items():
        assert exit_code(error("no")) == CODES[code]
    for error in _errors.BY_REASON.values():
        assert exit_code(error("no")) == CODES[error.code]
    assert exit_code(ConfigurationError("no")) == 2
    assert exit_code(TokenAuthorityError("no")) == 1


def refusing(code: str) -> Any:
    number, _ = grpc.StatusCode[code].value
    status = status_pb2.Status(code=number, message="no: do that")
    info = error_details_pb2.ErrorInfo(
        reason="R", domain="token-authority", metadata={"advice": "do that", "grant": "teach"}
    )
    retry = error_details_pb2.RetryInfo(retry_delay={"seconds": 3})
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="uid", reason="REQUIRED", description="must be set")
    for detail in (info, retry, bad):
        status.details.add().Pack(detail)

    async def refuse(_: bytes, context: Any) -> bytes:
        metadata = (("grpc-status-details-bin", status.SerializeToString()),)
        await context.abort(grpc.StatusCode[code], "no: do that", metadata)
        return b""

    return refuse


@pytest.mark.parametrize("code", [code for code in CODES if code != "UNAVAILABLE"])
async def test_a_refusal_is_printed_for_people_and_for_programs(code: str) -> None:
    async with answering(refusing(code)) as target:
        ran = await run(*RTC, "--target", target)
        assert (ran.code, ran.out) == (CODES[code], "")
        assert ran.err == "token-authority: no: do that\n"
        ran = await run(*RTC, "--target", target, "--json")
    assert (ran.code, ran.err) == (CODES[code], "")
    assert json.loads(ran.out) == {
        "error": {
            "code": code,
            "reason": "R",
            "message": "no: do that",
            "advice": "do that",
            "metadata": {"advice": "do that", "grant": "teach"},
            "violations": [{"field": "uid", "reason": "REQUIRED", "description": "must be set"}],
            "retry_after": "3s",
        }
    }


async def test_tls_a_client_certificate_and_a_key_by_options_and_by_environment(
    tmp_path: Path,
) -> None:
    ca = trustme.CA()
    server = ca.issue_cert("ta.internal")
    pem_files(tmp_path, ca, ca.issue_cert("client"))
    (tmp_path / "key.txt").write_text(f"{KEY}\n")
    seen: list[str] = []

    async def answer(_: bytes, context: Any) -> bytes:
        seen.append(dict(context.invocation_metadata())["authorization"])
        return TOKEN

    credentials = grpc.ssl_server_credentials(
        [(server.private_key_pem.bytes(), server.cert_chain_pems[0].bytes())],
        ca.cert_pem.bytes(),
        True,
    )
    options = {
        "ca": f"{tmp_path}/ca.pem",
        "cert": f"{tmp_path}/client.pem",
        "key": f"{tmp_path}/client-key.pem",
        "server-name": "ta.internal",
        "token-file": f"{tmp_path}/key.txt",
    }
    async with answering(answer, credentials) as target:
        options["target"] = target
        arguments = [word for name, text in options.items() for word in (f"--{name}", text)]
        ran = await run(*RTC, *arguments)
        assert (ran.code, ran.out) == (0, "007…\n"), ran.err
        environment: dict[str, Any] = {
            f"TOKEN_AUTHORITY_{name.replace('-', '_').upper()}": text
            for name, text in options.items()
        }
        ran = await run(*RTC, **environment)
        assert (ran.code, ran.out) == (0, "007…\n"), ran.err
    assert seen == [f"Bearer {KEY}"] * 2


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--target", "http://localhost:1"], "write HOST:PORT without http://"),
        (["--target", "nowhere"], "has no port: for example, write nowhere:50051"),
        (["--cert", "c.pem"], "--cert and --key"),
        (["--ca", "/nowhere/ca.pem"], "the ca file /nowhere/ca.pem cannot be read"),
        (["--token-file", "/nowhere/key"], "the API key file /nowhere/key cannot be read"),
        (
            ["--token-file", "key", "--target", "ta.example.com:1"],
            "sent to ta.example.com:1 in plaintext",
        ),
        (["--timeout", "25h"], "at most a day"),
    ],
)
async def test_options_that_cannot_be_used_are_code_2_in_one_line(
    options: list[str], problem: str
) -> None:
    ran = await run(*RTC, *options)
    assert (ran.code, ran.out) == (2, "")
    assert problem in ran.err
    assert ran.err.count("\n") == 1
    ran = await run(*RTC, *options, "--json")
    assert (ran.code, ran.err) == (2, "")
    assert problem in json.loads(ran.out)["error"]["message"]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("1", True),
        ("true", True),
        ("YES", True),
        *[(text, False) for text in ("0", "false", "no", "")],
    ],
)
async def test_the_variable_for_tls_says_yes_or_no(value: str, wanted: bool) -> None:
    async def answer(_: bytes, __: Any) -> bytes:
        return TOKEN

    async with answering(answer) as target:
        ran = await run(*RTC, "--target", target, TOKEN_AUTHORITY_TLS=value)
    assert (ran.code, "does not speak TLS" in ran.err) == ((7, True) if wanted else (0, False))


async def test_any_other_value_of_the_variable_for_tls_is_refused() -> None:
    for command in (RTC, ["doctor"]):
        ran = await run(*command, TOKEN_AUTHORITY_TLS="off")
        assert (ran.code, ran.out) == (2, "")
        assert ran.err == (
            "token-authority: TOKEN_AUTHORITY_TLS is 'off': write 1, true or yes for TLS, "
            "0, false, no or nothing for none\n"
        )
    ran = await run(*RTC, "--target", "127.0.0.1:1", "--tls", TOKEN_AUTHORITY_TLS="off")
    assert ran.code == 7
