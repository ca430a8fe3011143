// Asks a token authority for two tokens, and finds out why a third is refused.
"use strict";

const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { promisify } = require("node:util");
const grpc = require("@grpc/grpc-js");
const protoLoader = require("@grpc/proto-loader");
const { AccessToken2 } = require("agora-token/src/AccessToken2");

// Names as they stand in the .proto files; enums by name.
const OPTIONS = { keepCase: true, enums: String, longs: String, oneofs: true };
const image = readFileSync(join(__dirname, "gen/token_authority.binpb"));
const contract = protoLoader.loadFileDescriptorSetFromBuffer(image, OPTIONS);
const { TokenService } = grpc.loadPackageDefinition(contract).token_authority.v1;

// Retries, load balancing and health checks, as in all languages (client/service_config.json).
const serviceConfig = readFileSync(join(__dirname, "gen/service_config.json"), "utf8");

function connect(target, ca, apiKey) {
  // The key goes with every call; grpc-js refuses call credentials without TLS.
  const key = grpc.credentials.createFromMetadataGenerator((_, done) => {
    const metadata = new grpc.Metadata();
    metadata.set("authorization", `Bearer ${apiKey}`);
    done(null, metadata);
  });
  const credentials = grpc.credentials.combineChannelCredentials(
    grpc.credentials.createSsl(ca),
    key,
  );
  return new TokenService(target, credentials, {
    "grpc.service_config": serviceConfig,
  });
}

// What a program can act on: the reason is stable, the message is for people.
function readRefusal(error) {
  const refusal = { code: grpc.status[error.code] };
  const [packed] = error.metadata?.get("grpc-status-details-bin") ?? [];
  // An error that no token authority made, a broken connection say, has no details.
  const { details = [] } = packed ? contract["google.rpc.Status"].deserialize(packed) : {};
  for (const { type_url, value } of details) {
    const name = type_url.slice(type_url.lastIndexOf("/") + 1);
    if (name === "google.rpc.ErrorInfo") {
      refusal.reason = contract[name].deserialize(value).reason;
    } else if (name === "google.rpc.BadRequest") {
      // There is one for each wrong field.
      const [violation] = contract[name].deserialize(value).field_violations;
      refusal.field = violation?.field;
      refusal.violation = violation?.reason;
    }
  }
  return refusal;
}

// Agora's library reads the token. A service that hands tokens out has no need to; it is here to
// show that they are good. (It exports its parser from this file only.)
function parse(token) {
  const parsed = new AccessToken2();
  if (!parsed.from_string(token)) throw new Error("agora-token cannot read the token");
  const [rtc] = parsed.services;
  return {
    channel_name: String(rtc.__channel_name),
    uid: String(rtc.__uid),
    app_id: String(parsed.appId),
  };
}

async function main() {
  const client = connect(
    process.env.TOKEN_AUTHORITY_TARGET,
    readFileSync(process.env.TOKEN_AUTHORITY_CA),
    process.env.TOKEN_AUTHORITY_API_KEY,
  );
  const call = (method, request) =>
    promisify(client[method].bind(client))(request, { deadline: Date.now() + 10_000 });
  const ttl = { seconds: 3600 };
  const rtcRequest = (uid) => ({
    channel_name: "lesson-1",
    uid,
    role: "RTC_ROLE_PUBLISHER",
    ttl,
  });

  const whiteboard = await call("IssueWhiteboardToken", {
    room: { room_uuid: "4a50cb3b6a0c4b5e" },
    role: "WHITEBOARD_ROLE_WRITER",
    ttl,
  });
  const rtc = await call("IssueRtcToken", rtcRequest(7));
  // uid 0 would admit anyone, which has to be said in words: any_user.
  const refused = await call("IssueRtcToken", rtcRequest(0)).then(
    () => {
      throw new Error("uid 0 was not refused");
    },
    readRefusal,
  );
  client.close();

  console.log(
    JSON.stringify({
      whiteboard_token: whiteboard.issued_token.token,
      rtc_token: rtc.issued_token.token,
      refused,
      parsed: parse(rtc.issued_token.token),
      verified_by: `agora-token ${require("agora-token/package.json").version}`,
    }),
  );
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
