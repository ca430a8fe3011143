// Builds tokens with Agora's official packages at a given moment: reads one JSON object a line from
// standard input, writes one a line to standard output.
//
// In: {now_ms, salt, nonce, builder, args}; `builder` is a name in BUILDERS. Out: {token} or {error}.
"use strict";

const readline = require("readline");

// What the packages take of clock and chance, pinned for each line.
const pinned = { now_ms: 0, salt: 0, nonce: "" };
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...args) {
    super(...(args.length ? args : [pinned.now_ms]));
  }
  static now() {
    return pinned.now_ms;
  }
};
// agora-token draws its salt as floor(random * 99999999) + 1.
Math.random = () => (pinned.salt - 0.5) / 99999999;
// netless-token draws its nonce from uuid.v1.
const uuidPath = require.resolve("uuid");
require.cache[uuidPath] = { id: uuidPath, loaded: true, exports: { v1: () => pinned.nonce } };
// agora-access-token draws one salt for the life of the process, when it is loaded.
const module006 = require("agora-access-token/src/AccessToken");
const AccessToken006 = module006.AccessToken;
module006.AccessToken = function (...args) {
  AccessToken006.apply(this, args);
  this.salt = pinned.salt;
};

const agoraAccessToken = require("agora-access-token");
const agoraToken = require("agora-token");
const module007 = require("agora-token/src/AccessToken2");
const netless = require("netless-token");

const BUILDERS = {
  "006": agoraAccessToken,
  "007": agoraToken,
  netless: { token: netless },
  // For what Agora's packages can write and have no builder for.
  raw: { token: { privileges006, services007 } },
};

function privileges006(appId, certificate, channel, uid, privileges) {
  const token = new module006.AccessToken(appId, certificate, channel, uid);
  for (const [privilege, ends] of Object.entries(privileges)) token.addPriviledge(privilege, ends);
  return token.build();
}

function services007(appId, certificate, expire, services) {
  const token = new module007.AccessToken2(appId, certificate, 0, expire);
  for (const { service, args, role, privileges } of services) {
    const added = new module007[service](...args.map(revive));
    // Its constructor turns role 0 into -1.
    if (role !== undefined) added.__role = role;
    for (const [right, seconds] of Object.entries(privileges)) added.add_privilege(right, seconds);
    token.add_service(added);
  }
  return token.build();
}

// Permissions come as a list of [resource type, permission type, resources].
function revive(arg) {
  if (arg === null || arg.permissions === undefined) return arg;
  const permissions = new module007.Rtm2Permissions();
  for (const row of arg.permissions) permissions.add(...row);
  return permissions;
}

function build({ builder, args, ...moment }) {
  Object.assign(pinned, moment);
  const [version, group, name] = builder.split(".");
  return BUILDERS[version][group][name](...args.map(revive));
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  let answer;
  try {
    answer = { token: build(JSON.parse(line)) };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
});
