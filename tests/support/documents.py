"""Reads Markdown: its examples, and references that lead nowhere."""

import asyncio
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from support.naming import ROOT

_LINK: Final = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
_MAKE: Final = re.compile(r"(?:`|^)make ([a-z][a-z-]*)", re.MULTILINE)
_TEST: Final = re.compile(r"`(tests/[\w/.-]+\.py)(?:::(\w+))?`")
_FENCE: Final = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def documents() -> list[Path]:
    """Returns every Markdown file of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split()]


def targets() -> set[str]:
    """Returns the targets of the Makefile."""
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def dangling(text: str, folder: Path) -> Iterator[str]:
    """Yields every reference of a document that leads nowhere.

    Args:
        text: The document.
        folder: Where it is; links are relative to it.
    """
    for path, anchor in _LINK.findall(text):
        linked = folder / path if path else None
        if linked and not linked.exists():
            yield f"no such file: {path}"
        elif anchor and anchor not in anchors(linked.read_text() if linked else text):
            yield f"no such heading: {path}#{anchor}"
    for target in _MAKE.findall(text):
        if target not in targets():
            yield f"no such make target: {target}"
    for path, name in _TEST.findall(text):
        if not (ROOT / path).is_file():
            yield f"no such test file: {path}"
        elif name and not re.search(rf"def {name}\(", (ROOT / path).read_text()):
            yield f"no such test: {path}::{name}"


def anchors(text: str) -> set[str]:
    """Returns the anchors that GitHub gives a document's headings."""
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def blocks(language: str, *texts: str) -> list[str]:
    """Returns the fenced code blocks of a language."""
    return [
        block
        for text in texts
        for block in re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    ]


def section(text: str, title: str) -> str:
    """Returns the text under a heading, up to the next one."""
    return re.split(r"^#+ ", text.split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def shape(text: str) -> str:
    """Replaces everything that differs from run to run: tokens, ids, times."""
    text = re.sub(r"007eJ[\w+/=]+", "007…", text)
    text = re.sub(r"(NETLESS(?:SDK|ROOM|TASK)_)[\w-]+", r"\1…", text)
    text = re.sub(r"\b[0-9a-f]{32}\b", "…", text)
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "…", text)


async def run(*arguments: str, **environment: str) -> str:
    """Runs a command and returns what a terminal would show."""
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment},
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    return output.decode()
