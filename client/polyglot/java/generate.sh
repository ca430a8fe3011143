#!/bin/sh
# Generates gen/java from the contract's image, with the protoc and the plugin that pom.xml names.
set -eu
cd "$(dirname -- "$0")"
protos=$PWD/../../../protos
rm -rf gen
mkdir -p gen/java
mvn --batch-mode --quiet dependency:copy@tools
chmod +x gen/bin/*

# The image is the only input, so there are no include paths; the names only say what to generate.
# protoc 4.34 and newer warn, hundreds of times, of an option in the image's descriptor.proto.
(cd "$protos" && ls token_authority/v1/*.proto) |
    xargs gen/bin/protoc --descriptor_set_in="$protos/token_authority.binpb" \
        --java_out=gen/java \
        --plugin=protoc-gen-grpc-java=gen/bin/protoc-gen-grpc-java --grpc-java_out=gen/java \
        2>gen/protoc.log || {
    cat gen/protoc.log >&2
    exit 1
}
