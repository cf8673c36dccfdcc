/** A real server over a real socket, on the simulator, and raw clients of it. */
import type { Settings } from "node:http2";

import type { Policy as PolicyType } from "../../attestation/policy.ts";
import { Policy } from "../../attestation/policy.ts";
import { Simulator } from "../../attestation/nsm/simulator.ts";
import { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import type { ClientHandshakeOptions } from "../../channel/client-handshake.ts";
import { EnclaveServer } from "../../services/enclave/server.ts";
import type { EnclaveServerOptions } from "../../services/enclave/options.ts";
import type { Logger } from "../../services/enclave/logger.ts";
import { RawClient } from "./raw-client.ts";
import type { RawSession } from "./raw-client.ts";

/** Says nothing. */
export const SILENT: Logger = { debug() {}, info() {}, warn() {} };

export class TestEnclave {
  readonly server: EnclaveServer;
  readonly policy: PolicyType;
  readonly #clients: RawClient[] = [];
  #address = "";

  private constructor(server: EnclaveServer, policy: PolicyType) {
    this.server = server;
    this.policy = policy;
  }

  /** A server on a free port of the loopback, with what `add` adds to it. */
  static async start(
    add: (server: EnclaveServer) => void,
    options: EnclaveServerOptions = {},
  ): Promise<TestEnclave> {
    const simulator = await Simulator.create();
    const server = new EnclaveServer({ attester: simulator, logger: SILENT, ...options });
    add(server);
    const enclave = new TestEnclave(server, Policy.from(simulator.policyOptions()));
    enclave.#address = await server.listen("127.0.0.1:0");
    return enclave;
  }

  get address(): string {
    return this.#address;
  }

  async dial(settings: Settings = {}): Promise<RawClient> {
    const client = await RawClient.dial(this.#address, settings);
    this.#clients.push(client);
    return client;
  }

  get verify(): ClientHandshakeOptions["verify"] {
    const { policy } = this;
    return (evidence, { challenge, userData }) =>
      VerifiedEvidence.verify(evidence, { policy, challenge, userData });
  }

  /** A session on a connection of its own. */
  async session(options: Pick<ClientHandshakeOptions, "attest"> = {}): Promise<RawSession> {
    const client = await this.dial();
    return client.session({ verify: this.verify, ...options });
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.server.close();
  }
}
