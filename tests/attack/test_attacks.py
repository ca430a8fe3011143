"""The attacks in short: no bystander is refused, memory is bounded. For times: `make attack`."""

from pathlib import Path
from typing import Final

import pytest

from attack.harness import attacked, victim
from support.jwks import key_server

SECONDS: Final = 0.5
MAX_GROWTH_MB: Final = 64
"""What strangers may cost."""
MAX_GROWTH_OF_A_CALLER_MB: Final = 128
"""The same, and 8 calls in flight with a body of 1 MiB, compressed and decompressed."""
MAX_LOG_KB_PER_SECOND: Final = 50


@pytest.mark.parametrize(
    "attack",
    [
        "bombs_everywhere",
        "unfinished_bodies",
        "bombs_of_a_caller",
        "headers_only",
        "checks_without_message",
        "watches",
        "refusals",
        "refusals_of_a_caller",
        "validations",
        "rapid_resets",
    ],
)
async def test_no_bystander_is_refused_and_memory_is_bounded(tmp_path: Path, attack: str) -> None:
    with key_server() as provider:
        async with victim(tmp_path, provider.url, max_in_flight=8) as server:
            result = await attacked(server, attack, SECONDS)
    assert result.failed == 0
    assert result.answered > 10
    is_stranger = not attack.endswith("of_a_caller")
    bound_mb = MAX_GROWTH_MB if is_stranger else MAX_GROWTH_OF_A_CALLER_MB
    assert result.rss_growth_mb < bound_mb
    assert result.log_kb_per_second < MAX_LOG_KB_PER_SECOND
