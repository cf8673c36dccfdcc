/** AttestedChannel, the host's proxy and EnclaveServer, with a forwarder before and behind the proxy. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { Simulator } from "../../attestation/nsm/simulator.ts";
import { createCredentials } from "../../bench/certificate.ts";
import { AttestedChannel, type AttestedChannelOptions } from "../../services/client/index.ts";
import { EnclaveServer } from "../../services/enclave/index.ts";
import { startProxy } from "../../services/proxy/index.ts";
import { SILENT } from "../support/enclave.ts";
import { Forwarder } from "../support/forwarder.ts";
import { behaviorHandlers } from "./handlers.ts";
import { type Harness, linkOf } from "./harness.ts";
import { serverInterceptor } from "./interceptor-cases.ts";
import { Ledger } from "./ledger.ts";
import { BehaviorClient, behaviorDefinition, MESSAGE_LIMIT_BYTES } from "./service.ts";

/** How a channel differs from the preset one. */
export interface Variant extends Pick<
  AttestedChannelOptions,
  "sessions" | "suites" | "padding" | "backend"
> {
  /** TLS between client and proxy. */
  readonly tls?: boolean;
}

export async function startSealed({ tls = false, ...options }: Variant = {}): Promise<Harness> {
  const folder = mkdtempSync(join(tmpdir(), "sealed-"));
  const [enclaveSocket, backSocket] = [join(folder, "enclave"), join(folder, "back")];
  const ledger = new Ledger();
  const simulator = await Simulator.create();
  const server = new EnclaveServer({
    attester: simulator,
    maxReceiveMessageBytes: MESSAGE_LIMIT_BYTES,
    interceptors: [serverInterceptor],
    logger: SILENT,
  });
  server.addService(behaviorDefinition, behaviorHandlers(ledger));
  await server.listen(`unix:${enclaveSocket}`);
  const back = await Forwarder.start({ path: enclaveSocket }, backSocket);
  const { certificatePem, privateKeyPem } = createCredentials();
  const proxy = await startProxy({
    listen: "127.0.0.1:0",
    enclave: `unix:${backSocket}`,
    tls: tls ? { cert: certificatePem, key: privateKeyPem } : undefined,
  });
  const [host = "", port] = proxy.address.split(":");
  const front = await Forwarder.start({ host, port: Number(port) });
  return {
    ledger,
    links: [linkOf("client to proxy", front), linkOf("proxy to enclave", back)],
    client(interceptors) {
      const target = `127.0.0.1:${front.port}`;
      const channel = new AttestedChannel(target, {
        ...options,
        policy: simulator.policyOptions(),
        credentials: tls
          ? grpc.credentials.createSsl(Buffer.from(certificatePem))
          : grpc.credentials.createInsecure(),
        maxReceiveMessageBytes: MESSAGE_LIMIT_BYTES,
        channelOptions: {
          "grpc.ssl_target_name_override": "localhost",
          "grpc.use_local_subchannel_pool": 1,
          "grpc.initial_reconnect_backoff_ms": 100,
          "grpc.max_reconnect_backoff_ms": 200,
        },
      });
      return new BehaviorClient(target, grpc.credentials.createInsecure(), {
        channelOverride: channel,
        interceptors: [...(interceptors ?? [])],
      });
    },
    async close() {
      await front.down();
      await proxy.close(0);
      await back.down();
      await server.close();
      rmSync(folder, { recursive: true });
    },
  };
}
