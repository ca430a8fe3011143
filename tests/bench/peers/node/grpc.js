// A gRPC server around Agora's npm package, with the messages of our contract and no checks.
"use strict";
const fs = require("fs");
const path = require("path");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");
const { RtcRole, RtcTokenBuilder } = require("agora-token");

const { APP_ID, APP_CERTIFICATE, LISTEN } = process.env;
const LIFE = 3600;
const image = path.join(__dirname, "../../../../protos/token_authority.binpb");
const contract = grpc.loadPackageDefinition(
  loader.loadFileDescriptorSetFromBuffer(fs.readFileSync(image), { keepCase: true, longs: Number }),
);
const server = new grpc.Server();
server.addService(contract.token_authority.v1.TokenService.service, {
  IssueRtcToken: (call, answer) => {
    const { channel_name: channel, uid } = call.request;
    const now = Math.floor(Date.now() / 1000);
    const token = RtcTokenBuilder.buildTokenWithUid(
      APP_ID, APP_CERTIFICATE, channel, Number(uid), RtcRole.PUBLISHER, LIFE, LIFE);
    console.error(`issued rtc channel=${channel} uid=${uid}`);
    answer(null, {
      issued_token: {
        token, app_id: APP_ID, issue_time: { seconds: now }, expire_time: { seconds: now + LIFE },
      },
    });
  },
});
server.bindAsync(LISTEN, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
});
