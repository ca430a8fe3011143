// Reads a token with Agora's library. A service that hands tokens out has no need to; it is here to
// show that they are good. (The library exports its parser, untyped, from one file only.)

import { createRequire } from "node:module";

interface Parser {
  appId: string | Buffer;
  services: { __channel_name: string | Buffer; __uid: string | Buffer }[];
  from_string(token: string): boolean;
}

const require = createRequire(import.meta.url);
const { AccessToken2 } = require("agora-token/src/AccessToken2") as {
  AccessToken2: new () => Parser;
};
const { version } = require("agora-token/package.json") as { version: string };

export const library = `agora-token ${version}`;

export function parse(token: string): { channel_name: string; uid: string; app_id: string } {
  const parsed = new AccessToken2();
  if (!parsed.from_string(token)) throw new Error("agora-token cannot read the token");
  const [rtc] = parsed.services;
  if (!rtc) throw new Error("there is no service in the token");
  return {
    channel_name: String(rtc.__channel_name),
    uid: String(rtc.__uid),
    app_id: String(parsed.appId),
  };
}
