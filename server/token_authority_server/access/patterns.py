"""Patterns: exact strings and globs in which only `*` is special. Pure."""

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


class Glob:
    """One pattern, for lists of thousands: cheap to make, and comparable with another pattern."""

    __slots__ = ("_lower", "_middle", "first", "last", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.first, *rest = text.split("*")
        """The prefix of matching texts; the whole text if there is no `*`."""
        self.last = rest[-1] if rest else None
        """The suffix of matching texts; None if there is no `*`."""
        self._middle = rest[:-1]
        self._lower: Glob | None = None

    @property
    def lower(self) -> "Glob":
        """The pattern in lower case."""
        if self._lower is None:
            self._lower = Glob(self.text.lower())
        return self._lower

    def matches(self, text: str) -> bool:
        """Whether the pattern matches the whole text."""
        if self.last is None:
            return text == self.first
        if not (text.startswith(self.first) and text.endswith(self.last)):
            return False
        # Each part as early as possible leaves the most room for the others.
        position, end = len(self.first), len(text) - len(self.last)
        for part in self._middle:
            position = text.find(part, position, end)
            if position < 0:
                return False
            position += len(part)
        return position <= end

    def overlaps(self, other: "Glob") -> bool:
        """Whether a text exists that both patterns match, of any length.

        With a `*` in each, the parts between can follow one another: only the ends can conflict.
        """
        if self.last is None:
            return other.matches(self.first)
        if other.last is None:
            return self.matches(other.first)
        return _agree(self.first, other.first) and _agree(self.last[::-1], other.last[::-1])


def _agree(one: str, other: str) -> bool:
    """Whether one text begins with the other."""
    return one.startswith(other) or other.startswith(one)


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
