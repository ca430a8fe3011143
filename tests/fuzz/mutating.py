"""Changes bytes at random, in the ways that break parsers. The same seed makes the same bytes."""

import random
from collections.abc import Callable, Sequence
from typing import Final

Chance = random.Random
_VALUES: Final = (0, 1, 0x0A, 0x22, 0x2E, 0x7F, 0x80, 0xC3, 0xFF)
_NUMBERS: Final = (b"0", b"-1", b"1e999", b"4294967296", b"9" * 25, b"NaN", b"null")


def _bit(data: bytearray, chance: Chance) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _byte(data: bytearray, chance: Chance) -> None:
    data[chance.randrange(len(data))] = chance.choice(_VALUES)


def _insert(data: bytearray, chance: Chance) -> None:
    at = chance.randrange(len(data) + 1)
    data[at:at] = chance.randbytes(chance.choice((1, 1, 2, 4, 9)))


def _remove(data: bytearray, chance: Chance) -> None:
    at = chance.randrange(len(data))
    del data[at : at + chance.choice((1, 1, 2, 8, 64))]


def _repeat(data: bytearray, chance: Chance) -> None:
    at = chance.randrange(len(data))
    piece = data[at : at + chance.choice((1, 2, 8, 40))]
    data[at:at] = piece * chance.choice((1, 1, 2, 30))


def _cut(data: bytearray, chance: Chance) -> None:
    del data[chance.randrange(len(data)) :]


def _number(data: bytearray, chance: Chance) -> None:
    """Replaces digits of a text by a number that few expect."""
    digits = [at for at, value in enumerate(data[:2000]) if 0x30 <= value <= 0x39]
    if digits:
        at = chance.choice(digits)
        data[at : at + 1] = chance.choice(_NUMBERS)


def _nest(data: bytearray, chance: Chance) -> None:
    """Opens more lists or objects than a recursive parser can follow."""
    at = chance.randrange(len(data) + 1)
    data[at:at] = chance.choice((b"[", b'{"a":', b"(")) * chance.choice((3, 5_000))


_CHANGES: Final[Sequence[Callable[[bytearray, Chance], None]]] = (
    *(_bit, _bit, _byte, _byte, _insert, _insert),
    *(_remove, _remove, _repeat, _cut, _number),
)


def mutated(seeds: Sequence[bytes], chance: Chance) -> bytes:
    """Returns one of the seeds after none to eight changes; sometimes two seeds in one."""
    data = bytearray(chance.choice(seeds))
    if chance.random() < 0.1:
        other = chance.choice(seeds)
        at = chance.randrange(len(data) + 1)
        data[at:] = other[chance.randrange(len(other) + 1) :]
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3, 8))):
        if data:
            chance.choice(_CHANGES)(data, chance)
    if chance.random() < 0.01:
        _nest(data, chance)
    return bytes(data)
