"""A short run of the fuzzer (`make fuzz`), and proof that it finds what it looks for."""

import random
import re
from pathlib import Path

import pytest

from contract.rules import methods
from fuzz import machine, run
from fuzz.mutating import mutated
from fuzz.outcomes import Target, check_shown
from support.keys import CERTIFICATE


def test_no_target_has_a_defect(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Not how long it takes, which depends on what else the machine does.
    monkeypatch.setattr(run, "MAX_SECONDS", 60)
    results = dict(run.fuzz_all(run.all_targets(tmp_path), 4_000, "1"))
    assert [result.defect for result in results.values() if result.defect] == []
    assert len(results) > 35
    assert sum(result.inputs for result in results.values()) >= 4_000
    # Most parsers let something pass, or it would be no test of what comes after parsing.
    assert sum(len(result.outcomes) > 1 for result in results.values()) > 30


async def test_a_live_server_does_what_its_model_does() -> None:
    assert "40 steps" in await machine.walk(40, 3)


def test_a_defect_is_found_and_shown() -> None:
    def attempt(data: bytes) -> str:
        return str(int(data))

    target = Target("numbers", lambda chance: mutated([b"12345"], chance), attempt, 1)
    result = run.fuzz(target, 1000, "1")
    assert "numbers: Traceback" in result.defect
    assert "ValueError: invalid literal" in result.defect
    assert 0 < result.inputs < 1000


def test_a_secret_in_a_text_is_found() -> None:
    check_shown("a text")
    with pytest.raises(AssertionError):
        check_shown(f"a text with {CERTIFICATE}")


def test_a_seed_makes_the_same_inputs() -> None:
    one, same, other = (
        [mutated([b"abc", b"{}"], chance) for _ in range(50)]
        for chance in (random.Random(1), random.Random(1), random.Random(2))  # noqa: S311
    )
    assert one == same != other


_README = Path(__file__).with_name("README.md").read_text()
_ROOT = Path(__file__).parents[2]
_PARSES = re.compile(
    r"json\.loads|tomllib\.loads|\.FromString\(|request_deserializer\(|b64decode|a2b_base64|load_pem_"
    r"|fromisoformat|urlsplit\(|\.recv\(|\.readline\(|getresponse|decompressobj|jwt\.decode"
    r"|BaseHTTPRequestHandler|invocation_metadata\(|struct\.unpack|\.unpack\("
)


def test_every_module_that_parses_is_listed_with_its_targets() -> None:
    modules = {
        name.removeprefix("server/token_authority_server/").removeprefix("client/")
        for folder in ("server/token_authority_server", "client")
        for path in (_ROOT / folder).rglob("*.py")
        if _PARSES.search(path.read_text())
        and (name := str(path.relative_to(_ROOT)))
        and not name.startswith(("client/polyglot", "client/token_authority/", "client/examples"))
    }
    assert modules
    assert sorted(module for module in modules if f"`{module}`" not in _README) == []


def test_every_target_is_listed(tmp_path: Path) -> None:
    calls = {path.rpartition("/")[2] for path in methods()}
    names = {target.name for target in run.all_targets(tmp_path)}
    assert sorted(name for name in names - calls if name not in _README) == []
    assert calls <= names
