"""Reads the contract's rules from their image, independently of the server."""

from collections.abc import Iterator
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from support.installing import ROOT

PACKAGE: Final = "token_authority.v1"
FILES: Final = FileDescriptorSet.FromString(
    (ROOT / "protos/token_authority.rules.binpb").read_bytes()
).file
POOL: Final = DescriptorPool()
for file in FILES:
    POOL.Add(file)


def methods() -> dict[str, MethodDescriptor]:
    """Returns every method of the contract by its path."""
    return {
        f"/{service.full_name}/{method.name}": method
        for file in FILES
        if file.package == PACKAGE
        for service in POOL.FindFileByName(file.name).services_by_name.values()
        for method in service.methods
    }


def is_ours(message: Descriptor | None) -> bool:
    """Whether a field's message is one of the contract's, not protobuf's own."""
    return message is not None and message.file.package == PACKAGE


def rules(described: Any, name: str = "field") -> Any:
    """Returns the rules on a field, or with `name` "oneof" on a oneof."""
    # The rules are in its options, which the default pool cannot read.
    options = described.GetOptions()
    options_type = GetMessageClass(POOL.FindMessageTypeByName(options.DESCRIPTOR.full_name))
    read: Any = options_type.FromString(options.SerializeToString())
    extension: Any = POOL.FindExtensionByName(f"buf.validate.{name}")
    return read.Extensions[extension]


def limits(field_rules: Any) -> dict[str, Any]:
    """Returns the limits of a field by rule; for a list, those of the list and not of its items."""
    kind = field_rules.WhichOneof("type")
    if kind is None:
        return {}
    found: list[tuple[FieldDescriptor, Any]] = getattr(field_rules, kind).ListFields()
    return {field.name: limit for field, limit in found if field.name != "items"}


def reasons(message_name: str) -> set[tuple[str, str]]:
    """Returns path and reason of every rule on the fields of a message and its sub-messages.

    An item of a list has `[]` in its path.
    """
    return set(_message_reasons(POOL.FindMessageTypeByName(message_name), ""))


def _message_reasons(message: Descriptor, prefix: str) -> Iterator[tuple[str, str]]:
    for oneof in message.oneofs:
        if rules(oneof, "oneof").required:
            yield prefix + oneof.name, "REQUIRED"
    for field in message.fields:
        yield from _field_reasons(rules(field), prefix + field.name)
        nested = field.message_type
        if nested and is_ours(nested):
            items = "[]" if field.is_repeated else ""
            yield from _message_reasons(nested, f"{prefix}{field.name}{items}.")


def _field_reasons(field_rules: Any, path: str) -> Iterator[tuple[str, str]]:
    if field_rules.required:
        yield path, "REQUIRED"
    kind, names = field_rules.WhichOneof("type"), {*limits(field_rules)}
    if {"gte", "lte"} <= names:
        # One rule with two bounds.
        names = names - {"gte", "lte"} | {"gte_lte"}
    for name in names:
        yield path, f"{kind}_{name}".upper()
    if kind == "repeated" and field_rules.repeated.HasField("items"):
        yield from _field_reasons(field_rules.repeated.items, path + "[]")
