"""client/service_config.json: the policy of this client, and of those in other languages."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from token_authority_client._channel import PATHS, SERVICE_CONFIG

CLIENT: Final = Path(__file__).parents[2] / "client"
POLYGLOT: Final = CLIENT / "polyglot"
CONFIG: Final[dict[str, Any]] = json.loads((CLIENT / "service_config.json").read_text())
RETRY: Final[dict[str, Any]] = CONFIG["methodConfig"][0]["retryPolicy"]
READERS: Final = ("cpp", "go", "java", "node", "ruby", "typescript")
"""Languages whose samples read the file; the gRPC of the others cannot."""


def test_this_client_has_the_same_policy_without_health_checks() -> None:
    health = {"healthCheckConfig": {"serviceName": "token_authority.v1.TokenService"}}
    assert {**SERVICE_CONFIG, **health} == CONFIG
    assert "healthCheckConfig" not in SERVICE_CONFIG


def test_every_service_of_the_contract_is_in_it() -> None:
    names = {name["service"] for name in CONFIG["methodConfig"][0]["name"]}
    assert names == {path.split("/")[1] for path in PATHS.values()}


@pytest.mark.parametrize("language", READERS)
def test_a_sample_reads_it_and_has_no_policy_of_its_own(language: str) -> None:
    folder = POLYGLOT / language
    scripts = [folder / "generate.sh", *folder.glob("pom.xml")]
    assert any("service_config.json" in script.read_text() for script in scripts)
    sources = [
        path.read_text()
        for pattern in ("*.cc", "*.go", "*.js", "*.rb", "src/*.ts", "src/**/*.java")
        for path in folder.glob(pattern)
    ]
    assert any("service_config" in source for source in sources)
    assert not any("maxAttempts" in source for source in sources)


def seconds() -> list[float]:
    """Returns the longest pauses before each further attempt."""
    first, most = (float(RETRY[key][:-1]) for key in ("initialBackoff", "maxBackoff"))
    pauses = [first * RETRY["backoffMultiplier"] ** n for n in range(RETRY["maxAttempts"] - 1)]
    return [round(min(pause, most), 3) for pause in pauses]


def test_samples_that_cannot_read_it_have_its_figures() -> None:
    assert {folder.name for folder in POLYGLOT.iterdir() if (folder / "run.sh").exists()} == {
        *READERS,
        "csharp",
        "php",
        "rust",
    }
    rust = (POLYGLOT / "rust/src/main.rs").read_text()
    assert f"in [{', '.join(str(round(pause * 1000)) for pause in seconds())}] {{" in rust
    assert "Code::Unavailable | Code::Cancelled" in rust
    php = (POLYGLOT / "php/Channel.php").read_text()
    assert f"BACKOFF = [{', '.join(map(str, seconds()))}];" in php
    assert "RETRYABLE = [GrpcError::UNAVAILABLE, GrpcError::CANCELLED];" in php
    csharp = (POLYGLOT / "csharp/Client.cs").read_text()
    for name, value in (
        ("MaxAttempts", RETRY["maxAttempts"]),
        ("InitialBackoff", f"TimeSpan.FromSeconds({RETRY['initialBackoff'][:-1]})"),
        ("MaxBackoff", f"TimeSpan.FromSeconds({RETRY['maxBackoff'][:-1]})"),
        ("BackoffMultiplier", RETRY["backoffMultiplier"]),
    ):
        assert f" {name} = {value}," in csharp
    codes = re.findall(r"StatusCode\.(\w+)", csharp.partition("RetryableStatusCodes")[2])
    assert [code.upper() for code in codes[:2]] == RETRY["retryableStatusCodes"]
