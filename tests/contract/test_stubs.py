"""The generated stubs, and the requirements in pyproject.toml that depend on them."""

import re
import tomllib
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

ROOT = Path(__file__).parents[2]
STUBS = ROOT / "client/token_authority/v1"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


def floor(package: str) -> str:
    """Returns the oldest version of a package that pyproject.toml allows (on Python 3.14)."""
    rows = [row for row in PROJECT["project"]["dependencies"] if row.startswith(package)]
    (requirement,) = [row for row in rows if "python_version >= '3.15'" not in row]
    match = re.search(r">=([\d.]+)", requirement)
    assert match
    return match[1]


def test_the_floors_are_what_the_stubs_demand() -> None:
    grpc_stub = (STUBS / "token_service_pb2_grpc.py").read_text()
    match = re.search(r"GRPC_GENERATED_VERSION = '([\d.]+)'", grpc_stub)
    assert match
    assert match[1] == floor("grpcio>")
    pinned = f"grpcio-tools=={match[1]}; python_version < '3.15'"
    assert pinned in PROJECT["dependency-groups"]["proto"]
    stub = (STUBS / "token_service_pb2.py").read_text()
    match = re.search(r"Protobuf Python Version: ([\d.]+)", stub)
    assert match
    assert match[1] == floor("protobuf>")


def image(name: str) -> FileDescriptorSet:
    return FileDescriptorSet.FromString((ROOT / "protos" / name).read_bytes())


def test_the_public_image_needs_nothing_but_itself() -> None:
    pool = DescriptorPool()
    files = image("token_authority.binpb").file
    for file in files:
        pool.Add(file)
    names = [file.name for file in files]
    assert len({*names}) == len(names)
    assert "token_authority/v1/rtc.proto" in names
    assert all(name.startswith(("token_authority/", "google/")) for name in names)
    # Looking a name up is what resolves its imports.
    for name in names:
        assert pool.FindFileByName(name)
    assert b"buf.validate" not in (ROOT / "protos/token_authority.binpb").read_bytes()


def test_the_public_image_has_what_a_refusal_is_described_with() -> None:
    pool = DescriptorPool()
    for file in image("token_authority.binpb").file:
        pool.Add(file)
    for name in ("Status", "ErrorInfo", "BadRequest", "RetryInfo", "QuotaFailure"):
        assert pool.FindMessageTypeByName(f"google.rpc.{name}")


def test_both_images_have_the_comments_of_the_contract() -> None:
    for name in ("token_authority.binpb", "token_authority.rules.binpb"):
        ours = [file for file in image(name).file if file.name.startswith("token_authority/")]
        text = str(ours)
        assert "Allows any user" in text
        assert "The channel that the token is for. Required." in text


def test_tokens_are_marked_for_redaction() -> None:
    (file,) = [
        file
        for file in image("token_authority.binpb").file
        if file.name == "token_authority/v1/issued_token.proto"
    ]
    (message,) = [message for message in file.message_type if message.name == "IssuedToken"]
    (field,) = [field for field in message.field if field.name == "token"]
    assert field.options.debug_redact


def test_every_rpc_may_be_retried_and_none_travels_in_a_url() -> None:
    for file in image("token_authority.binpb").file:
        for service in file.service:
            for method in service.method:
                assert method.options.idempotency_level == method.options.IDEMPOTENT
