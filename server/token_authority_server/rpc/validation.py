"""The contract's single-field rules, enforced on every request.

The rules are standard protovalidate rules in the .proto files. The public stubs do not carry them
(they would drag in another package), so requests are parsed with classes of a private descriptor
pool, built from the image that does; those classes have the same fields.
"""

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Final

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from protovalidate import EvaluationError, Validator, Violation

from token_authority_server.errors import (
    FieldViolation,
    invalid_request,
    undecodable_request,
)

_RULES_IMAGE: Final = "token_authority.rules.binpb"

_ADVICE: Final[Mapping[tuple[str, str], str]] = {
    ("project", "STRING_PATTERN"): "must be lower-case letters, digits and '-', and start with a "
    "letter, as the server's configuration spells it",
    ("channel_name", "STRING_PATTERN"): "must consist of the characters Agora allows: a-z A-Z 0-9 "
    "space and !#$%&()+-:;<=.>?@[]^_{}|~, (for every channel, set any_channel)",
    ("user_account", "STRING_PATTERN"): "must consist of the characters Agora allows: a-z A-Z 0-9 "
    "space and !#$%&()+-:;<=.>?@[]^_{}|~,",
    ("uid", "INT64_GTE_LTE"): "must be from 1 to 4294967295 (to admit anyone, set any_user)",
    ("user_id", "STRING_PATTERN"): "must be printable ASCII characters and not start with a space",
    ("room_uuid", "STRING_PATTERN"): "must be the UUID that Agora's REST API returned: letters, "
    "digits, '-' and '_'",
    ("task_uuid", "STRING_PATTERN"): "must be the UUID that Agora's REST API returned: letters, "
    "digits, '-' and '_'",
    ("role", "ENUM_NOT_IN"): "must be set: there is no default role",
    ("format", "ENUM_NOT_IN"): "must be TOKEN_FORMAT_V006, TOKEN_FORMAT_V007 or unset",
    ("IssueWhiteboardTokenRequest.ttl", "DURATION_GTE_LTE"): "must be from 1 ms to 3650 days",
    ("", "DURATION_GTE_LTE"): "must be from 1 s to 24 h",
    ("", "REQUIRED"): "must be set",
    ("", "STRING_MIN_BYTES"): "must not be empty",
    ("", "STRING_MIN_LEN"): "must not be empty",
}
"""What to do about a violation where the standard text would not say it, by field and reason: a
field's name with or without its message's, or "" for any."""


class RequestParser:
    """Parses the requests of the contract and holds them against its rules.

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
        """Returns a function that parses one request message, by its full name.

        It raises:
            Refusal: INVALID_REQUEST, with every field that breaks a rule.
        """
        descriptor = self._pool.FindMessageTypeByName(message_name)
        message_class = GetMessageClass(descriptor)
        if not self._violations(message_class()):
            raise RuntimeError(f"the rules of {message_name} are not enforced")

        def parse(data: bytes) -> Message:
            try:
                message = message_class.FromString(data)
            except DecodeError:
                raise undecodable_request(message_name) from None
            try:
                violations = self._violations(message)
            except EvaluationError:
                raise undecodable_request(message_name) from None
            if violations:
                raise invalid_request([_explain(violation, descriptor) for violation in violations])
            return message

        return parse

    def _violations(self, message: Message) -> list[Violation]:
        return self._validator.collect_violations(message)


def _explain(violation: Violation, descriptor: Descriptor) -> FieldViolation:
    """Turns a violation into ours. It never touches the value, which may be a secret."""
    path = violation.proto.field
    # Only message-level rules have no path, and the contract has none of those.
    assert path
    names = [element.field_name for element in path.elements]
    reason = violation.proto.rule_id.upper().replace(".", "_")
    for name in names[:-1]:
        nested = descriptor.fields_by_name[name].message_type
        assert nested
        descriptor = nested
    oneof = descriptor.oneofs_by_name.get(names[-1])
    if oneof is not None:
        description = f"must be set: one of {', '.join(field.name for field in oneof.fields)}"
    elif reason == "ENUM_DEFINED_ONLY":
        enum = descriptor.fields_by_name[names[-1]].enum_type
        assert enum
        description = f"must be one of {', '.join(value.name for value in enum.values[1:])}"
    else:
        keys = (f"{descriptor.name}.{names[-1]}", names[-1], "")
        ours = [_ADVICE[key, reason] for key in keys if (key, reason) in _ADVICE]
        description = [*ours, violation.proto.message][0]
    return FieldViolation(".".join(names), reason, description)
