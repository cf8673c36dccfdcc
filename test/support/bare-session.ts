/**
 * What the bare realm runs: handshakes on the portable backend, the evidence verified for real, and
 * a record over each. The enclave's module is the caller's, outside the realm.
 */
import { Policy } from "../../attestation/policy.ts";
import { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import { ClientHandshake } from "../../channel/client-handshake.ts";
import { HelloBatcher } from "../../channel/hello-batch.ts";
import { Opener, Sealer } from "../../channel/record.ts";
import { Session } from "../../channel/session.ts";
import { SUITE_IDS } from "../../channel/suite.ts";
import { portableBackend as backend } from "../../crypto/portable.ts";

/** Gives what the realm can see of Node, and what came through a session of each suite. */
export async function runSessions(
  attest: (publicKey: Uint8Array, userData: Uint8Array, nonce: Uint8Array) => Promise<Uint8Array>,
  policyJson: string,
  now: number,
): Promise<{ globals: string[]; received: string[] }> {
  const policy = Policy.from(JSON.parse(policyJson) as Parameters<typeof Policy.from>[0]);
  const batcher = new HelloBatcher({
    backend,
    suites: SUITE_IDS,
    attest: async ({ publicKey, userData, nonce }) =>
      Uint8Array.from(await attest(publicKey, userData, nonce)),
  });
  const received: string[] = [];
  for (const suite of SUITE_IDS) {
    const client = new ClientHandshake({
      backend,
      suites: [suite],
      verify: (evidence, { challenge, userData }) =>
        VerifiedEvidence.verify(evidence, { policy, challenge, userData, now, backend }),
      initialCredit: 65_536,
    });
    const handshake = await batcher.accept(client.hello());
    const finish = await client.receiveHello(handshake.reply);
    const { reply, established } = handshake.receiveFinish(finish, {
      maxAgeMs: 3_600_000,
      maxIdleMs: 600_000,
      maxConcurrentCalls: 1,
      maxDelayMs: 30_000,
      initialCredit: 65_536,
    });
    const { sendSecret } = client.receiveFinish(reply);
    if (established === undefined) throw new Error("refused");
    const direction = { backend, suite, nowMs: 0 };
    const sealer = new Sealer({ ...direction, secret: sendSecret, padding: "padme" });
    const opener = new Opener({ ...direction, secret: established.receiveSecret });
    const record = sealer.seal("frames", new TextEncoder().encode(`sealed by suite ${suite}`));
    received.push(new TextDecoder().decode(opener.open(record, 0).content));
  }
  const ofNode = ["process", "Buffer", "require", "setTimeout", "setImmediate", "performance"];
  const globals = ofNode.filter((name) => name in globalThis);
  if (Session.name === "") throw new Error("the session did not load");
  return { globals, received };
}
