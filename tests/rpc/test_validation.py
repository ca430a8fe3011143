from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message_factory import GetMessageClass

from support.serving import PARSER
from token_authority.v1.access_token_pb2 import AccessTokenService, IssueAccessTokenRequest
from token_authority.v1.whiteboard_pb2 import (
    WHITEBOARD_ROLE_READER,
    IssueWhiteboardTokenRequest,
    WhiteboardRoomScope,
)
from token_authority_server.errors import Refusal
from token_authority_server.rpc.advice import ADVICE
from token_authority_server.rpc.contract import TOKEN_SERVICE

ROOT = Path(__file__).parents[2]


def test_the_server_ships_the_image_of_the_contract() -> None:
    shipped = ROOT / "server/token_authority_server/token_authority.rules.binpb"
    assert shipped.read_bytes() == (ROOT / "protos/token_authority.rules.binpb").read_bytes()


@pytest.mark.parametrize("method", [method.name for method in TOKEN_SERVICE.methods])
def test_an_empty_request_breaks_rules(method: str) -> None:
    parse = PARSER.parser(TOKEN_SERVICE.methods_by_name[method].input_type.full_name)
    with pytest.raises(Refusal) as caught:
        parse(b"")
    assert caught.value.violations


def test_a_message_whose_rules_are_not_enforced_stops_the_start() -> None:
    with pytest.raises(RuntimeError, match=r"an empty .*AnyUser is accepted"):
        PARSER.parser("token_authority.v1.AnyUser")


def patterned_fields() -> Iterator[str]:
    """Yields the name of every field of the contract that has a regex for a rule."""
    image = FileDescriptorSet.FromString((ROOT / "protos/token_authority.rules.binpb").read_bytes())
    pool = DescriptorPool()
    for file in image.file:
        pool.Add(file)
    rules: Any = pool.FindExtensionByName("buf.validate.field")
    options_class = GetMessageClass(pool.FindMessageTypeByName("google.protobuf.FieldOptions"))
    for file in image.file:
        if file.name.startswith("token_authority/"):
            for message in file.message_type:
                for field in message.field:
                    options: Any = options_class.FromString(field.options.SerializeToString())
                    if options.Extensions[rules].string.HasField("pattern"):
                        yield field.name


def test_no_refusal_answers_with_a_regex() -> None:
    fields = set(patterned_fields())
    assert "channel_name" in fields
    assert {(field, "STRING_PATTERN") for field in fields} <= set(ADVICE)


def test_a_whiteboard_ttl_of_0_is_answered_with_the_field_for_non_expiring_tokens() -> None:
    # Agora's libraries take a lifespan of 0 for "never expires".
    request = IssueWhiteboardTokenRequest(
        room=WhiteboardRoomScope(room_uuid="r"), role=WHITEBOARD_ROLE_READER, ttl=Duration()
    )
    with pytest.raises(Refusal) as caught:
        PARSER.parser(request.DESCRIPTOR.full_name)(request.SerializeToString())
    (violation,) = caught.value.violations
    assert (violation.field, violation.reason) == ("ttl", "DURATION_GTE_LTE")
    assert "set non_expiring" in violation.description


def test_a_list_of_thousands_of_mistakes_is_refused_at_the_first() -> None:
    # Each mistake takes some 20 µs to explain: all of these would hold up every other call.
    request = IssueAccessTokenRequest(services=[AccessTokenService()] * 8000)
    parse = PARSER.parser(request.DESCRIPTOR.full_name)
    with pytest.raises(Refusal) as caught:
        parse(request.SerializeToString())
    assert len(caught.value.violations) == 1
    few = IssueAccessTokenRequest(services=[AccessTokenService()] * 40)
    with pytest.raises(Refusal) as caught:
        parse(few.SerializeToString())
    assert len(caught.value.violations) == 41
