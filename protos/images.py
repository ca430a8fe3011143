"""Writes the two descriptor images from one `buf build`, read from standard input.

    buf build --as-file-descriptor-set -o - | python images.py token_authority

`NAME.rules.binpb` is the complete contract with the protovalidate rules; the server validates with
it. `NAME.binpb` has no rules, so that its stubs need only protobuf, and it has google.rpc, whose
messages are the details of errors. Both keep the comments of our own files, which document
generated code, and drop those of third-party files.
"""

import sys
from pathlib import Path

from google.protobuf import any_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.rpc import error_details_pb2, status_pb2

OURS = "token_authority/"
RULES = "buf/validate/validate.proto"
# The field number of the extensions (buf.validate.field), (buf.validate.oneof), … in every
# google.protobuf.*Options: https://protobuf.dev/programming-guides/extension_numbers/
RULES_EXTENSION = 1159
# The field number of FileDescriptorProto.dependency, for SourceCodeInfo paths.
DEPENDENCY = 3
# The messages of error details, each file after its imports.
REFUSALS = (any_pb2.DESCRIPTOR, error_details_pb2.DESCRIPTOR, status_pb2.DESCRIPTOR)


def without_rules(file: FileDescriptorProto) -> FileDescriptorProto:
    """Returns a copy of `file` without the rules."""
    plain = FileDescriptorProto()
    plain.CopyFrom(file)
    # The rules are extensions, unknown to this process; there are no other unknown fields.
    plain.DiscardUnknownFields()
    plain.dependency[:] = [name for name in plain.dependency if name != RULES]
    locations = [
        location
        for location in plain.source_code_info.location
        if RULES_EXTENSION not in location.path and location.path[:1] != [DEPENDENCY]
    ]
    del plain.source_code_info.location[:]
    plain.source_code_info.location.extend(locations)
    return plain


def main(name: str) -> None:
    """Writes `NAME.rules.binpb` and `NAME.binpb` into the current folder."""
    complete = FileDescriptorSet.FromString(sys.stdin.buffer.read())
    for file in complete.file:
        if not file.name.startswith(OURS):
            file.ClearField("source_code_info")
    stripped = {file.name: without_rules(file) for file in complete.file if file.name != RULES}
    needed = {name for name in stripped if name.startswith(OURS)}
    needed |= {name for ours in needed for name in stripped[ours].dependency}
    # Without it protoc 3.21 (Debian 12) rejects debug_redact, an option that it does not know.
    needed.add("google/protobuf/descriptor.proto")
    plain = FileDescriptorSet(file=[file for name, file in stripped.items() if name in needed])
    for descriptor in REFUSALS:
        descriptor.CopyToProto(plain.file.add())
    for suffix, image in ((".rules.binpb", complete), (".binpb", plain)):
        Path(name + suffix).write_bytes(image.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main(sys.argv[1])
