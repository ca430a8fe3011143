// A typed way to call the methods of the contract over @grpc/grpc-js.

import { readFileSync } from "node:fs";
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";

// Retries, load balancing and health checks, as in all languages (client/service_config.json).
const serviceConfig = readFileSync(
  new URL("../../gen/service_config.json", import.meta.url),
  "utf8",
);
const TIMEOUT_MS = 10_000;

export class Connection {
  readonly #client: grpc.Client;

  constructor(target: string, ca: Buffer, apiKey: string) {
    // The key goes with every call; grpc-js refuses call credentials without TLS.
    const key = grpc.credentials.createFromMetadataGenerator((_, done) => {
      const metadata = new grpc.Metadata();
      metadata.set("authorization", `Bearer ${apiKey}`);
      done(null, metadata);
    });
    this.#client = new grpc.Client(
      target,
      grpc.credentials.combineChannelCredentials(grpc.credentials.createSsl(ca), key),
      { "grpc.service_config": serviceConfig },
    );
  }

  // Rejects with a grpc.ServiceError.
  call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        `/${method.parent.typeName}/${method.name}`,
        (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
        (data: Buffer) => fromBinary(method.output, data),
        create(method.input, request),
        new grpc.Metadata(),
        { deadline: Date.now() + TIMEOUT_MS },
        (error, response) => (response ? resolve(response) : reject(error)),
      );
    });
  }

  close(): void {
    this.#client.close();
  }
}
