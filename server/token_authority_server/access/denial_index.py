"""Finds the denials that can match a name or overlap a pattern without comparing all. Pure.

A pattern is found by one of its literal texts, the one that the fewest patterns of the list share:
`*-0042*` by `-0042`. A lookup depends on the length of the name and on how many different lengths
these texts have, not on the number of denials.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from token_authority_server.access.denial import Denial, DenialRule

# Patterns are printable ASCII (config.grants).
_AFTER_ALL: Final = "\x7f"
_BETWEEN: Final = "\n"


class Key(NamedTuple):
    """A text that is in every name that a pattern matches, and its place there."""

    place: Literal["name", "prefix", "suffix", "part"]
    text: str


Patterns = Callable[[Denial], Collection[str]]
"""Returns the patterns of a denial; a name that it applies to matches at least one of them."""


class KeyChooser:
    """Chooses for each denial the key that the fewest others have.

    Args:
        denials: All denials that are looked up together.
        patterns: Returns their patterns.
    """

    def __init__(self, denials: Iterable[Denial], patterns: Patterns) -> None:
        self._patterns = patterns
        self._counts = Counter(
            key for denial in denials for pattern in patterns(denial) for key in _keys(pattern)
        )

    def keys(self, denial: Denial) -> set[Key]:
        """Returns a key for each pattern of a denial."""
        return {min(_keys(text), key=self._counts.__getitem__) for text in self._patterns(denial)}

    def shared_by(self, denial: Denial) -> int:
        """Returns how many patterns are found with a denial's."""
        return max(self._counts[key] for key in self.keys(denial))


def _keys(pattern: str) -> list[Key]:
    """Returns the keys of a pattern, those first that are cheap to look up."""
    first, *rest = pattern.split("*")
    if not rest:
        return [Key("name", first)]
    *middle, last = rest
    keys = [Key("prefix", first)] if first else []
    if last:
        keys.append(Key("suffix", last))
    keys += [Key("part", part) for part in middle if part]
    return keys or [Key("prefix", "")]


class NameIndex:
    """Rules by the names that their patterns match.

    Args:
        rules: The rules, the latest end first.
        chooser: Chooses their keys.
    """

    def __init__(self, rules: Iterable[DenialRule], chooser: KeyChooser) -> None:
        self._rules: dict[str, dict[str, list[DenialRule]]] = {
            "name": {},
            "prefix": {},
            "suffix": {},
            "part": {},
        }
        for rule in rules:
            for place, text in chooser.keys(rule.denial):
                self._rules[place].setdefault(text, []).append(rule)
        self._lengths = {
            place: sorted(set(map(len, found))) for place, found in self._rules.items()
        }

    def candidates(self, name: str) -> Iterator[Iterable[DenialRule]]:
        """Yields the rules that can match a name; of each iterable, the latest end first."""
        names, prefixes, suffixes, parts = self._rules.values()
        _, of_prefixes, of_suffixes, of_parts = self._lengths.values()
        if name in names:
            yield names[name]
        for length in of_prefixes:
            if found := prefixes.get(name[:length]):
                yield found
        for length in of_suffixes:
            if found := suffixes.get(name[-length:]):
                yield found
        for length in of_parts:
            texts = {name[start : start + length] for start in range(len(name) - length + 1)}
            for text in texts & parts.keys():
                yield parts[text]


class OverlapIndex:
    """Rules by the patterns that their channel, a name or a pattern, has a name in common with.

    Args:
        rules: The rules, the latest end first; those without a channel are left out.
    """

    def __init__(self, rules: Iterable[DenialRule]) -> None:
        names: list[str] = []
        self._by_start: dict[int, DenialRule] = {}
        start = len(_BETWEEN)
        by_first: dict[str, list[DenialRule]] = {}
        by_last: dict[str, list[DenialRule]] = {}
        for rule in rules:
            if rule.denial.channel is None:
                continue
            first, *rest = rule.denial.channel.split("*")
            if rest:
                by_first.setdefault(first, []).append(rule)
                by_last.setdefault(rest[-1][::-1], []).append(rule)
            else:
                names.append(first)
                self._by_start[start] = rule
                start += len(first) + len(_BETWEEN)
        self._by_first = _Beginnings(by_first)
        self._by_last = _Beginnings(by_last)
        # str.find in one text takes microseconds where 10,000 comparisons take milliseconds.
        self._text = _BETWEEN.join(["", *names, ""])

    def candidates(self, pattern: str) -> Iterator[Iterable[DenialRule]]:
        """Yields the rules that can overlap a pattern, which has a `*`; see `NameIndex`."""
        yield self._of_names(pattern)
        firsts = self._by_first.agreeing(pattern.partition("*")[0])
        lasts = self._by_last.agreeing(pattern.rpartition("*")[2][::-1])
        if len(firsts) <= len(lasts):
            yield from map(self._by_first.rules.__getitem__, firsts)
        else:
            yield from map(self._by_last.rules.__getitem__, lasts)

    def _of_names(self, pattern: str) -> Iterator[DenialRule]:
        """Yields the rules for names with the longest literal text of a pattern."""
        first, *middle, last = pattern.split("*")
        longest = max(_BETWEEN + first, *middle, last + _BETWEEN, key=len)
        found = self._text.find(longest)
        while found >= 0:
            # The text begins with a separator, which may be the beginning of what is found.
            start = self._text.rfind(_BETWEEN, 0, found + 1) + 1
            if rule := self._by_start.get(start):
                yield rule
            end = self._text.find(_BETWEEN, start)
            found = self._text.find(longest, max(end, found + 1))


class _Beginnings:
    """Rules by how a text begins."""

    def __init__(self, rules: Mapping[str, Sequence[DenialRule]]) -> None:
        self.rules = rules
        self._sorted = sorted(rules)

    def agreeing(self, text: str) -> list[str]:
        """Returns the keys of `rules` that begin with a text, or that it begins with."""
        first = bisect_left(self._sorted, text)
        last = bisect_left(self._sorted, text + _AFTER_ALL)
        shorter = [text[:length] for length in range(len(text)) if text[:length] in self.rules]
        return shorter + self._sorted[first:last]
