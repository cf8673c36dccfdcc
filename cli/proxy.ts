/** `sealrpc proxy`: the host's end, which forwards sealed streams and holds no key. */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import {
  DEFAULT_LIMITS,
  DEFAULT_WINDOW_BYTES,
  type ProxyTls,
  startProxy,
} from "../services/proxy/index.ts";
import { addressText, count } from "./arguments.ts";
import { drainOnSignal } from "./drain.ts";
import { letHeapGrow } from "./heap.ts";
import { createLogger, logLevelOption } from "./logger.ts";
import { VSOCK_BUFFER_NOTE, vsockBufferOption } from "./vsock-buffer.ts";

interface Flags {
  readonly listen: string;
  readonly enclave: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly clientCa?: string;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  readonly maxSessionsPerSecond: number;
  readonly window: number;
  readonly vsockBuffer?: number;
  readonly logLevel: string;
}

const EXAMPLES = `
Addresses: host:port, [v6]:port, unix:/path, vsock:CID:PORT, vsock+uds:/path.vsock:PORT

Examples:
  # on the parent instance of a Nitro Enclave with CID 16
  sealrpc proxy --listen 0.0.0.0:8443 --enclave vsock:16:5000 --tls-cert cert.pem --tls-key key.pem

  # in front of a Firecracker or Cloud Hypervisor guest
  sealrpc proxy --listen 127.0.0.1:8080 --enclave vsock+uds:/run/vm.vsock:5000

  # only clients with a certificate of this authority
  sealrpc proxy --listen 0.0.0.0:8443 --enclave vsock:16:5000 \\
    --tls-cert cert.pem --tls-key key.pem --client-ca clients.pem

${VSOCK_BUFFER_NOTE}

SIGTERM or SIGINT drains for up to 30 s and exits with 0; a second one exits with 1.`;

/** The command, to be registered under the program. */
export function proxyCommand(): Command {
  return new Command("proxy")
    .description(
      "Forward sealed sessions between clients and the enclave; it can open none of them.",
    )
    .requiredOption("--listen <address>", "where clients connect", addressText)
    .requiredOption("--enclave <address>", "where the enclave listens", addressText)
    .option("--tls-cert <file>", "certificate chain for clients, PEM (with --tls-key)")
    .option("--tls-key <file>", "its private key, PEM")
    .option("--client-ca <file>", "demand a client certificate of these authorities, PEM")
    .option(
      "--max-connections <n>",
      "client connections at once",
      count,
      DEFAULT_LIMITS.maxConnections,
    )
    .option(
      "--max-connections-per-address <n>",
      "client connections at once of one IPv4 address or IPv6 /64; raise it behind a load balancer",
      count,
      DEFAULT_LIMITS.maxConnectionsPerAddress,
    )
    .option(
      "--max-sessions-per-second <n>",
      "new sessions a second of one address, after a burst of four times that; raise it too",
      count,
      DEFAULT_LIMITS.maxSessionsPerSecond,
    )
    .option(
      "--window <bytes>",
      "bytes that a client may have on its way on one stream",
      count,
      DEFAULT_WINDOW_BYTES,
    )
    .addOption(vsockBufferOption())
    .addOption(logLevelOption())
    .addHelpText("after", EXAMPLES)
    .action(async (flags: Flags, command: Command) => {
      await run(flags, command);
    });
}

async function run(flags: Flags, command: Command): Promise<void> {
  letHeapGrow();
  if ((flags.tlsCert === undefined) !== (flags.tlsKey === undefined)) {
    command.error("error: --tls-cert and --tls-key go together", { exitCode: 2 });
  }
  if (flags.clientCa !== undefined && flags.tlsCert === undefined) {
    command.error("error: --client-ca needs --tls-cert and --tls-key", { exitCode: 2 });
  }
  const logger = createLogger(flags.logLevel);
  const proxy = await startProxy({
    enclave: flags.enclave,
    limits: {
      maxConnections: flags.maxConnections,
      maxConnectionsPerAddress: flags.maxConnectionsPerAddress,
      maxSessionsPerSecond: flags.maxSessionsPerSecond,
    },
    listen: flags.listen,
    logger,
    tls: readTls(flags),
    vsockBufferBytes: flags.vsockBuffer,
    windowBytes: flags.window,
  });
  logger.info(
    { address: proxy.address, enclave: flags.enclave, tls: flags.tlsCert !== undefined },
    "listening",
  );
  await drainOnSignal(
    async (graceMs) => proxy.close(graceMs),
    (signal) => logger.info({ signal }, "draining"),
  );
  logger.info({}, "stopped");
}

function readTls({ tlsCert, tlsKey, clientCa }: Flags): ProxyTls | undefined {
  if (tlsCert === undefined || tlsKey === undefined) {
    return undefined;
  }
  return {
    cert: readFileSync(tlsCert, "utf8"),
    clientCa: clientCa === undefined ? undefined : readFileSync(clientCa, "utf8"),
    key: readFileSync(tlsKey, "utf8"),
  };
}
