import hashlib
import json
import re
from pathlib import Path

from grpc import aio

from support.commands import run
from support.decoding import decode
from support.granting import LESSONS
from support.serving import CONFIG, refused, serving, write_config
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub

KEY = re.compile(r"tak_[A-Za-z0-9_-]{43}")


async def test_an_api_key_is_shown_once_with_its_hash_apart() -> None:
    ran = await run("api-key", "new")
    assert ran.code == 0
    key = ran.out.removesuffix("\n")
    # The key alone on standard output, so that a shell can take it; only its hash beside it.
    assert KEY.fullmatch(key)
    digest = hashlib.sha256(key.encode()).hexdigest()
    assert ran.err == f'identities = ["api-key:sha256:{digest}"]\n'
    assert (await run("api-key", "new")).out != ran.out


async def test_an_api_key_as_json() -> None:
    ran = await run("api-key", "new", "--json")
    assert (ran.code, ran.err) == (0, "")
    answer = json.loads(ran.out)
    assert answer.keys() == {"api_key", "identity"}
    digest = hashlib.sha256(answer["api_key"].encode()).hexdigest()
    assert answer["identity"] == f"api-key:sha256:{digest}"


async def test_an_api_key_goes_to_a_new_file_that_only_its_owner_may_read(tmp_path: Path) -> None:
    path = tmp_path / "key"
    ran = await run("api-key", "new", "--output", str(path))
    assert (ran.code, ran.out) == (0, "")
    key = path.read_text().removesuffix("\n")
    assert KEY.fullmatch(key)
    assert path.stat().st_mode & 0o777 == 0o600
    digest = hashlib.sha256(key.encode()).hexdigest()
    assert ran.err == f'identities = ["api-key:sha256:{digest}"]\n'
    # A key that is in use is never overwritten, and a link is not followed.
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for taken, problem in (
        (path, "File exists"),
        (tmp_path / "link", "File exists"),
        (tmp_path / "gone" / "key", "No such file or directory"),
    ):
        ran = await run("api-key", "new", "--output", str(taken))
        assert (ran.code, ran.out) == (1, "")
        assert ran.err == f"token-authority: {taken}: cannot be created: {problem}\n"
    assert path.read_text() == f"{key}\n"
    assert not (tmp_path / "elsewhere").exists()


async def test_an_api_key_in_a_file_is_not_in_the_json(tmp_path: Path) -> None:
    ran = await run("api-key", "new", "--json", "--output", str(tmp_path / "key"))
    digest = hashlib.sha256((tmp_path / "key").read_text().strip().encode()).hexdigest()
    assert json.loads(ran.out) == {"identity": f"api-key:sha256:{digest}"}


async def test_a_new_api_key_works_against_a_server(tmp_path: Path) -> None:
    ran = await run("api-key", "new")
    identity, key = ran.err.strip(), ran.out.strip()
    old = next(line for line in LESSONS.splitlines() if line.startswith("identities"))
    text = LESSONS.replace(old, identity)
    request = IssueRtcTokenRequest(channel_name="lesson-1", uid=7, role=RTC_ROLE_PUBLISHER)
    # Without the local caller: a server that knows nobody else.
    config = write_config(tmp_path, CONFIG.partition("[[callers]]")[0] + text)
    async with serving("--config", str(config)) as server:
        async with aio.insecure_channel(server.address) as channel:
            stub = TokenServiceStub(channel)
            metadata = [("authorization", f"Bearer {key}")]
            issued = (await stub.IssueRtcToken(request, metadata=metadata)).issued_token
            assert decode(issued.token).fields["expire"] == 90
            for wrong, reason in (
                ([], "CREDENTIAL_MISSING"),
                ([("authorization", f"Bearer {key[:-1]}")], "CREDENTIAL_INVALID"),
                # The hash is no key: whoever reads the configuration cannot ask.
                (
                    [("authorization", f"Bearer {hashlib.sha256(key.encode()).hexdigest()}")],
                    "CREDENTIAL_INVALID",
                ),
            ):
                answer = await refused(stub.IssueRtcToken(request, metadata=wrong))
                assert answer.reason == reason
        assert await server.stop() == 0
    assert key not in server.stderr
