// A REST server around Agora's npm package, as its sample servers are written.
"use strict";
const express = require("express");
const { RtcRole, RtcTokenBuilder } = require("agora-token");

const { APP_ID, APP_CERTIFICATE, LISTEN } = process.env;
const [host, port] = LISTEN.split(":");
const app = express();
app.use(express.json());
app.get("/ping", (request, response) => response.sendStatus(200));
app.post("/rtc", (request, response) => {
  const { channel, uid, expire } = request.body;
  const token = RtcTokenBuilder.buildTokenWithUid(
    APP_ID, APP_CERTIFICATE, channel, uid, RtcRole.PUBLISHER, expire, expire);
  console.error(`issued rtc channel=${channel} uid=${uid}`);
  response.json({ rtcToken: token });
});
app.listen(Number(port), host);
