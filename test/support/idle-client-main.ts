/**
 * A program that calls an enclave and then has nothing more to do. It never closes its channel, and
 * must end all the same. Arguments: target, policy as JSON, PEM of a TLS root or "", what to send;
 * "connect" only connects.
 */
import { Metadata, credentials, makeClientConstructor } from "@grpc/grpc-js";

import { AttestedChannel } from "../../services/client/attested-channel.ts";
import type { PolicyOptions } from "../../attestation/policy.ts";

const [target = "", policy = "", rootPem = "", request = "0"] = process.argv.slice(2);
const channel = new AttestedChannel(target, {
  policy: JSON.parse(policy) as PolicyOptions,
  ...(rootPem === ""
    ? {}
    : {
        credentials: credentials.createSsl(Buffer.from(rootPem), null, null, {
          checkServerIdentity: () => undefined,
        }),
        channelOptions: { "grpc.ssl_target_name_override": "proxy" },
      }),
});
const asIs = (value: Buffer): Buffer => value;
const Client = makeClientConstructor({}, "any");
const client = new Client(target, credentials.createInsecure(), { channelOverride: channel });
if (request === "connect") {
  client.waitForReady(Date.now() + 5_000, (error) => console.log(error?.message ?? "ready"));
} else {
  const bytes = Buffer.from(request);
  client.makeUnaryRequest("/a.B/C", asIs, asIs, bytes, new Metadata(), {}, (error, value) => {
    console.log(error === null ? `answered ${String(value)}` : error.message);
  });
}
