"""The harness, with shell scripts as languages, which call no server."""

import time
from pathlib import Path

import pytest

from run import FILES, Language, languages
from support.waiting import until

GREEN = "#!/bin/sh\nset -eu\n"


def folder(path: Path, **scripts: str) -> Path:
    """Creates a language whose scripts do only what is given here."""
    path.mkdir()
    for name in FILES:
        file = path / name
        file.write_text(GREEN + scripts.get(name.removesuffix(".sh"), ""))
        file.chmod(0o755)
    return path


def proved(path: Path) -> Language:
    language = Language(path, path / "log")
    language.prove()
    return language


def test_a_toolchain_that_cannot_be_had_leaves_a_syntax_check(tmp_path: Path) -> None:
    language = proved(folder(tmp_path / "c", install="echo noise\necho 'no | compiler'\nexit 1"))
    assert not language.problem
    assert language.row == {
        **dict.fromkeys(language.row, "-"),
        "toolchain": "not available: no / compiler",
        "generated": "✓",
        "built": "syntax-checked",
    }


def test_nothing_is_left_of_a_run_before(tmp_path: Path) -> None:
    path = folder(tmp_path / "c", install="exit 1", generate='mkdir "$(dirname "$0")/gen"')
    (path / "gen").mkdir()
    (path / "build").mkdir()
    assert proved(path).row["generated"] == "✓"
    assert not (path / "build").exists()


@pytest.mark.parametrize(("script", "column"), [("generate", "generated"), ("build", "built")])
def test_a_script_that_fails_ends_it_and_is_named(tmp_path: Path, script: str, column: str) -> None:
    path = folder(tmp_path / "c", install="echo C 17", **{script: "echo why >&2\nexit 4"})
    language = proved(path)
    assert language.row["toolchain"] == "C 17"
    assert language.row[column] == "✗"
    assert language.row["issued"] == "-"
    assert language.problem == f"{column}: {script}.sh exited with 4 (see {path / 'log'})"
    assert "why" in (path / "log").read_text()


async def test_a_daemon_that_a_script_leaves_behind_is_neither_awaited_nor_left(
    tmp_path: Path,
) -> None:
    path = folder(tmp_path / "c", install='sleep 50 &\necho $! >"$(dirname "$0")/pid"\nexit 1')
    started = time.monotonic()
    proved(path)
    assert time.monotonic() - started < 30
    status = Path(f"/proc/{(path / 'pid').read_text().strip()}/status")
    # SIGKILL takes effect a moment after the system call returns.
    await until(lambda: is_dead(status))


def is_dead(status: Path) -> bool:
    """Whether a process is gone, or a zombie that its parent has not reaped."""
    try:
        return "State:\tZ" in status.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_client_that_logs_a_token_fails(tmp_path: Path) -> None:
    path = folder(tmp_path / "c", install="echo C 17", run="echo '{}'\necho 007eJxx >&2")
    language = proved(path)
    printed = "run.sh printed a token to standard error"
    assert language.problem == f"issued: {printed} (see {path / 'log'})"


def test_a_language_that_lacks_a_file_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path / "c")
    (tmp_path / "logs").mkdir()
    assert languages(tmp_path) == ["c"]
    (path / "build.sh").unlink()
    with pytest.raises(SystemExit, match=r"c lacks build\.sh"):
        languages(tmp_path)
