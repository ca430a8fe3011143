"""SECURITY.md: every claim has its test, and the runbook's commands do what it says."""

import re
import signal
from pathlib import Path
from typing import Any, Final

import pytest
from grpc import aio

from support.commands import run
from support.keys import OLD_CERTIFICATE
from support.live import AUDIT, BY_PLACE, LOG, PROJECT, SERVER, live
from support.naming import ROOT, source_of
from support.serving import refused
from support.waiting import until
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub

PAGE: Final = (ROOT / "SECURITY.md").read_text()
NAMED: Final = re.findall(r"`(tests/[\w/.]+::\w+)`", PAGE)
COMMANDS: Final = re.findall(r"^ *\$ token-authority (.+)$", PAGE, re.MULTILINE)
VALID: Final = IssueRtcTokenRequest(channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER)


def test_every_test_is_named_whole() -> None:
    # A name that was broken over two lines would not be checked.
    assert PAGE.count("tests/") == len(NAMED) > 30


@pytest.mark.parametrize("name", sorted(set(NAMED)))
def test_every_named_test_exists(name: str) -> None:
    assert "assert" in source_of(name)


@pytest.mark.parametrize(
    "name", ["tests/test_nothing.py::test_x", "tests/test_security_page.py::test_nothing"]
)
def test_a_test_that_does_not_exist_is_found(name: str) -> None:
    with pytest.raises(AssertionError, match=f"{name}: there is no such (file|test)"):
        source_of(name)


@pytest.mark.parametrize("successor", ["with a successor", "without one"])
async def test_the_runbook_for_a_leaked_certificate(tmp_path: Path, successor: str) -> None:
    (tmp_path / "cert-2").write_text(OLD_CERTIFICATE)
    text = SERVER.replace("50ms", "0s") + AUDIT + PROJECT
    new = (
        '[[projects.classroom.agora.certificates]]\nid = "cert-2"\n'
        'secret = { file = "cert-2" }\nstate = "active"\n'
    )
    async with live(tmp_path, text + BY_PLACE) as server:
        async with aio.insecure_channel(server.address) as channel:
            stub: Any = TokenServiceStub(channel)
            leaked = (await stub.IssueRtcToken(VALID)).issued_token
            off = text.replace('"active"', '"disabled"')
            off += new if successor == "with a successor" else ""
            path = tmp_path / "token-authority.toml"
            path.write_text(off + BY_PLACE + LOG)
            outputs: list[str] = []
            for command in COMMANDS:
                words = [
                    str(tmp_path / word) if (tmp_path / word).is_file() else word
                    for word in command.split()
                ]
                ran = await run(*words)
                assert ran.code == 0, ran.err
                outputs.append(ran.out)
                if command.startswith("check-config"):
                    server.process.send_signal(signal.SIGHUP)
                    await until(lambda: server.events("configuration reloaded"))
            if successor == "with a successor":
                assert (await stub.IssueRtcToken(VALID)).issued_token.key_id == "cert-2"
            else:
                refusal = await refused(stub.IssueRtcToken(VALID))
                assert refusal.reason == "NO_ACTIVE_KEY"
        checked, verified, found = outputs
        assert "agora key cert-1" in checked
        assert "the hash chain is unbroken" in verified
        assert found.startswith(leaked.token_id)
        assert found.count("\n") == 1
