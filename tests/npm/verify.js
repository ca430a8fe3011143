// Verifies tokens with Agora's official packages: reads one JSON object a line from standard input,
// writes one a line to standard output.
//
// In: {token, certificate} or, for 006, {token, certificate, channel, uid}, or, for netless,
// {token, secret_key}. Out: {verified, fields} or {error}.
"use strict";

const readline = require("readline");
const zlib = require("zlib");

// netless-token draws its nonce from uuid.v1: give it ours.
const pinned = { nonce: "" };
const uuidPath = require.resolve("uuid");
require.cache[uuidPath] = { id: uuidPath, loaded: true, exports: { v1: () => pinned.nonce } };
const netless = require("netless-token");
const { AccessToken } = require("agora-access-token/src/AccessToken");
const { AccessToken2 } = require("agora-token/src/AccessToken2");

// What a service holds, e.g. {type, privileges, channel_name, uid}.
function described({ __type, __privileges, ...body }) {
  const plain = (value) => (Buffer.isBuffer(value) ? value.toString() : (value.details ?? value));
  const fields = Object.entries(body).map(([name, value]) => [name.slice(2), plain(value)]);
  return { type: __type, privileges: __privileges, ...Object.fromEntries(fields) };
}

function verify007({ token, certificate }) {
  const parsed = new AccessToken2();
  if (!parsed.from_string(token)) throw new Error("agora-token cannot read it");
  const signed = parsed.verifySignature(certificate);
  // Its parser reads the i16 role -1 as 65535.
  for (const service of parsed.services) {
    if (service.__role !== undefined) service.__role = (service.__role << 16) >> 16;
  }
  // Built again by the official code from what it read: the same bytes, but for deflate's.
  parsed.appId = parsed.appId.toString();
  parsed.appCertificate = certificate;
  const inflate = (text) => zlib.inflateSync(Buffer.from(text.slice(3), "base64"));
  const rebuilt = inflate(parsed.build()).equals(inflate(token));
  const services = parsed.services.map(described);
  const { appId, issueTs, expire, salt } = parsed;
  return { verified: signed && rebuilt, fields: { app_id: appId, issueTs, expire, salt, services } };
}

function verify006({ token, certificate, channel, uid }) {
  const parsed = new AccessToken(token.slice(3, 35), certificate, channel, uid);
  if (!parsed.fromString(token)) throw new Error("agora-access-token cannot read it");
  const { ts, salt, messages } = parsed;
  // The package has no verifier: it builds the token again from what it read.
  return { verified: parsed.build() === token, fields: { ts, salt, privileges: messages } };
}

function verifyNetless({ token, secret_key }) {
  const [prefix, body] = [token.slice(0, token.indexOf("_") + 1), token.slice(token.indexOf("_") + 1)];
  const query = Buffer.from(body, "base64url").toString();
  const fields = Object.fromEntries(
    query.split("&").map((pair) => pair.split("=", 2).map(decodeURIComponent)),
  );
  const { ak, nonce, expireAt, sig, ...content } = fields;
  const makers = {
    [netless.TokenPrefix.SDK]: netless.sdkToken,
    [netless.TokenPrefix.ROOM]: netless.roomToken,
    [netless.TokenPrefix.TASK]: netless.taskToken,
  };
  // The package has no verifier: it makes the token again, at the moment of its issue.
  pinned.nonce = nonce;
  const lifespan = expireAt === undefined ? 0 : 1;
  const now = Date.now;
  Date.now = () => Number(expireAt) - lifespan;
  const again = makers[prefix](ak, secret_key, lifespan, content);
  Date.now = now;
  return { verified: again === token, fields: { prefix, ...fields } };
}

function verify(request) {
  if (request.token.startsWith("007")) return verify007(request);
  if (request.token.startsWith("006")) return verify006(request);
  return verifyNetless(request);
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  let answer;
  try {
    answer = verify(JSON.parse(line));
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
});
