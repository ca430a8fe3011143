"""Tests client/gitleaks.toml with gitleaks itself (`make gitleaks`)."""

import asyncio
import json
import secrets
import shutil
from asyncio.subprocess import DEVNULL
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cli.test_scan import CONFIG, LIVE, rows
from inspection.tokens import rtc, t006, t007, whiteboard
from support.keys import CERTIFICATE
from token_authority_server.formats.fingerprint import fingerprint

RULES = Path(__file__).parents[2] / "client/gitleaks.toml"
# At random: gitleaks ignores alphabets.
API_KEY = f"tak_{secrets.token_urlsafe(32)}"


async def reported(folder: Path, texts: Mapping[str, str]) -> list[dict[str, Any]]:
    """Returns the report of gitleaks on files of these texts."""
    tree = folder / "sources"
    tree.mkdir()
    for name, text in texts.items():
        (tree / name).write_text(text)
    gitleaks = shutil.which("gitleaks")
    assert gitleaks
    options = ("--config", RULES, "--report-format", "json", "--report-path", folder / "report")
    process = await asyncio.create_subprocess_exec(
        gitleaks, "dir", *options, tree, stdout=DEVNULL, stderr=DEVNULL
    )
    assert await asyncio.wait_for(process.wait(), 60) == 1
    report: list[dict[str, Any]] = json.loads((folder / "report").read_text())
    return report


async def test_the_rules_for_gitleaks_find_each_token_and_name_of_a_secret(tmp_path: Path) -> None:
    (tmp_path / "certificate").write_text(CERTIFICATE)
    (tmp_path / "certificate").chmod(0o600)
    (tmp_path / "token-authority.toml").write_text(CONFIG)
    config = str(tmp_path / "token-authority.toml")
    texts = {
        "agora-token-007": f"t = '{LIVE}'",
        "agora-token-006": f'"token": "{t006()}"',
        "agora-token-netless": f"board={whiteboard()}\n",
        "agora-app-certificate": f'APP_CERTIFICATE="{CERTIFICATE}"',
        "token-authority-api-key": f"{API_KEY}\n",
    }
    report = await reported(tmp_path, texts)
    rules = {(Path(row["File"]).name, row["RuleID"]) for row in report}
    assert rules >= {(name, name) for name in texts}
    found = await rows("--config", config, "--gitleaks", str(tmp_path / "report"), code=1)
    assert {Path(row["file"]).name for row in found} == {*texts} - {"token-authority-api-key"}


def with_both(make: Callable[[int], str]) -> str:
    """Returns a token with a slash and a plus among its first characters."""
    return next(
        token
        for token in map(make, range(1, 100_000))
        if "/" in token[35:70] and "+" in token[35:70]
    )


def escaped(text: str, characters: Mapping[str, str]) -> str:
    return "".join(characters.get(character, character) for character in text)


async def test_tokens_whose_slashes_and_pluses_are_escaped_are_found_whole(tmp_path: Path) -> None:
    tokens = {
        "agora-token-007": with_both(lambda salt: t007(rtc(), salt=salt)),
        "agora-token-006": with_both(lambda salt: t006(salt=salt)),
    }
    escapes = {"slashes": {"/": "\\/"}, "all": {"/": "\\u002F", "+": "\\u002b", "=": "\\u003D"}}
    texts = {
        f"{name} {rule}": f'{{"token": "{escaped(token, characters)}"}}\n'
        for rule, token in tokens.items()
        for name, characters in escapes.items()
    }
    await reported(tmp_path, texts)
    found = await rows("--gitleaks", str(tmp_path / "report"), code=0)
    assert {(Path(row["file"]).name, row["token_id"]) for row in found} >= {
        (f"{name} {rule}", fingerprint(token)) for rule, token in tokens.items() for name in escapes
    }
