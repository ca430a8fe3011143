"""Clients and servers of different versions, starting with the released image.

An older client works with a newer server: message classes of the released image call the server of
today. A newer client works with an older server as far as that goes: the client of today calls a
server that knows the released contract only; and a client of a contract that is still to come calls
the server of today, which refuses what it does not know and never passes over it.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import ParseDict, ParseError  # noqa: TID251  # reads only
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode, aio

from contract.forwarding import Front, forward
from contract.rules import PACKAGE, is_ours
from contract.test_once_valid import LINES, expanded, projects
from support.decoding import decode
from support.installing import ROOT
from support.keys import access_key, certificate
from support.serving import PATH, refused, running
from token_authority_client import AsyncTokenAuthorityClient
from token_authority_server.keyring import Keyring, Project


class Version:
    """One version of the contract."""

    def __init__(self, image: FileDescriptorSet) -> None:
        self._pool = DescriptorPool()
        for file in image.file:
            self._pool.Add(file)
        self.methods: Mapping[str, MethodDescriptor] = {
            f"/{service.full_name}/{method.name}": method
            for file in image.file
            if file.package == PACKAGE
            for service in self._pool.FindFileByName(file.name).services_by_name.values()
            for method in service.methods
        }

    def message(self, name: str) -> Any:
        """Returns the class of a message."""
        return GetMessageClass(self._pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))

    def request(self, path: str) -> Any:
        """Returns the class of a method's request."""
        return GetMessageClass(self.methods[path].input_type)

    def response(self, path: str) -> Any:
        """Returns the class of a method's response."""
        return GetMessageClass(self.methods[path].output_type)


def image(name: str) -> FileDescriptorSet:
    return FileDescriptorSet.FromString((ROOT / "protos" / name).read_bytes())


def next_image() -> FileDescriptorSet:
    """A future contract, with an additional field, expiration, role and method."""
    coming = image("token_authority.binpb")
    files = {file.name.rpartition("/")[2]: file for file in coming.file}
    messages = {message.name: message for message in files["rtc.proto"].message_type}
    request = messages["IssueRtcTokenRequest"]
    text = {"type": FieldDescriptorProto.TYPE_STRING, "label": FieldDescriptorProto.LABEL_OPTIONAL}
    request.field.add(name="purpose", number=900, **text)
    (expiration,) = [n for n, oneof in enumerate(request.oneof_decl) if oneof.name == "expiration"]
    request.field.add(name="until_lesson_ends", number=901, oneof_index=expiration, **text)
    messages["RtmLogin"].field.add(name="device", number=902, **text)
    (role,) = [enum for enum in files["rtc.proto"].enum_type if enum.name == "RtcRole"]
    role.value.add(name="RTC_ROLE_AUDITOR", number=99)
    (service,) = files["token_service.proto"].service
    new = service.method.add()
    new.CopyFrom(service.method[0])
    new.name = "IssueNextToken"
    return coming


RELEASED: Final = Version(image("released/v1.binpb"))
NOW: Final = Version(image("token_authority.binpb"))
NEXT: Final = Version(next_image())
KEYS: Final = Keyring([Project("p", (certificate(), access_key()))])


def released_lines() -> dict[str, list[dict[str, Any]]]:
    """Returns the once-valid requests that the released contract can express, by method."""
    found: dict[str, list[dict[str, Any]]] = {path: [] for path in RELEASED.methods}
    paths = {path.rpartition("/")[2]: path for path in RELEASED.methods}
    for line in LINES:
        path = paths.get(line["method"])
        if path is None:
            continue
        try:
            ParseDict(expanded(line["request"]), RELEASED.request(path)())
        except ParseError:
            # It has a newer field or value.
            continue
        found[path].append(line["request"])
    return found


LINES_BY_METHOD: Final = released_lines()


def known(message: Any) -> Any:
    """Returns a message of an older version, without fields unknown to it."""
    message.DiscardUnknownFields()
    return message


def assert_contains(newer: Any, older: Any) -> None:
    """Checks that a newer version reads all values that an older one reads in a response."""
    for field, value in older.ListFields():
        other = getattr(newer, field.name)
        if not is_ours(field.message_type):
            # By their bytes: the classes of two pools are never equal.
            assert str(other) == str(value)
            continue
        items = zip(other, value, strict=True) if field.is_repeated else [(other, value)]
        for one, another in items:
            assert_contains(one, another)


def tokens(response: Any) -> list[str]:
    """Returns the tokens in a response of any method."""
    if hasattr(response, "issued_tokens"):
        return [issued.token for issued in response.issued_tokens]
    return [response.issued_token.token] if hasattr(response, "issued_token") else []


@pytest.mark.parametrize("path", RELEASED.methods)
async def test_an_older_client_reads_what_a_newer_server_answers(path: str) -> None:
    assert LINES_BY_METHOD[path]
    for line in LINES_BY_METHOD[path]:
        request = ParseDict(expanded(line), RELEASED.request(path)())
        names = projects(request)
        keys = Keyring([Project(name, (certificate(), access_key())) for name in names])
        async with running(keys) as server:
            data = await server.channel.unary_unary(path)(request.SerializeToString())
        older = RELEASED.response(path).FromString(data)
        assert_contains(NOW.response(path).FromString(data), older)
        assert older.ListFields()
        for token in tokens(older):
            assert not token or decode(token).fields


async def test_an_older_client_is_refused_as_ever() -> None:
    request = RELEASED.request(PATH + "IssueRtcToken")(channel_name="c", uid=0, role=1)
    async with running(KEYS) as server:
        call = server.channel.unary_unary(PATH + "IssueRtcToken")
        failure = await refused(call(request.SerializeToString()))
    assert (failure.code, failure.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert failure.violations == [("uid", "INT64_GTE_LTE")]


@asynccontextmanager
async def released_server() -> AsyncGenerator[str]:
    """Runs a server that knows only the released contract; yields its address.

    It uses that contract's classes, and today's server signs.
    """
    async with running(KEYS) as server:

        def answer(details: Any) -> Any:
            path = details.method
            if path not in RELEASED.methods:
                return None

            async def call(data: bytes, context: Any) -> bytes:
                request = RELEASED.request(path).FromString(data)
                # A client must not send fields that were not set and that no older server knows.
                assert known(request).SerializeToString() == request.SerializeToString()
                answered = await forward(server.channel, path, request.SerializeToString(), context)
                response = known(RELEASED.response(path).FromString(answered))
                return bytes(response.SerializeToString())

            return call

        front = aio.server(options=(("grpc.so_reuseport", 0),))
        front.add_generic_rpc_handlers((Front(answer),))
        port = front.add_insecure_port("127.0.0.1:0")
        await front.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            await front.stop(None)


async def test_the_client_of_today_works_with_the_released_server() -> None:
    async with released_server() as address, AsyncTokenAuthorityClient(address) as client:
        rtc = await client.issue_rtc_token(channel="c", uid=7, role="publisher")
        assert decode(rtc.token).fields["services"][0]["uid"] == "7"
        room = await client.issue_whiteboard_token(room="r", role="reader")
        assert decode(room.token).fields["uuid"] == "r"
        decision = await client.validate_only.issue_rtm_token(user_id="alice")
        assert decision.ttl is not None
        inspection = await client.inspect_token(rtc.token)
        assert inspection.format == "007"


async def test_a_method_that_a_server_does_not_have_is_unimplemented() -> None:
    (new,) = NEXT.methods.keys() - NOW.methods.keys()
    async with running(KEYS) as server:
        failure = await refused(server.channel.unary_unary(new)(b""))
    assert failure.code is StatusCode.UNIMPLEMENTED


async def test_a_newer_client_that_sets_nothing_new_is_answered() -> None:
    path = PATH + "IssueRtcToken"
    request = NEXT.request(path)(channel_name="c", uid=7, role=1, rtm={"user_id": "alice"})
    async with running(KEYS) as server:
        data = await server.channel.unary_unary(path)(request.SerializeToString())
    assert NEXT.response(path).FromString(data).issued_token.token


@pytest.mark.parametrize(
    "new",
    [
        {"purpose": "exam"},
        {"purpose": ""},
        # The older server would use the default lifetime.
        {"until_lesson_ends": "lesson-1"},
        {"rtm": {"user_id": "alice", "device": "tablet"}},
    ],
)
@pytest.mark.parametrize("in_a_batch", [False, True])
async def test_a_field_that_a_server_does_not_know_is_refused(
    new: dict[str, Any], in_a_batch: bool
) -> None:
    path = PATH + ("BatchIssueTokens" if in_a_batch else "IssueRtcToken")
    rtc = NEXT.message("IssueRtcTokenRequest")(channel_name="c", uid=7, role=1, **new)
    request = NEXT.request(path)(requests=[{"rtc": rtc}]) if in_a_batch else rtc
    async with running(KEYS) as server:
        call = server.channel.unary_unary(path)(request.SerializeToString())
        if new == {"purpose": ""}:
            # Set to its default: nothing is on the wire, and nothing is requested.
            assert await call
            return
        failure = await refused(call)
    assert (failure.code, failure.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert "unknown fields in token_authority.v1." in failure.message
    assert "update the server" in failure.message


async def test_a_value_that_a_server_does_not_know_is_refused() -> None:
    request = NEXT.message("IssueRtcTokenRequest")(channel_name="c", uid=7, role="RTC_ROLE_AUDITOR")
    async with running(KEYS) as server:
        call = server.channel.unary_unary(PATH + "IssueRtcToken")
        failure = await refused(call(request.SerializeToString()))
    assert failure.violations == [("role", "ENUM_DEFINED_ONLY")]
