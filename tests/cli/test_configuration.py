import json
import re
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped]  # has no annotations
import pytest

from support.commands import run
from token_authority_server.config.json_schema import json_schema

SAMPLE: Final = Path(__file__).parents[2] / "server/deploy/token-authority.toml"
VALIDATOR: Final = jsonschema.Draft4Validator(json_schema())


async def test_init_writes_the_commented_file_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    ran = await run("config", "init", "--output", str(path))
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert path.read_bytes() == SAMPLE.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    printed = await run("config", "init", "--output", "-")
    assert (printed.code, printed.out) == (0, SAMPLE.read_text())


async def test_init_replaces_a_file_only_if_it_is_told_to(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("precious")
    ran = await run("config", "init", "--output", str(path))
    assert ran.code == 2
    assert f"{path}: already exists: choose another --output, or replace it with --force" in ran.err
    assert path.read_text() == "precious"
    ran = await run("config", "init", "--output", str(path), "--force")
    assert ran.code == 0
    assert path.read_bytes() == SAMPLE.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["mine.toml"]


async def test_init_names_a_file_that_cannot_be_created(tmp_path: Path) -> None:
    path = tmp_path / "no" / "mine.toml"
    ran = await run("config", "init", "--output", str(path))
    assert ran.code == 1
    assert f"{path}: cannot be created: No such file or directory" in ran.err


async def test_schema_prints_a_schema() -> None:
    ran = await run("config", "schema")
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out) == json_schema()
    jsonschema.Draft4Validator.check_schema(json_schema())


def document(text: str) -> Any:
    """Returns the tables of a file, as editors convert them to JSON."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [plain(inner) for inner in value]
        return value.isoformat() if isinstance(value, datetime) else value

    return plain(tomllib.loads(text))


def uncommented(text: str) -> str:
    return re.sub(r"^# (?=\[.*\]$|[a-z_]+ = )", "", text, flags=re.MULTILINE)


def test_the_schema_accepts_the_sample_with_and_without_its_options() -> None:
    VALIDATOR.validate(document(SAMPLE.read_text()))
    VALIDATOR.validate(document(uncommented(SAMPLE.read_text())))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('drain = "20s"', "drain = 20"),
        ('drain = "20s"', 'drain = "20 s"'),
        ("max_in_flight = 800", "max_in_flight = 0"),
        ("reflection = false", 'reflection = "no"'),
        ("reflection = false", "reflektion = false"),
        ('format = "auto"', 'format = "xml"'),
        ('fsync = "always"', 'fsync = "sometimes"'),
        ('state = "active"', 'state = "inactive"'),
        ('secret = { env = "WHITEBOARD_SK" }', 'secret = "5cfd"'),
        ('{ env = "WHITEBOARD_SK" }', '{ env = "WHITEBOARD_SK", file = "sk" }'),
        ('app_id = "0123', 'app_id = "123'),
        ('tokens = ["rtc"', 'tokens = ["rct"'),
        ("allow = []", 'allow = ["everything"]'),
        ('expect = "allow"', 'expect = "allowed"'),
        ("request = { rtc", "request = { rct"),
        ('certificate = "tls.pem"', ""),
        ('name = "lesson-service"', 'name = "Lessons"'),
        ("[log]", "[logs]"),
    ],
)
def test_the_schema_finds_a_mistake(right: str, wrong: str) -> None:
    text = uncommented(SAMPLE.read_text())
    assert right in text
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(document(text.replace(right, wrong, 1)))


def test_the_schema_describes_every_key() -> None:
    keys = [
        (name, key, described)
        for name, definition in json_schema()["definitions"].items()
        for key, described in definition.get("properties", {}).items()
    ]
    assert len(keys) > 50
    assert [key for key in keys if not key[2].get("description")] == []


def comment_of(key: str, text: str) -> str:
    """Returns the lines above each place where the sample has a key."""
    lines = text.splitlines()
    found: list[str] = []
    for number, line in enumerate(lines):
        if re.match(rf"(# )?{key} = ", line):
            start = number
            while start and (lines[start - 1].startswith("#") or start == number):
                start -= 1
            found += lines[start:number]
    return " ".join(found)


def test_the_sample_has_the_limits_and_the_defaults_of_the_schema() -> None:
    text = SAMPLE.read_text()
    compared = 0
    for definition in json_schema()["definitions"].values():
        for key, described in definition.get("properties", {}).items():
            # "1 to 100000", "0s to 5m"
            for limits in re.findall(r"(\w+) to (\d\w*)", described["description"]):
                compared += 1
                assert all(limit in comment_of(key, text) for limit in limits), key
            default = described.get("default")
            if isinstance(default, str) and default:
                compared += 1
                assert f'{key} = "{default}"' in text, key
    assert compared > 15
