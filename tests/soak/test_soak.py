"""A short form of `make soak`: each event once."""

from pathlib import Path

from soak.calling import account
from soak.run import Options, soak


async def test_no_event_fails_a_call_but_the_full_audit_disk(tmp_path: Path) -> None:
    report: list[str] = []
    wrong = await soak(tmp_path, Options(seconds=0, rate=100, pause_seconds=0), report.append)
    assert wrong == [], report
    for event in ("rotated the App Certificate", "killed instance 3", "freed it"):
        assert any(event in line for line in report)
    # What the audit trails do not have is noticed.
    _, wrong = account([tmp_path / "trails" / "audit-1.jsonl"], {"an-id": "cert-1"})
    assert wrong == ["1 tokens were not recorded, 0 twice"]
