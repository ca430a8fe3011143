"""Patterns of grants: exact strings and globs in which only `*` is special. Pure."""

import re
from collections.abc import Callable, Iterable


class Patterns:
    """Texts and globs: `*` stands for any characters, nothing else is special.

    Matching is case-sensitive and on the whole text. Channel names may hold `[`, `]`, `?` and `!`,
    so these stand for themselves (fnmatch would read them).
    """

    __slots__ = ("match", "texts")

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = tuple(texts)
        # Ready-made methods of frozenset and re.Pattern: a decision calls this for every grant.
        self.match: Callable[[str], object]
        """Whether one of the patterns is for a text: true or false, if not a bool."""
        if "*" in self.texts:
            self.match = _everything
        elif any("*" in text for text in self.texts):
            self.match = re.compile("|".join(map(_regex, self.texts)), re.DOTALL).fullmatch
        else:
            self.match = frozenset(self.texts).__contains__

    def __repr__(self) -> str:
        return f"Patterns({self.texts!r})"


def _everything(_: str) -> bool:
    return True


def _regex(glob: str) -> str:
    first, *rest = map(re.escape, glob.split("*"))
    if not rest:
        return first
    *middle, last = rest
    # Atomic groups: each `*` takes as little as it can and never reconsiders, which finds a match
    # wherever there is one and takes time in proportion to the text, whatever the pattern.
    return first + "".join(f"(?>.*?{part})" for part in middle if part) + f".*{last}"
