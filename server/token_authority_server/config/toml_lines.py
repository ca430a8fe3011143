"""Finds the line of a TOML file that a key or table is on; tomllib does not report it."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

Keys: TypeAlias = tuple[str | int, ...]
"""The path of a value: keys of tables, and indices of lists."""

_KEY: Final = r"""(?:[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*')"""
_DOTTED: Final = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_STATEMENT: Final = re.compile(
    rf"[ \t]*(?:(?P<list>\[\[)|(?P<table>\[))?[ \t]*(?P<keys>{_DOTTED})[ \t]*(?P<end>=|\]\]?)"
)
_TOKEN: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|' + r"'''.*?'{3,5}|"
    r'"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'|#[^\n]*|[\[\]{},\n]|[ \t\r]+|[^\[\]{},\n\"'# \t\r]+|.",
    re.DOTALL,
)


def line_of(lines: Mapping[Keys, int], keys: Keys) -> int | None:
    """Returns the line of a value, or of the nearest table around it; None if there is none.

    A table without a header, like `[a]` above `[a.b]`, begins with the first table in it.
    """
    for length in range(len(keys), 0, -1):
        if keys[:length] in lines:
            return lines[keys[:length]]
    for length in range(len(keys), 0, -1):
        if inside := [line for found, line in lines.items() if found[:length] == keys[:length]]:
            return min(inside)
    return None


def lines_in(text: str) -> Iterator[tuple[Keys, int]]:
    """Yields the path and the line of each table, key, and element of a list."""
    counts: Counter[Keys] = Counter()
    table: Keys = ()
    position, line = 0, 1
    while position < len(text):
        found = _STATEMENT.match(text, position)
        if found and found["end"] != "=" and (found["list"] or found["table"]):
            table = _resolve(_split(found["keys"]), counts, is_list=bool(found["list"]))
            yield table, line
        elif found and found["end"] == "=":
            keys = (*table, *_split(found["keys"]))
            yield keys, line
            position = found.end()
            for token, index, depth in _value(text, position):
                if depth == 1 and index is not None:
                    yield (*keys, index), line
                position += len(token)
                line += token.count("\n")
            continue
        end = text.find("\n", position)
        position, line = (len(text) if end < 0 else end + 1), line + 1


def _value(text: str, position: int) -> Iterator[tuple[str, int | None, int]]:
    """Yields the tokens of a value, up to and including the line break that ends it.

    Each comes with the index of the list element that begins with it, or None, and the nesting
    depth before it.
    """
    depth, index, is_new, is_list = 0, 0, False, False
    for found in _TOKEN.finditer(text, position):
        part = found[0]
        is_space = not part.strip() or part.startswith("#")
        begins = depth == 1 and is_list and is_new and not is_space and part not in ",]"
        yield part, (index if begins else None), depth
        if part == "\n" and not depth:
            return
        is_new = is_new and not begins
        if part in {"[", "{"}:
            if not depth:
                is_list = is_new = part == "["
            depth += 1
        elif part in {"]", "}"}:
            depth -= 1
        elif part == "," and depth == 1:
            index, is_new = index + 1, True


def _split(dotted: str) -> tuple[str, ...]:
    return tuple(key[1:-1] if key[0] in "\"'" else key for key in re.findall(_KEY, dotted))


def _resolve(names: tuple[str, ...], counts: "Counter[Keys]", *, is_list: bool) -> Keys:
    """Adds the index of the last row to each name that is a list of tables."""
    keys: Keys = ()
    for name in names[:-1]:
        keys = (*keys, name)
        if counts[keys]:
            keys = (*keys, counts[keys] - 1)
    keys = (*keys, names[-1])
    if is_list:
        counts[keys] += 1
        keys = (*keys, counts[keys] - 1)
    return keys
