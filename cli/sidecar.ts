/** `sealrpc sidecar`: plain gRPC of any client in, sealed calls to an attested enclave out. */
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { Command } from "commander";
import type { Logger } from "pino";
import {
  DEFAULT_LIMITS,
  type Sidecar,
  type SidecarTls,
  startSidecar,
} from "../services/sidecar/index.ts";
import { appraisalNotes } from "./appraisal-notes.ts";
import { addressText, count } from "./arguments.ts";
import { drainOnSignal } from "./drain.ts";
import { letHeapGrow } from "./heap.ts";
import { createLogger, logLevelOption } from "./logger.ts";
import { outerCredentials } from "./outer-credentials.ts";
import { readPolicy, type StatedPolicy } from "./policy-file.ts";
import { reloadOnHangup } from "./policy-reload.ts";

/** Between attempts to say which enclave it is. */
const ATTACH_INTERVAL_MS = 5_000;

interface Flags {
  readonly listen: string;
  readonly target: string;
  readonly policy: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsTarget?: boolean;
  readonly tlsTargetCa?: string;
  readonly tlsTargetCert?: string;
  readonly tlsTargetKey?: string;
  readonly sessions: number;
  readonly maxMessageBytes: number;
  readonly insecureListenAnywhere?: boolean;
  readonly logLevel: string;
}

const EXAMPLES = `
Whoever can connect speaks as the client, so it listens on a loopback address or on a Unix socket
that only its own user may open. Targets are gRPC's: host:port, dns:///host:port, unix:/path.

Examples:
  # beside a client in any language, which then calls 127.0.0.1:50051 without TLS
  sealrpc sidecar --listen 127.0.0.1:50051 --target api.example.com:443 --tls-target \\
    --policy policy.json

  # on a Unix socket; gRPC clients call it unix:/run/app/sealrpc.sock
  sealrpc sidecar --listen unix:/run/app/sealrpc.sock --target api.example.com:443 --tls-target \\
    --policy policy.json

Every answer names the enclave: sealrpc-module-id and sealrpc-pcr0 in its metadata. A call that
failed says in its trailers what is known of it: sealrpc-outcome (executed, not-executed, unknown)
and, when the enclave did not end it, sealrpc-code. grpc.health.v1 of the service "" answers whether
a session can be had; of any other service, the enclave answers.

SIGHUP reads the policy again, with the release manifest that it names: sessions with enclaves that
it does not admit any more end at once. A policy that cannot be used leaves the old one in place.
SIGTERM or SIGINT drains for up to 30 s and exits with 0; a second one exits with 1.`;

/** The command, to be registered under the program. */
export function sidecarCommand(): Command {
  return new Command("sidecar")
    .description("Take plain gRPC from clients in any language, and seal each call to the enclave.")
    .requiredOption("--listen <address>", "where clients connect", addressText)
    .requiredOption("--target <target>", "where the enclave's proxy listens")
    .requiredOption("--policy <file>", "what the enclave must be, JSON")
    .option("--tls-cert <file>", "certificate chain for clients, PEM (with --tls-key)")
    .option("--tls-key <file>", "its private key, PEM")
    .option("--tls-target", "speak TLS to the target")
    .option("--tls-target-ca <file>", "trust these authorities there instead of the system's, PEM")
    .option("--tls-target-cert <file>", "client certificate for the target, PEM")
    .option("--tls-target-key <file>", "its private key, PEM")
    .option("--sessions <n>", "sessions that are kept open", count, 1)
    .option(
      "--max-message-bytes <n>",
      "the longest message that passes, either way",
      count,
      DEFAULT_LIMITS.maxMessageBytes,
    )
    .option(
      "--insecure-listen-anywhere",
      "allow an address that other machines can connect to; each of them speaks as the client",
    )
    .addOption(logLevelOption())
    .addHelpText("after", EXAMPLES)
    .action(async (flags: Flags, command: Command) => {
      await run(flags, command);
    });
}

async function run(flags: Flags, command: Command): Promise<void> {
  letHeapGrow();
  requirePair(command, "--tls-cert", flags.tlsCert, "--tls-key", flags.tlsKey);
  const { tlsTargetCert, tlsTargetKey } = flags;
  requirePair(command, "--tls-target-cert", tlsTargetCert, "--tls-target-key", tlsTargetKey);
  const stated = await readPolicy(flags.policy, command);
  const logger = createLogger(flags.logLevel);
  const starting = startSidecar({
    listen: flags.listen,
    target: flags.target,
    policy: stated.policy,
    credentials: await outerCredentials({
      tls: flags.tlsTarget,
      tlsCa: flags.tlsTargetCa,
      tlsCert: tlsTargetCert,
      tlsKey: tlsTargetKey,
    }),
    sessions: flags.sessions,
    tls: readTls(flags),
    insecureListenAnywhere: flags.insecureListenAnywhere,
    limits: { maxMessageBytes: flags.maxMessageBytes },
    logger,
  });
  const sidecar = await starting.catch((error: unknown) => {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    return command.error(`error: ${error.message}`, { exitCode: 2 });
  });
  logger.info({ address: sidecar.address, target: flags.target }, "listening");
  void announce(sidecar, stated, logger);
  reloadOnHangup(flags.policy, logger, (policy) => sidecar.updatePolicy(policy));
  await drainOnSignal(
    async (graceMs) => sidecar.close(graceMs),
    (signal) => logger.info({ signal }, "draining"),
  );
  logger.info({}, "stopped");
}

/** Says which enclave it is attached to, as soon as there is one, and until then why there is none. */
async function announce(sidecar: Sidecar, stated: StatedPolicy, logger: Logger): Promise<void> {
  for (let lastReason = ""; ;) {
    try {
      const evidence = await sidecar.ready();
      const { moduleId, pcrs } = evidence.claims;
      const notes = appraisalNotes(stated, evidence);
      for (const note of notes) logger.warn({}, note);
      logger.info({ moduleId, pcr0: pcrs[0], notes }, "attached to the enclave");
      return;
    } catch (error) {
      if (sidecar.isClosing) return;
      const reason = (error as Error).message;
      if (reason !== lastReason) logger.warn({ reason }, "no session with an enclave: calls fail");
      lastReason = reason;
      await pause(ATTACH_INTERVAL_MS, undefined, { ref: false });
    }
  }
}

function requirePair(
  command: Command,
  certName: string,
  cert: string | undefined,
  keyName: string,
  key: string | undefined,
): void {
  if ((cert === undefined) === (key === undefined)) return;
  command.error(`error: ${certName} and ${keyName} go together`, { exitCode: 2 });
}

function readTls({ tlsCert, tlsKey }: Flags): SidecarTls | undefined {
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  return { cert: readFileSync(tlsCert, "utf8"), key: readFileSync(tlsKey, "utf8") };
}
