"""Tests the contract in every language that has a folder here, and writes the table of results.

    make polyglot
    python client/polyglot/run.py [LANGUAGE …]

A folder with a run.sh is a language (README.md here describes its files). Each client is generated
and built from clean sources and run against a real server with TLS and an API key, with the right
CA and with a wrong one. The table is written to README.md here, unless a cell
that passed before no longer does.

Exit code: 0, or 1 if anything failed or got worse.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

POLYGLOT: Final = Path(__file__).parent
ROOT: Final = POLYGLOT.parents[1]
# The tests' decoder shares no code with the encoder.
sys.path.insert(0, str(ROOT / "tests"))

import table  # noqa: E402
from authority import REFUSED, TOKEN, RunningAuthority, serving  # noqa: E402
from scripts import Done, run_script  # noqa: E402
from sessions import check_sessions  # noqa: E402
from stumbling import stumbling  # noqa: E402
from table import ABSENT, COLUMNS, FAILED, PASSED, Row  # noqa: E402

LOGS: Final = POLYGLOT / "logs"
FILES: Final = ("README.md", "install.sh", "generate.sh", "build.sh", "run.sh")


class StepFailedError(Exception):
    """A script or a check failed; the text names the column."""


class Language:
    """One language's folder and its results.

    Args:
        folder: The folder with its scripts.
        log: The file for their output.
    """

    def __init__(self, folder: Path, log: Path) -> None:
        self.row: Row = dict.fromkeys(COLUMNS, ABSENT)
        self.problem = ""
        self._folder = folder
        self._log = log
        self._log.write_text("")

    def prove(self) -> None:
        """Runs all steps and fills the row, up to the first cell that fails."""
        installed = self._install()
        # Output of an earlier run must not let this one pass.
        for made in ("gen", "build"):
            shutil.rmtree(self._folder / made, ignore_errors=True)
        try:
            self._step("generated", "generate.sh")
            self._step("built", "build.sh")
            if not installed:
                self.row["built"] = "syntax-checked"
                return
            with serving() as authority:
                self._check_answer(authority, self._ask(authority))
            self._check_wrong_ca()
            self._check_retries()
        except StepFailedError as failure:
            self.problem = str(failure)

    def _install(self) -> bool:
        """Installs the toolchain, named in the last line of output; returns whether it is there."""
        done = self._script("install.sh")
        said = (done.out.strip().splitlines() or [""])[-1].replace("|", "/")
        if done.code:
            self.row["toolchain"] = f"not available: {said or 'see the log'}"
        else:
            self.row["toolchain"] = said or "installed"
        return not done.code

    def _step(self, column: str, script: str) -> None:
        """Runs a script, which must succeed."""
        done = self._script(script)
        self._settle(column, not done.code, f"{script} exited with {done.code}")

    def _settle(self, column: str, passed: bool, problem: str) -> None:
        """Writes a cell.

        Raises:
            StepFailedError: It did not pass.
        """
        self.row[column] = PASSED if passed else FAILED
        if not passed:
            raise StepFailedError(f"{column}: {problem} (see {self._log})")

    def _ask(self, authority: RunningAuthority) -> dict[str, Any]:
        """Runs the client with the right CA; returns the JSON object that it prints."""
        done = self._script("run.sh", **authority.environment(authority.ca))
        shown = TOKEN.search(done.err)
        self._settle("issued", not shown, "run.sh printed a token to standard error")
        answer: Any = None
        try:
            answer = json.loads(done.out)
        except ValueError:
            self._settle("issued", False, "run.sh did not print one JSON object")
        self._settle("issued", not done.code and isinstance(answer, dict), "run.sh failed")
        checked: dict[str, Any] = answer
        return checked

    def _check_answer(self, authority: RunningAuthority, answer: dict[str, Any]) -> None:
        """Checks what the client printed."""
        problem = _problem(authority.check_tokens, answer)
        self._settle("issued", not problem, problem)
        if "sessions" in answer:
            problem = _problem(lambda shown: check_sessions(authority, shown), answer)
            self._settle("session", not problem, problem)
        refused = answer.get("refused")
        self._settle("error read", refused == REFUSED, f"refused is {refused}")
        # protovalidate in the client must name the same field and rule as the server.
        if "local" in answer:
            same = {name: REFUSED[name] for name in ("field", "violation")}
            local = answer["local"]
            self._settle("checked locally", local == same, f"local is {local}")
        library = answer.get("verified_by")
        self.row["verified by"] = "our decoder"
        if library:
            problem = _problem(authority.check_parsed, answer)
            self._settle("verified by", not problem, problem)
            self.row["verified by"] = f"{PASSED} {library}"

    def _check_wrong_ca(self) -> None:
        """Checks that a client with another CA fails before it sends its key."""
        with serving() as authority:
            done = self._script("run.sh", **authority.environment(authority.wrong_ca))
        # The log is complete only after the server has stopped.
        reached = authority.calls()
        fooled = not done.code or reached or TOKEN.search(done.out + done.err)
        self._settle("TLS", not fooled, f"a wrong CA was accepted, {reached} calls were made")

    def _check_retries(self) -> None:
        """Checks that a client gets its tokens although the server is unavailable at first."""
        with serving() as authority, stumbling(authority.target, authority.ca.parent) as away:
            target, calls = away
            environment = authority.environment(authority.ca) | {"TOKEN_AUTHORITY_TARGET": target}
            done = self._script("run.sh", **environment)
            problem = _problem(lambda text: authority.check_tokens(json.loads(text)), done.out)
        once = [path for path, count in calls.items() if count < 2]
        self._settle("retried", not (done.code or problem or once), problem or f"once: {once}")

    def _script(self, script: str, **environment: str) -> Done:
        return run_script(self._folder, script, self._log, environment)


def _problem(check: Any, answer: Any) -> str:
    """Runs a check; returns the problem, or an empty string."""
    try:
        check(answer)
    except Exception as error:  # noqa: BLE001  # any output of a client is possible
        return f"{type(error).__name__}: {error}"
    return ""


def languages(folder: Path) -> list[str]:
    """Returns the names of the folders that are languages.

    Raises:
        SystemExit: One of them lacks a file.
    """
    found = sorted(script.parent.name for script in folder.glob("*/run.sh"))
    for name in found:
        if missing := [file for file in FILES if not (folder / name / file).exists()]:
            raise SystemExit(f"{folder / name} lacks {', '.join(missing)}")
    return found


def main(arguments: Sequence[str]) -> int:
    """Tests the named languages, or all; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("language", nargs="*", help="a folder's name (default: all)")
    known = languages(POLYGLOT)
    named = parser.parse_args(arguments).language or known
    if unknown := sorted(set(named) - set(known)):
        parser.error(f"no such language: {', '.join(unknown)}; there is {', '.join(known)}")
    LOGS.mkdir(exist_ok=True)
    before = table.read(POLYGLOT / "README.md")
    # Rows of languages that were not named stay, unless the folder is gone.
    after = {name: row for name, row in before.items() if name in known and name not in named}
    failed = 0
    for name in named:
        print(f"==> {name}", flush=True)
        language = Language(POLYGLOT / name, LOGS / f"{name}.log")
        language.prove()
        after[name] = language.row
        print("    " + ", ".join(f"{key} {language.row[key]}" for key in COLUMNS[1:]))
        if language.problem:
            failed += 1
            print(f"    {language.problem}")
    worse = table.regressions(before, after)
    for line in worse:
        print(f"worse than the committed table: {line}")
    if not worse:
        table.write(POLYGLOT / "README.md", after)
    print(f"{len(named) - failed} passed, {failed} failed")
    return 1 if failed or worse else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
