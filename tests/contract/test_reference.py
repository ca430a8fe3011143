"""client/REFERENCE.md is complete, and its links have targets.

That it is what the .proto files make is for protos/check.sh.
"""

import re
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor

from contract.rules import FILES, PACKAGE, POOL, methods, reasons
from support.installing import ROOT

PAGE = (ROOT / "client/REFERENCE.md").read_text()
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
OURS = [POOL.FindFileByName(file.name) for file in FILES if file.package == PACKAGE]
MESSAGES = [message for file in OURS for message in file.message_types_by_name.values()]
ENUMS = [enum for file in OURS for enum in file.enum_types_by_name.values()]


def row(section: str, name: str) -> list[str]:
    """Returns the cells of a table's rows by the name in the first cell."""
    (found,) = re.findall(rf"^\| (?:• )?(?:`|\*\*){name}(?:`|\*\*) \|.*", section, re.MULTILINE)
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", found)[1:-1]]


@pytest.mark.parametrize("path", methods())
def test_every_method_says_what_it_does_and_who_may_call_it(path: str) -> None:
    service, method = path.rpartition(".")[2].split("/")
    described = methods()[path]
    _, what, who = row(SECTIONS[service], method)
    assert f"[{described.input_type.name}](#" in what
    assert f"[{described.output_type.name}](#" in what
    assert who.startswith(("callers with", "every caller"))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_every_field_has_its_type_its_text_and_its_rules(message: Descriptor) -> None:
    section = SECTIONS[message.name]
    for field in message.fields:
        _, type_text, what, rules = row(section, field.name)
        named = field.message_type or field.enum_type
        assert type_text.removeprefix("list of ").startswith(
            f"[{named.name}](" if named else ("bool", "bytes", "int", "string")
        )
        assert type_text.startswith("list of ") == field.is_repeated
        assert what.endswith((".", ","))
        assert bool(rules) == any(
            path.removesuffix("[]") == field.name for path, _ in reasons(message.full_name)
        )
    for path, reason in reasons(message.full_name):
        if "." not in path:
            assert f"`{reason}`" in row(section, path.removesuffix("[]"))[3]


@pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: enum.name)
def test_every_value_has_its_number_and_its_text(enum: EnumDescriptor) -> None:
    for value in enum.values:
        _, number, what = row(SECTIONS[enum.name], value.name)
        assert number == str(value.number)
        assert what.endswith(".")


def test_services_come_first() -> None:
    first, *_ = SECTIONS
    assert first == "TokenService"
    assert PAGE.index("## Services") < PAGE.index("## Messages")


@pytest.mark.parametrize("name", ["REFERENCE.md", "WITHOUT_STUBS.md"])
def test_every_link_leads_somewhere(name: str) -> None:
    page = ROOT / "client" / name
    anchors = {f"#{heading.lower()}" for heading in SECTIONS}
    targets = set(re.findall(r"\]\(((?!http)[^)]+)\)", page.read_text()))
    assert targets
    for target in targets:
        assert target in anchors or Path(page.parent, target).exists(), target
