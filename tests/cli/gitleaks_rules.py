"""Tests client/gitleaks.toml with gitleaks itself (`make gitleaks`)."""

import asyncio
import json
import secrets
import shutil
from asyncio.subprocess import DEVNULL
from pathlib import Path

from cli.test_scan import CONFIG, LIVE, rows
from inspection.tokens import t006, whiteboard
from support.keys import CERTIFICATE

RULES = Path(__file__).parents[2] / "client/gitleaks.toml"
# At random: gitleaks ignores alphabets.
API_KEY = f"tak_{secrets.token_urlsafe(32)}"


async def test_the_rules_for_gitleaks_find_each_token_and_name_of_a_secret(tmp_path: Path) -> None:
    (tmp_path / "certificate").write_text(CERTIFICATE)
    (tmp_path / "certificate").chmod(0o600)
    (tmp_path / "token-authority.toml").write_text(CONFIG)
    config = str(tmp_path / "token-authority.toml")
    tree = tmp_path / "sources"
    tree.mkdir()
    texts = {
        "agora-token-007": f"t = '{LIVE}'",
        "agora-token-006": f'"token": "{t006()}"',
        "agora-token-netless": f"board={whiteboard()}\n",
        "agora-app-certificate": f'APP_CERTIFICATE="{CERTIFICATE}"',
        "token-authority-api-key": f"{API_KEY}\n",
    }
    for rule, text in texts.items():
        (tree / rule).write_text(text)
    gitleaks = shutil.which("gitleaks")
    assert gitleaks
    options = ("--config", RULES, "--report-format", "json", "--report-path", tmp_path / "report")
    process = await asyncio.create_subprocess_exec(
        gitleaks, "dir", *options, tree, stdout=DEVNULL, stderr=DEVNULL
    )
    assert await asyncio.wait_for(process.wait(), 60) == 1
    report = json.loads((tmp_path / "report").read_text())
    rules = {(Path(row["File"]).name, row["RuleID"]) for row in report}
    assert rules >= {(name, name) for name in texts}
    found = await rows("--config", config, "--gitleaks", str(tmp_path / "report"), code=1)
    assert {Path(row["file"]).name for row in found} == {*texts} - {"token-authority-api-key"}
