from pathlib import Path

import pytest

from support.commands import run
from support.granting import LESSONS
from support.keys import SECRETS
from support.serving import CONFIG, serving, write_config


def expectation(channel: str, expect: str, caller: str = "lessons") -> str:
    return f"""
[[tests]]
caller = "{caller}"
request = {{ rtc = {{ channel_name = "{channel}", uid = 7, role = "RTC_ROLE_PUBLISHER" }} }}
expect = "{expect}"
"""


HOLDS = (
    expectation("lesson-1", "allow")
    + expectation("office", "GRANT_MISSING")
    + expectation("office", "allow", "tester")
    + expectation("ä", "INVALID_REQUEST")
)
BROKEN = {
    "too little": (
        expectation("office", "allow"),
        "expected allow, got GRANT_MISSING: permission denied: the closest grant, 'in-lessons'",
    ),
    "too much": (
        expectation("lesson-1", "GRANT_MISSING"),
        "expected GRANT_MISSING, got allow",
    ),
    "another reason": (
        expectation("office", "WILDCARD_FORBIDDEN"),
        "expected WILDCARD_FORBIDDEN, got GRANT_MISSING: ",
    ),
}


async def test_a_file_whose_tests_hold(tmp_path: Path) -> None:
    config = write_config(tmp_path, CONFIG + LESSONS + HOLDS)
    ran = await run("check-config", str(config))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.endswith("4 tests pass\n")
    assert "  grant in-lessons for project classroom: rtc\n" in ran.out
    async with serving("--config", str(config)) as server:
        assert await server.stop() == 0


async def test_a_leaked_key_can_be_disabled_whatever_is_expected(tmp_path: Path) -> None:
    text = (CONFIG + LESSONS + HOLDS).replace('state = "active"', 'state = "disabled"')
    ran = await run("check-config", str(write_config(tmp_path, text)))
    assert (ran.code, "no key is active" in ran.err) == (0, True)


@pytest.mark.parametrize(("test", "expected"), BROKEN.values(), ids=BROKEN)
async def test_a_file_whose_tests_fail_is_refused_by_check_config_and_serve(
    tmp_path: Path, test: str, expected: str
) -> None:
    config = write_config(tmp_path, CONFIG + LESSONS + HOLDS + test)
    for command in (["check-config", str(config)], ["serve", "--config", str(config)]):
        ran = await run(*command)
        assert (ran.code, ran.out) == (2, "")
        (line,) = ran.err.splitlines()
        assert line.startswith(f"token-authority: [[tests]] test 5 (caller lessons): {expected}")
        assert not any(secret in ran.err for secret in SECRETS)


async def test_every_test_that_fails_has_its_line(tmp_path: Path) -> None:
    config = write_config(tmp_path, CONFIG + LESSONS + "".join(test for test, _ in BROKEN.values()))
    ran = await run("check-config", str(config))
    assert [line.partition(": ")[2][:18] for line in ran.err.splitlines()] == [
        f"[[tests]] test {number} (" for number in (1, 2, 3)
    ]
