// Why a request is refused: as the server says it, and as the rules say before it is sent.

import { readFileSync } from "node:fs";
import {
  createFileRegistry,
  type DescMessage,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { anyUnpack, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { createValidator } from "@bufbuild/protovalidate";
import { type ServiceError, status } from "@grpc/grpc-js";
import { BadRequestSchema, ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../gen/google/rpc/status_pb.js";

export interface Violation {
  field: string;
  violation: string;
}

// What a program can act on: the reason is stable, the message is for people.
export interface Refusal extends Partial<Violation> {
  code: string;
  reason?: string;
  entry?: string; // of a batch, the rejected one: requests[3].whiteboard
}

export function readRefusal(error: ServiceError): Refusal {
  const refusal: Refusal = { code: status[error.code] };
  const [packed] = error.metadata.get("grpc-status-details-bin");
  // An error that no token authority made, a broken connection say, has no details.
  if (!Buffer.isBuffer(packed)) return refusal;
  for (const detail of fromBinary(StatusSchema, packed).details) {
    const info = anyUnpack(detail, ErrorInfoSchema);
    if (info) {
      refusal.reason = info.reason;
      if (info.metadata.entry) refusal.entry = info.metadata.entry;
    }
    // There is one violation for each wrong field.
    const violation = anyUnpack(detail, BadRequestSchema)?.fieldViolations[0];
    if (violation) {
      refusal.field = violation.field;
      refusal.violation = violation.reason;
    }
  }
  return refusal;
}

const image = readFileSync(new URL("../../gen/token_authority.rules.binpb", import.meta.url));
const rules = createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
const validator = createValidator();

// Checks a request against the rules that the server enforces. The stubs carry none: the request is
// read again as the message of the same name in the image that has them.
export function firstViolation<M extends DescMessage>(
  schema: M,
  request: MessageShape<M>,
): Violation | undefined {
  const ruled = rules.getMessage(schema.typeName);
  if (!ruled) throw new Error(`the image has no ${schema.typeName}`);
  const result = validator.validate(ruled, fromBinary(ruled, toBinary(schema, request)));
  if (result.kind === "error") throw result.error;
  const first = result.violations?.[0];
  return (
    first && {
      field: pathToString(first.field),
      violation: first.ruleId.replaceAll(".", "_").toUpperCase(),
    }
  );
}
