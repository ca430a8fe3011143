"""Changes single fields of protobuf messages, so that requests get past decoding."""

from collections.abc import Iterator
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from fuzz.mutating import Chance

_TEXTS: Final = (
    *("", "c", "classroom", "lesson-1", "lesson-*", "*", "0", "null", "alice", "7", " ", "\0"),
    *("\u00e9", "\U0001f600", "a" * 64, "a" * 65, "x" * 300, "007eJxTYAAA", "undefined"),
)
_NUMBERS: Final = (-1, 0, 1, 2, 3, 7, 59, 60, 3600, 86_400, 2**31 - 1, 2**32 - 1, 2**32, 2**62)


def change(message: Any, chance: Chance) -> None:
    """Changes up to three fields of a message or of the messages in it."""
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        places = list(_places(message, 0))
        if not places:
            return
        owner, field = chance.choice(places)
        if chance.random() < 0.2:
            owner.ClearField(field.name)
        else:
            _set(owner, field, chance)


def _places(message: Any, depth: int) -> Iterator[tuple[Any, FieldDescriptor]]:
    for field in message.DESCRIPTOR.fields:
        yield message, field
        if field.message_type and depth < 4:
            values = getattr(message, field.name) if field.is_repeated else [message]
            for value in list(values)[:3]:
                if field.is_repeated:
                    yield from _places(value, depth + 1)
                elif message.HasField(field.name):
                    yield from _places(getattr(message, field.name), depth + 1)


def _set(owner: Any, field: FieldDescriptor, chance: Chance) -> None:
    if field.message_type:
        if field.is_repeated:
            items = getattr(owner, field.name)
            added = items.add()
            if len(items) > 1:
                added.CopyFrom(items[0])
        else:
            getattr(owner, field.name).SetInParent()
        return
    value = _value(field, chance)
    if field.is_repeated:
        getattr(owner, field.name).append(value)
        return
    try:
        setattr(owner, field.name, value)
    except ValueError:
        # A number that the field cannot hold: the wire cannot bring it either.
        owner.ClearField(field.name)


def _value(field: FieldDescriptor, chance: Chance) -> Any:
    if field.type == FieldDescriptor.TYPE_STRING:
        return chance.choice(_TEXTS)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return chance.random() < 0.5
    if field.type == FieldDescriptor.TYPE_ENUM:
        return chance.choice((0, 1, 2, 3, 4, 99))
    if field.type == FieldDescriptor.TYPE_BYTES:
        return chance.randbytes(4)
    return chance.choice(_NUMBERS)
