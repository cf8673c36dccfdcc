/** Runs `bare-session.ts` in the bare realm and prints what it gave. */
import { Simulator } from "../../attestation/nsm/simulator.ts";
import { loadInBareRealm } from "./bare-realm.ts";
import type { runSessions } from "./bare-session.ts";

const simulator = await Simulator.create();
const module = await loadInBareRealm("dist/test/support/bare-session.js");
const run = module["runSessions"] as typeof runSessions;
const result = await run(
  (publicKey, userData, nonce) =>
    simulator.attest({
      publicKey: Uint8Array.from(publicKey),
      userData: Uint8Array.from(userData),
      nonce: Uint8Array.from(nonce),
    }),
  JSON.stringify(simulator.policyOptions()),
  Date.now(),
);
console.log(JSON.stringify(result));
