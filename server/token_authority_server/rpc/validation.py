"""Validates requests by the contract's single-field rules.

The rules are standard protovalidate rules in the .proto files. The public stubs do not carry them
(they would need another package), so requests are parsed with classes of a private descriptor pool,
built from an image that does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from protovalidate import EvaluationError, Validator, Violation

from token_authority_server.errors import (
    FieldViolation,
    Refusal,
    invalid_request,
    oversized_issue_request,
    undecodable_request,
    unknown_fields,
)
from token_authority_server.rpc.advice import ADVICE

# The largest request for one token, encoded: checking and signing it must not delay other calls.
# Only lists of RTM resources can come near.
_MAX_ISSUE_BYTES: Final = 16_384
# A request with more list items than this is refused with its first violation only.
_MAX_EXPLAINED_ITEMS: Final = 50
_RULES_IMAGE: Final = "token_authority.rules.binpb"


def check_issue_size(size: int) -> None:
    """Checks the size of a request for one token, before it is decoded.

    Raises:
        Refusal: INVALID_REQUEST.
    """
    if size > _MAX_ISSUE_BYTES:
        raise oversized_issue_request(_MAX_ISSUE_BYTES)


@dataclass(frozen=True, slots=True)
class ItemCountRule:
    """The rule on how many items a list may have."""

    field: str
    min_items: int
    max_items: int

    def check(self, message: Any) -> None:
        """Checks the list of a message.

        Raises:
            Refusal: INVALID_REQUEST, with protovalidate's reason.
        """
        count = len(getattr(message, self.field))
        if count < self.min_items:
            reason = "REPEATED_MIN_ITEMS"
        elif count > self.max_items:
            reason = "REPEATED_MAX_ITEMS"
        else:
            return
        must_be = f"must have {self.min_items} to {self.max_items} items"
        raise invalid_request([FieldViolation(self.field, reason, must_be)])


class RequestParser:
    """Parses requests and validates them by the contract's rules.

    Raises:
        RuntimeError: The rules are not enforced: an empty request passed.
    """

    def __init__(self) -> None:
        pool = DescriptorPool()
        image = files("token_authority_server").joinpath(_RULES_IMAGE).read_bytes()
        for file in FileDescriptorSet.FromString(image).file:
            pool.Add(file)
        self._pool = pool
        # A validator remembers rules by message name: this one must never meet the public classes,
        # which have none.
        self._validator = Validator()

    def parser(self, message_name: str) -> Callable[[bytes], Any]:
        """Returns a function that parses and validates one request message, by its full name.

        It raises:
            Refusal: INVALID_REQUEST, with every field that breaks a rule.
        """
        parse = self.lenient_parser(message_name)
        try:
            parse(b"")
        except Refusal:
            return parse
        raise RuntimeError(f"an empty {message_name} is accepted: its validation rules are missing")

    def lenient_parser(self, message_name: str) -> Callable[[bytes], Any]:
        """Returns the same for a message that may be empty, whose rules cannot be tried out."""
        decode = self.decoder(message_name)

        def parse(data: bytes) -> Any:
            message = decode(data)
            violations = self.violations(message)
            if violations:
                raise invalid_request(violations)
            return message

        return parse

    def decoder(self, message_name: str) -> Callable[[bytes], Any]:
        """Returns a function that decodes a message, by its full name, without validating it.

        It raises:
            Refusal: INVALID_REQUEST for undecodable bytes or unknown fields.
        """
        message_class = GetMessageClass(self._pool.FindMessageTypeByName(message_name))
        return lambda data: _decoded(message_class, message_name, data)

    def outline_decoder(self, message_name: str, field: str) -> Callable[[bytes], Any]:
        """Returns a function that decodes a message and leaves the items of a list encoded.

        The items are decoded one by one, because a list may take long. Their number is checked.

        It raises:
            Refusal: INVALID_REQUEST, as `decoder`, or for too few or too many items.
        """
        outline = DescriptorProto()
        self._pool.FindMessageTypeByName(message_name).CopyToProto(outline)
        (items,) = [one for one in outline.field if one.name == field]
        items.type = FieldDescriptorProto.TYPE_BYTES
        for option in ("type_name", "options"):
            items.ClearField(option)
        pool = DescriptorPool()
        pool.Add(FileDescriptorProto(name="outline.proto", syntax="proto3", message_type=[outline]))
        message_class = GetMessageClass(pool.FindMessageTypeByName(outline.name))
        item_count = self.item_count_rule(message_name, field)

        def decode(data: bytes) -> Message:
            message = _decoded(message_class, message_name, data)
            item_count.check(message)
            return message

        return decode

    def item_count_rule(self, message_name: str, field: str) -> ItemCountRule:
        """Returns the rule on a list of a message that is not validated as a whole."""
        rules: Any = self._pool.FindExtensionByName("buf.validate.field")
        options_type = self._pool.FindMessageTypeByName("google.protobuf.FieldOptions")
        field_descriptor = self._pool.FindMessageTypeByName(message_name).fields_by_name[field]
        # Options are read with the default pool, which does not know the extension.
        packed = field_descriptor.GetOptions().SerializeToString()
        options: Any = GetMessageClass(options_type).FromString(packed)
        repeated = options.Extensions[rules].repeated
        return ItemCountRule(field, repeated.min_items, repeated.max_items)

    def violations(self, message: Message, *, briefly: bool = False) -> list[FieldViolation]:
        """Returns the violations of a message of a class that `decoder` made.

        Only the first if the message has more than 50 list items, or `briefly`.

        Raises:
            Refusal: INVALID_REQUEST: the rules cannot be evaluated.
        """
        descriptor = message.DESCRIPTOR
        try:
            # Only the first: each takes some 20 µs, and a list has room for thousands.
            found = self._validator.collect_violations(message, fail_fast=True)
            if found and not briefly and _has_few_items(message):
                found = self._validator.collect_violations(message)
        except EvaluationError:
            raise undecodable_request(descriptor.full_name) from None
        return [_explain(violation, descriptor) for violation in found]


def _decoded(message_class: type[Message], name: str, data: bytes) -> Message:
    try:
        message = message_class.FromString(data)
    except DecodeError:
        raise undecodable_request(name) from None
    # A field of a newer contract may ask for a limit, so it must not be ignored. Comparing sizes is
    # the cheapest way to find unknown fields at any depth.
    size = message.ByteSize()
    message.DiscardUnknownFields()
    if message.ByteSize() != size:
        raise unknown_fields(name)
    return message


def _has_few_items(message: Message) -> bool:
    """Whether the lists of a message, nested ones included, have few items in all."""
    waiting, count = [message], 0
    while waiting:
        for field, value in waiting.pop().ListFields():
            items: Any = value if field.is_repeated else (value,)
            count += len(items) if field.is_repeated else 0
            if count > _MAX_EXPLAINED_ITEMS:
                return False
            if field.message_type:
                waiting.extend(items)
    return True


def _explain(violation: Violation, descriptor: Any) -> FieldViolation:
    """Converts a violation without touching the value, which may be a secret."""
    path = violation.proto.field
    # Only message-level rules have no path, and the contract has none of those.
    assert path
    names = [element.field_name for element in path.elements]
    reason = violation.proto.rule_id.upper().replace(".", "_")
    for name in names[:-1]:
        descriptor = descriptor.fields_by_name[name].message_type
    oneof = descriptor.oneofs_by_name.get(names[-1])
    if oneof is not None:
        description = f"must be set: one of {', '.join(field.name for field in oneof.fields)}"
    elif reason == "ENUM_DEFINED_ONLY":
        enum = descriptor.fields_by_name[names[-1]].enum_type
        description = f"must be one of {', '.join(value.name for value in enum.values[1:])}"
    else:
        keys = (f"{descriptor.name}.{names[-1]}", names[-1], "")
        ours = [ADVICE[key, reason] for key in keys if (key, reason) in ADVICE]
        description = [*ours, violation.proto.message][0]
    return FieldViolation(".".join(map(_step, path.elements)), reason, description)


def _step(element: Any) -> Any:
    """Returns one step of a path: `services[3]` for an item of a list."""
    # The contract has lists and no maps.
    return element.field_name + (f"[{element.subscript.value}]" if element.subscript else "")
