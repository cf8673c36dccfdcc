/** A stock grpc-js server, in the clear or with TLS ended in it. */
import http2 from "node:http2";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { createCredentials } from "../certificate.ts";
import { runChild } from "./child.ts";
import { echoHandlers, echoService } from "./echo-service.ts";
import type { Reachable } from "./reachable.ts";

interface Options {
  readonly folder: string;
  readonly tls?: boolean;
  /** On a Unix socket instead of a loopback port. */
  readonly onSocket?: boolean;
  readonly windowBytes?: number;
}

runChild(async ({ folder, tls = false, onSocket = false, windowBytes }: Options) => {
  if (windowBytes !== undefined) raiseWindows(windowBytes);
  const server = new Server();
  server.addService(echoService, echoHandlers);
  const { certificatePem, privateKeyPem } = createCredentials();
  const pair = { private_key: Buffer.from(privateKeyPem), cert_chain: Buffer.from(certificatePem) };
  const socket = `unix:${folder}/application.sock`;
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(
      onSocket ? socket : "127.0.0.1:0",
      tls ? ServerCredentials.createSsl(null, [pair]) : ServerCredentials.createInsecure(),
      (error, bound) => (error === null ? resolve(bound) : reject(error)),
    );
  });
  const ready: Reachable = {
    folder,
    address: onSocket ? socket : `127.0.0.1:${port}`,
    trust: tls ? certificatePem : undefined,
  };
  return { ready };
});

/** grpc-js has no option for its server's windows, so they are raised underneath. */
function raiseWindows(windowBytes: number): void {
  const create = http2.createSecureServer;
  http2.createSecureServer = ((options: http2.SecureServerOptions) => {
    const server = create({
      ...options,
      settings: { ...options.settings, initialWindowSize: windowBytes },
      maxSessionMemory: Number.MAX_SAFE_INTEGER,
    });
    server.on("session", (session) => session.setLocalWindowSize(2 * windowBytes));
    return server;
  }) as typeof create;
}
