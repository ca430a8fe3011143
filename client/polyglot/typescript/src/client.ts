// Asks a token authority for two tokens and for sessions, and finds out why others are refused.

import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceError } from "@grpc/grpc-js";
import {
  type IssueRtcTokenRequest,
  IssueRtcTokenRequestSchema,
  RtcRole,
} from "../gen/token_authority/v1/rtc_pb.js";
import { TokenService } from "../gen/token_authority/v1/token_service_pb.js";
import { WhiteboardRole } from "../gen/token_authority/v1/whiteboard_pb.js";
import { library, parse } from "./agora_token.js";
import { Connection } from "./connection.js";
import { firstViolation, type Refusal, readRefusal } from "./refusal.js";
import { issueSession, type Session, SessionError, type SessionRequest } from "./session.js";

const HOUR = durationFromMs(3_600_000);

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`set ${name}`);
  return value;
}

function rtcRequest(uid: bigint): IssueRtcTokenRequest {
  return create(IssueRtcTokenRequestSchema, {
    channel: { case: "channelName", value: "lesson-1" },
    user: { case: "uid", value: uid },
    rights: { case: "role", value: RtcRole.PUBLISHER },
    expiration: { case: "ttl", value: HOUR },
  });
}

async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  try {
    await call;
  } catch (error) {
    return readRefusal(error as ServiceError);
  }
  throw new Error("the request was not refused");
}

const WHOLE_SESSION: SessionRequest = {
  channel: "lesson-1",
  uid: 7,
  role: "publisher",
  rtmUserId: "ada",
  chatUserId: "ada.l",
  whiteboardRoom: "4a50cb3b6a0c4b5e",
  ttlSeconds: 1200,
};
const SESSIONS: SessionRequest[] = [
  WHOLE_SESSION,
  { channel: "lesson-1", uid: 4294967295, role: "subscriber" },
  // A grant shortens the token for this room, and so all of them.
  { channel: "lesson-1", uid: 7, role: "subscriber", whiteboardRoom: "5b61dc4c7b1d5c6f" },
];
const REFUSED_SESSIONS: SessionRequest[] = [
  { ...WHOLE_SESSION, whiteboardRoom: "0000000000000000" },
  { ...WHOLE_SESSION, rtmUserId: "é" },
];

async function sessionRefusal(call: Promise<Session>): Promise<Refusal & { product: string }> {
  try {
    await call;
  } catch (error) {
    if (error instanceof SessionError) {
      return { product: error.product, ...readRefusal(error.cause) };
    }
    throw error;
  }
  throw new Error("the session was not refused");
}

async function main(): Promise<void> {
  const connection = new Connection(
    setting("TOKEN_AUTHORITY_TARGET"),
    readFileSync(setting("TOKEN_AUTHORITY_CA")),
    setting("TOKEN_AUTHORITY_API_KEY"),
  );
  const { issueRtcToken, issueWhiteboardToken } = TokenService.method;
  const whiteboard = await connection.call(issueWhiteboardToken, {
    scope: { case: "room", value: { roomUuid: "4a50cb3b6a0c4b5e" } },
    role: WhiteboardRole.WRITER,
    expiration: { case: "ttl", value: HOUR },
  });
  const rtc = await connection.call(issueRtcToken, rtcRequest(7n));
  const token = rtc.issuedToken?.token ?? "";
  // uid 0 would admit anyone, which has to be said in words: anyUser.
  const invalid = rtcRequest(0n);
  const local = firstViolation(IssueRtcTokenRequestSchema, invalid);
  const refused = await refusalOf(connection.call(issueRtcToken, invalid));
  const sessions: Session[] = [];
  for (const request of SESSIONS) {
    const session = await issueSession(connection, request);
    console.error(session); // shows no token
    sessions.push(session);
  }
  const sessionsRefused: Refusal[] = [];
  for (const request of REFUSED_SESSIONS) {
    sessionsRefused.push(await sessionRefusal(issueSession(connection, request)));
  }
  connection.close();

  console.log(
    JSON.stringify({
      whiteboard_token: whiteboard.issuedToken?.token,
      rtc_token: token,
      refused,
      local,
      parsed: parse(token),
      verified_by: library,
      sessions,
      renew_after_seconds: sessions.map(({ renewAfterMs }) => renewAfterMs / 1000),
      sessions_refused: sessionsRefused,
    }),
  );
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
