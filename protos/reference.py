"""Writes the reference page of the contract from the image with the rules.

    python reference.py token_authority.rules.binpb >REFERENCE.md

The text comes from the comments of the .proto files, everything else from descriptors.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

PACKAGE = "token_authority.v1"
WHO = "Who may call it: "
WELL_KNOWN = "https://protobuf.dev/reference/protobuf/google.protobuf/"


class Contract:
    """The services, messages and enums of the contract, with their comments and rules.

    Args:
        image: A FileDescriptorSet with comments and rules.
    """

    def __init__(self, image: bytes) -> None:
        self._pool = DescriptorPool()
        self._comments: dict[str | None, str] = {}
        names: list[str] = []
        for file in FileDescriptorSet.FromString(image).file:
            self._pool.Add(file)
            if file.package == PACKAGE:
                names.append(file.name)
                self._comments |= {
                    _name_at(file, location.path): location.leading_comments
                    for location in file.source_code_info.location
                    if location.leading_comments
                }
        files = [self._pool.FindFileByName(name) for name in names]
        services = [service for file in files for service in file.services_by_name.values()]
        # The most important service has the most methods.
        self.services = sorted(services, key=lambda service: -len(service.methods))
        # Files in the order of the methods' requests, then the files that they share.
        asked = [method.input_type.file for service in self.services for method in service.methods]
        self.files = [
            file
            for file in dict.fromkeys([*asked, *files])
            if file.message_types_by_name or file.enum_types_by_name
        ]

    def comment(self, name: str = "") -> list[str]:
        """Returns the paragraphs of a comment, in Markdown.

        Args:
            name: `Message.field` or `Enum.VALUE`; "" for the whole contract.
        """
        text = self._comments[name].strip()
        return [self._marked_up(" ".join(part.split())) for part in text.split("\n\n")]

    def text(self, name: str) -> str:
        """Returns a comment as one paragraph, for a table cell."""
        return " ".join(self.comment(name))

    def rules(self, described: Any, name: str = "field") -> Any:
        """Returns the rules on a field, or with `name` "oneof" on a oneof."""
        # The rules are in its options, which the default pool cannot read.
        options = described.GetOptions()
        kind: Any = GetMessageClass(self._pool.FindMessageTypeByName(options.DESCRIPTOR.full_name))
        extension = self._pool.FindExtensionByName(f"buf.validate.{name}")
        return kind.FromString(options.SerializeToString()).Extensions[extension]

    def _marked_up(self, text: str) -> str:
        """Links names of the contract and escapes characters that Markdown would interpret."""

        def link(match: re.Match[str]) -> str:
            name = match[0]
            # A single word such as Grant may be ordinary text.
            return (
                linked(name) if name in self._comments and re.search("[a-z][A-Z]", name) else name
            )

        parts = re.split(r"(`[^`]*`)", text)
        for index in range(0, len(parts), 2):
            escaped = re.sub(r"[<*]", r"\\\g<0>", parts[index])
            parts[index] = re.sub(r"\b[A-Z]\w+\b", link, escaped)
        return "".join(parts)


def _name_at(file: FileDescriptorProto, path: Sequence[int]) -> str | None:
    """Returns the name at a SourceCodeInfo path: `Message.field`, or "" for the package.

    A path goes through descriptor.proto: field number, index, field number, index, … The result is
    None if there is no name, as for an option.
    """
    if len(path) % 2:
        return "" if list(path) == [FileDescriptorProto.PACKAGE_FIELD_NUMBER] else None
    names: list[str] = []
    here: Any = file
    for number, index in zip(path[::2], path[1::2], strict=True):
        field = here.DESCRIPTOR.fields_by_number.get(number)
        if field is None or field.message_type is None or not field.is_repeated:
            return None
        here = getattr(here, field.name)[index]
        names.append(here.name)
    return ".".join(names)


def linked(name: str) -> str:
    """Returns a link to the section of a message, enum or service."""
    return f"[{name}](#{name.lower()})"


def table(*rows: Sequence[str]) -> Iterator[str]:
    """Yields the lines of a table; the first row is the header."""
    for index, row in enumerate(rows):
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
        if index == 0:
            yield "|---" * len(row) + "|"
    yield ""


def type_text(field: FieldDescriptor) -> str:
    """Returns a field's type with a link."""
    named = field.message_type or field.enum_type
    if named is None:
        text = Field.Type.Name(Field.Type.ValueType(field.type)).removeprefix("TYPE_").lower()
    elif named.file.package == PACKAGE:
        text = linked(named.name)
    else:
        text = f"[{named.name}]({WELL_KNOWN}#{named.name.lower()})"
    return f"list of {text}" if field.is_repeated else text


def limit_text(limit: Any) -> str:
    """Returns the limit of a rule as text."""
    if isinstance(limit, str):
        return f" `{limit}`"
    if isinstance(limit, int):
        return "" if limit is True else f" {limit}"
    if hasattr(limit, "ToJsonString"):
        return f" {limit.ToJsonString()}"
    return " " + ", ".join(map(str, limit))


def rule_texts(rules: Any) -> Iterator[str]:
    """Yields the rules on a field as text."""
    if rules.required:
        yield "`REQUIRED`"
    kind = rules.WhichOneof("type")
    if kind is None:
        return
    limits = {field.name: limit for field, limit in getattr(rules, kind).ListFields()}
    if {"gte", "lte"} <= limits.keys():
        ends = limit_text(limits.pop("gte")), limit_text(limits.pop("lte"))
        yield f"`{kind.upper()}_GTE_LTE`{' to'.join(ends)}"
    items = limits.pop("items", None)
    for name, limit in limits.items():
        yield f"`{kind.upper()}_{name.upper()}`{limit_text(limit)}"
    if items is not None:
        yield f"each {', '.join(rule_texts(items))}"


def services(contract: Contract) -> Iterator[str]:
    """Yields the services with their methods."""
    for service in contract.services:
        yield f"### {service.name}\n"
        yield from (f"{part}\n" for part in contract.comment(service.name))
        rows = [("method", "description", "who may call it")]
        for method in service.methods:
            parts = contract.comment(f"{service.name}.{method.name}")
            who = [part.removeprefix(WHO) for part in parts if part.startswith(WHO)]
            what = [part for part in parts if not part.startswith(WHO)]
            ends = f"{linked(method.input_type.name)} → {linked(method.output_type.name)}"
            rows.append((f"**{method.name}**", " ".join([*what, ends]), " ".join(who)))
        yield from table(*rows)


def message(contract: Contract, described: Descriptor) -> Iterator[str]:
    """Yields the section of a message."""
    yield from section(contract, described)
    rows = [("field", "type", "description", "rules")]
    for field in described.fields:
        # protoc puts an `optional` field into a synthetic oneof.
        oneof = field.containing_oneof
        oneof = oneof if oneof and not oneof.name.startswith("_") else None
        if oneof and oneof.fields[0] == field:
            what = contract.text(f"{described.name}.{oneof.name}")
            required = "`REQUIRED`" if contract.rules(oneof, "oneof").required else ""
            rows.append((f"**{oneof.name}**", "one of", what, required))
        name = f"{'• ' if oneof else ''}`{field.name}`"
        what = contract.text(f"{described.name}.{field.name}")
        rows.append((name, type_text(field), what, ", ".join(rule_texts(contract.rules(field)))))
    if described.fields:
        yield from table(*rows)


def enum(contract: Contract, described: EnumDescriptor) -> Iterator[str]:
    """Yields the section of an enum."""
    yield from section(contract, described)
    rows = [("value", "number", "description")]
    for value in described.values:
        what = contract.text(f"{described.name}.{value.name}")
        rows.append((f"`{value.name}`", str(value.number), what))
    yield from table(*rows)


def section(contract: Contract, described: Any) -> Iterator[str]:
    """Yields a message's or enum's heading, its comment and the messages that use it."""
    yield f"### {described.name}\n"
    yield from (f"{part}\n" for part in contract.comment(described.name))
    holders = [
        linked(holder.name)
        for file in contract.files
        for holder in file.message_types_by_name.values()
        if any(described in (field.message_type, field.enum_type) for field in holder.fields)
    ]
    if holders:
        yield f"Used in {', '.join(holders)}.\n"


def page(contract: Contract) -> Iterator[str]:
    """Yields the page in parts."""
    yield f"# Reference of {PACKAGE}\n"
    yield from (f"{part}\n" for part in contract.comment())
    yield "(Generated by `make proto` from the .proto files; edit their comments instead.)\n"
    yield "## Services\n"
    yield from services(contract)
    yield "## Messages\n"
    yield "A field's rules are named like the `reason` of their violations.\n"
    rows = [("file", "messages and enums")]
    for file in contract.files:
        names = [*file.message_types_by_name, *file.enum_types_by_name]
        rows.append((Path(file.name).name, ", ".join(map(linked, names))))
    yield from table(*rows)
    for file in contract.files:
        for described in file.message_types_by_name.values():
            yield from message(contract, described)
        for enumerated in file.enum_types_by_name.values():
            yield from enum(contract, enumerated)


if __name__ == "__main__":
    parts = page(Contract(Path(sys.argv[1]).read_bytes()))
    sys.stdout.write("\n".join(parts).rstrip("\n") + "\n")
