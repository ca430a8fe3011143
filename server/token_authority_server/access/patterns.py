"""Patterns of grants: exact strings and globs in which only `*` is special. Pure."""

import re
from collections.abc import Callable, Iterable
from typing import Final

# Patterns are printable ASCII (config.grants).
_IN_NO_PATTERN: Final = "\0"


class Patterns:
    """Exact strings and globs: `*` matches any characters, nothing else is special.

    Matching is case-sensitive and covers the whole text. Channel names may contain `[`, `]`, `?`
    and `!`, so these match only themselves (fnmatch would interpret them).
    """

    __slots__ = ("match", "texts")

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = tuple(texts)
        # Built-in methods of frozenset and re.Pattern: every decision calls this for each grant.
        self.match: Callable[[str], object]
        """Whether a pattern matches a text; returns a truthy or falsy value."""
        if "*" in self.texts:
            self.match = _everything
        elif any("*" in text for text in self.texts):
            self.match = re.compile("|".join(map(_regex, self.texts)), re.DOTALL).fullmatch
        else:
            self.match = frozenset(self.texts).__contains__

    def includes(self, pattern: str) -> bool:
        """Tells whether a pattern here matches every name that another pattern matches.

        In `pattern`, `*` matches any characters too. Each `*` is replaced by a character that no
        pattern here contains, so that only a `*` can match it; that `*` then matches every text in
        its place. Exact unless the patterns here contain every character of names.
        """
        return bool(self.match(pattern.replace("*", _IN_NO_PATTERN)))

    def __repr__(self) -> str:
        return f"Patterns({self.texts!r})"


def _everything(_: str) -> bool:
    return True


def _regex(glob: str) -> str:
    first, *rest = map(re.escape, glob.split("*"))
    if not rest:
        return first
    *middle, last = rest
    # Atomic groups: each `*` matches as little as possible and never backtracks. That finds every
    # match, in time linear in the text for any pattern.
    return first + "".join(f"(?>.*?{part})" for part in middle if part) + f".*{last}"
