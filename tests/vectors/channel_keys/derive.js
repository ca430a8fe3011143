// Derives the key and salt of each case of vectors.json, with Node.js alone and from the description
// in ../README.md: `node derive.js` prints the cases as JSON.
"use strict";
const { createHmac, createHash } = require("node:crypto");
const { cases } = require("./vectors.json");

const LABEL = "agora-token-authority channel key";

function hmac(key, ...parts) {
  const mac = createHmac("sha256", key);
  parts.forEach((part) => mac.update(part));
  return mac.digest();
}

// RFC 5869 with SHA-256, without a salt (32 zero bytes), for 32 bytes: one block.
function hkdf(secret, info) {
  return hmac(hmac(Buffer.alloc(32), secret), info, Buffer.from([1]));
}

function info(...texts) {
  return Buffer.concat(
    texts.flatMap((text) => {
      const bytes = Buffer.from(text, "utf8");
      return [Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes];
    }),
  );
}

function derive({ secret, app_id, channel, context }) {
  const of = (name) =>
    hkdf(Buffer.from(secret, "hex"), info(LABEL, "1", app_id.toLowerCase(), channel, context, name));
  const encryption_key = of("key").toString("base64url");
  return {
    encryption_key,
    salt_base64: of("salt").toString("base64"),
    fingerprint: createHash("sha256").update(encryption_key).digest("hex").slice(0, 32),
  };
}

console.log(JSON.stringify(cases.map(({ inputs }) => derive(inputs))));
