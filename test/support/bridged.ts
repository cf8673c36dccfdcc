/** A bridge on the simulator, before an application of bare HTTP/2, and raw sessions with it. */
import type { ServerOptions } from "node:http2";
import { Simulator } from "../../attestation/nsm/simulator.ts";
import { Policy } from "../../attestation/policy.ts";
import { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import type { ClientHandshakeOptions } from "../../channel/client-handshake.ts";
import type { OpenOptions } from "../../channel/client-call.ts";
import { type Bridge, type BridgeOptions, startBridge } from "../../services/bridge/index.ts";
import { PlainApplication } from "./plain-application.ts";
import { type RawCall, RawClient, type RawSession } from "./raw-client.ts";

export class Bridged {
  readonly application: PlainApplication;
  readonly bridge: Bridge;
  readonly #policy: Policy;
  readonly #clients: RawClient[] = [];

  private constructor(application: PlainApplication, bridge: Bridge, policy: Policy) {
    this.application = application;
    this.bridge = bridge;
    this.#policy = policy;
  }

  static async start(
    options: Partial<BridgeOptions> = {},
    applicationOptions: ServerOptions = {},
  ): Promise<Bridged> {
    const application = await PlainApplication.start(applicationOptions);
    const simulator = await Simulator.create();
    const bridge = await startBridge({
      listen: "127.0.0.1:0",
      upstream: application.address,
      attester: simulator,
      ...options,
    });
    return new Bridged(application, bridge, Policy.from(simulator.policyOptions()));
  }

  async session(options: Pick<ClientHandshakeOptions, "attest"> = {}): Promise<RawSession> {
    const client = await RawClient.dial(this.bridge.address);
    this.#clients.push(client);
    const policy = this.#policy;
    return client.session({
      verify: (evidence, binding) => VerifiedEvidence.verify(evidence, { policy, ...binding }),
      ...options,
    });
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.bridge.close(0);
    await this.application.down().catch(() => {});
  }
}

/** Opens a call of any method. */
export function open(
  session: RawSession,
  method: string,
  options: Partial<OpenOptions> = {},
): RawCall {
  return session.open("", { ...options, method });
}
