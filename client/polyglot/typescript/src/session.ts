// All tokens that one user needs in one channel, issued in one call: all or none.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { ServiceError } from "@grpc/grpc-js";
import type {
  IssueTokenRequest,
  IssueTokenRequestSchema,
} from "../gen/token_authority/v1/batch_pb.js";
import type { IssuedToken } from "../gen/token_authority/v1/issued_token_pb.js";
import { RtcRole } from "../gen/token_authority/v1/rtc_pb.js";
import { TokenService } from "../gen/token_authority/v1/token_service_pb.js";
import { WhiteboardRole } from "../gen/token_authority/v1/whiteboard_pb.js";
import type { Connection } from "./connection.js";
import { readRefusal } from "./refusal.js";

export type Role = "publisher" | "subscriber";

// One user in one channel, and the products that this user needs there.
export interface SessionRequest {
  channel: string; // 1 to 64 bytes
  uid: number; // 1 to 4294967295
  role: Role; // on the whiteboard, a publisher is a writer and a subscriber a reader
  rtmUserId?: string; // absent: no RTM token
  chatUserId?: string; // absent: no Chat token
  whiteboardRoom?: string; // the room's UUID; absent: no whiteboard token
  ttlSeconds?: number; // 1 to 86400; absent: an hour
  project?: string; // absent: the only project that the caller may use
}

// The JSON form, which is that of the Python client (client/README.md#one-call-for-a-session).
export interface SessionForm {
  app_id: string;
  channel: string;
  uid: number;
  role: Role;
  issue_time: string; // times are in RFC 3339, UTC
  expire_time: string;
  renew_time: string;
  rtc_token: string;
  rtm_user_id?: string;
  rtm_token?: string;
  chat_user_id?: string;
  chat_token?: string;
  whiteboard_room?: string;
  whiteboard_token?: string;
}

// The tokens of one user in one channel, which expire together. JSON.stringify contains them: send
// it only to this user. console.log does not show them: they are in a private field.
//
// To renew a session, call issueSession again renewAfterMs after its request. While that fails, the
// session can be used until expireTime.
export class Session {
  readonly #form: SessionForm;

  constructor(form: SessionForm) {
    this.#form = form;
  }

  get expireTime(): Date {
    return new Date(this.#form.expire_time);
  }

  get renewTime(): Date {
    return new Date(this.#form.renew_time);
  }

  // Both of its times are the server's, so that the local clock need not be right.
  get renewAfterMs(): number {
    return this.renewTime.getTime() - new Date(this.#form.issue_time).getTime();
  }

  toJSON(): SessionForm {
    return { ...this.#form };
  }
}

// Says which product's token was refused: rtc, rtm, chat or whiteboard. No token was issued.
export class SessionError extends Error {
  constructor(
    readonly product: string,
    override readonly cause: ServiceError,
  ) {
    super(`${product}: ${cause.message}`);
  }
}

// Issues a session. If a grant shortens one of the tokens, a second call issues all again with that
// lifetime. Rejects with a SessionError if a token was refused, else with a grpc.ServiceError.
export async function issueSession(
  connection: Connection,
  request: SessionRequest,
): Promise<Session> {
  let tokens = await issueAll(connection, request);
  const ttlSeconds = shorterTtl(tokens);
  if (ttlSeconds) tokens = await issueAll(connection, { ...request, ttlSeconds });
  return new Session(sessionForm(request, tokens));
}

// What a session needs of an issued token. Times are in milliseconds since 1970.
interface Issued {
  token: string;
  appId: string;
  issueMs: number;
  expireMs: number;
  renewMs: number;
}

type EntryInit = Exclude<MessageInitShape<typeof IssueTokenRequestSchema>, IssueTokenRequest>;
type Entry = NonNullable<EntryInit["request"]>;

const TOGETHER_MS = 2000;
const ROLES = {
  publisher: [RtcRole.PUBLISHER, WhiteboardRole.WRITER],
  subscriber: [RtcRole.SUBSCRIBER, WhiteboardRole.READER],
} as const;

// Calls the server once, and checks that it answered every entry.
async function issueAll(connection: Connection, request: SessionRequest): Promise<Issued[]> {
  const requests = batchEntries(request).map((entry) => ({ request: entry }));
  const { issuedTokens } = await connection
    .call(TokenService.method.batchIssueTokens, { requests })
    .catch((error: ServiceError) => {
      throw withProduct(error);
    });
  if (issuedTokens.length !== requests.length) {
    const counts = `${issuedTokens.length} tokens for ${requests.length} requests`;
    throw new Error(`the server issued ${counts}`);
  }
  return issuedTokens.map(readIssued);
}

function readIssued({ token, appId, ...times }: IssuedToken, index: number): Issued {
  const { issueTime, expireTime, renewTime } = times;
  if (!token || !issueTime || !expireTime || !renewTime) {
    throw new Error(`token ${index} of the server's response is incomplete`);
  }
  return {
    token,
    appId,
    issueMs: timestampMs(issueTime),
    expireMs: timestampMs(expireTime),
    renewMs: timestampMs(renewTime),
  };
}

// Returns one request per product, in the order in which sessionForm reads the tokens.
function batchEntries(request: SessionRequest): Entry[] {
  const { channel, uid, rtmUserId, chatUserId, whiteboardRoom, ttlSeconds } = request;
  const [rtcRole, whiteboardRole] = ROLES[request.role];
  const common = {
    project: request.project ?? "",
    ...(ttlSeconds !== undefined && {
      expiration: { case: "ttl" as const, value: durationFromMs(ttlSeconds * 1000) },
    }),
  };
  const entries: Entry[] = [
    {
      case: "rtc",
      value: {
        channel: { case: "channelName", value: channel },
        user: { case: "uid", value: BigInt(uid) },
        rights: { case: "role", value: rtcRole },
        ...common,
      },
    },
  ];
  if (rtmUserId !== undefined) {
    entries.push({ case: "rtm", value: { userId: rtmUserId, ...common } });
  }
  if (chatUserId !== undefined) {
    const subject = { case: "user" as const, value: { userId: chatUserId } };
    entries.push({ case: "chat", value: { subject, ...common } });
  }
  if (whiteboardRoom !== undefined) {
    const scope = { case: "room" as const, value: { roomUuid: whiteboardRoom } };
    entries.push({ case: "whiteboard", value: { scope, role: whiteboardRole, ...common } });
  }
  return entries;
}

function sessionForm(request: SessionRequest, tokens: Issued[]): SessionForm {
  const { rtmUserId, chatUserId, whiteboardRoom } = request;
  const [rtc, ...others] = tokens;
  const next = (): string => others.shift()?.token ?? "";
  return {
    app_id: rtc?.appId ?? "",
    channel: request.channel,
    uid: request.uid,
    role: request.role,
    issue_time: earliest(tokens.map(({ issueMs }) => issueMs)),
    expire_time: earliest(tokens.map(({ expireMs }) => expireMs)),
    renew_time: earliest(tokens.map(({ renewMs }) => renewMs)),
    rtc_token: rtc?.token ?? "",
    ...(rtmUserId !== undefined && { rtm_user_id: rtmUserId, rtm_token: next() }),
    ...(chatUserId !== undefined && { chat_user_id: chatUserId, chat_token: next() }),
    ...(whiteboardRoom !== undefined && {
      whiteboard_room: whiteboardRoom,
      whiteboard_token: next(),
    }),
  };
}

function earliest(times: number[]): string {
  return new Date(Math.min(...times)).toISOString();
}

// Returns the lifetime in seconds that all tokens can have; undefined if they expire together
// already. The server reads its clock for each token; lifetimes differ only where grants differ.
function shorterTtl(tokens: Issued[]): number | undefined {
  const ends = tokens.map(({ expireMs }) => expireMs);
  if (Math.max(...ends) - Math.min(...ends) <= TOGETHER_MS) return undefined;
  const lifetimes = tokens.map(({ issueMs, expireMs }) => expireMs - issueMs);
  return Math.floor(Math.min(...lifetimes) / 1000);
}

// Returns the server's error as a SessionError if it is about one of the entries, whose path ends
// with the product: requests[3].whiteboard.
function withProduct(error: ServiceError): Error {
  const { entry, field } = readRefusal(error);
  const product = /^requests\[\d+\]\.(\w+)/.exec(entry ?? field ?? "")?.[1];
  return product ? new SessionError(product, error) : error;
}
