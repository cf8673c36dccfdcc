/** The server of one contender, as a process of its own: `serve.js plain|tls|enclave`. */
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { Simulator } from "../attestation/nsm/index.ts";
import { EnclaveServer } from "../services/enclave/index.ts";
import { echoHandlers, echoService } from "./echo-service.ts";
import { createCredentials } from "./certificate.ts";

/** What a client needs to reach a server. */
export interface Reachable {
  readonly address: string;
  /** PEM: the certificate to trust. */
  readonly trust?: string;
  readonly policy?: unknown;
}

const UNLIMITED = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };

async function serveEnclave(socket: string): Promise<Reachable> {
  const simulator = await Simulator.create({});
  const server = new EnclaveServer({ attester: simulator });
  server.addService(echoService, echoHandlers);
  await server.listen(socket);
  return { address: socket, policy: simulator.policyOptions() };
}

async function serveGrpc(tls: boolean): Promise<Reachable> {
  const server = new Server(UNLIMITED);
  server.addService(echoService, echoHandlers);
  const { certificatePem, privateKeyPem } = createCredentials();
  const pair = {
    private_key: Buffer.from(privateKeyPem),
    cert_chain: Buffer.from(certificatePem),
  };
  const credentials = tls
    ? ServerCredentials.createSsl(null, [pair])
    : ServerCredentials.createInsecure();
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { address: `127.0.0.1:${port}`, ...(tls ? { trust: certificatePem } : {}) };
}

const [kind = "plain", socket = ""] = process.argv.slice(2);
process.send?.(kind === "enclave" ? await serveEnclave(socket) : await serveGrpc(kind === "tls"));
process.on("disconnect", () => process.exit(0));
