/** `sealrpc enclave`: attests beside an application in any language, and bridges calls to it. */
import { writeFileSync } from "node:fs";
import { Command, Option } from "commander";
import { type Attester, Simulator } from "../attestation/nsm/index.ts";
import { startBridge } from "../services/bridge/index.ts";
import { addressText, cids, count } from "./arguments.ts";
import { drainOnSignal } from "./drain.ts";
import { letHeapGrow } from "./heap.ts";
import { createLogger, logLevelOption } from "./logger.ts";
import { readPolicy } from "./policy-file.ts";
import { reloadOnHangup } from "./policy-reload.ts";
import { VSOCK_BUFFER_NOTE, vsockBufferOption } from "./vsock-buffer.ts";

interface Flags {
  readonly listen: string;
  readonly upstream: string;
  readonly attester: "nsm" | "simulator";
  readonly writePolicy?: string;
  readonly callers?: string;
  readonly maxMessageBytes?: number;
  readonly vsockPeer?: readonly number[];
  readonly vsockBuffer?: number;
  readonly logLevel: string;
}

const EXAMPLES = `
The application serves plain gRPC on a Unix socket or a loopback address of the enclave; every call
that was opened goes to it, whatever the method, health and reflection too. It is waited for. With
--callers it reads who calls it in sealrpc-caller-module-id and sealrpc-caller-pcr0, metadata that
nobody else can set.

Addresses: vsock:any:PORT, vsock+uds:/path.vsock:PORT, unix:/path, host:port

Examples:
  # in a Nitro Enclave
  sealrpc enclave --listen vsock:any:5000 --upstream unix:/run/app.sock

  # on any machine, for development: clients need the policy that it writes
  sealrpc enclave --listen unix:/tmp/enclave.sock --upstream unix:/tmp/app.sock \\
    --attester simulator --write-policy policy.json

${VSOCK_BUFFER_NOTE}

SIGHUP reads the policy of --callers again, with the release manifest that it names: sessions of callers
whom it does not admit any more end at once. A policy that cannot be used leaves the old one in place.
SIGTERM or SIGINT drains for up to 30 s and exits with 0; a second one exits with 1.`;

/** The command, to be registered under the program. */
export function enclaveCommand(): Command {
  return new Command("enclave")
    .description("Attest to an application in any language, and bridge sealed calls to it.")
    .requiredOption("--listen <address>", "where the host's proxy connects", addressText)
    .requiredOption("--upstream <address>", "where the application serves plain gRPC", addressText)
    .addOption(
      new Option("--attester <name>", "who attests to the enclave")
        .choices(["nsm", "simulator"])
        .default("nsm"),
    )
    .option("--write-policy <file>", "write the policy that clients of the simulator need")
    .option("--callers <file>", "admit only callers that attest and that this policy admits, JSON")
    .option(
      "--max-message-bytes <n>",
      "the longest message that passes, either way (default: 16777216)",
      count,
    )
    .option(
      "--vsock-peer <cid>",
      "who may connect to a vsock: address, once for each; 3 is the parent (default: all)",
      cids,
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
  if (flags.writePolicy !== undefined && flags.attester !== "simulator") {
    command.error(
      "error: --write-policy is for the simulator: pin what the image's build measured",
      { exitCode: 2 },
    );
  }
  const callers =
    flags.callers === undefined ? undefined : (await readPolicy(flags.callers, command)).policy;
  const logger = createLogger(flags.logLevel);
  const attester = await attesterOf(flags);
  const stop = new AbortController();
  const starting = startBridge({
    listen: flags.listen,
    upstream: flags.upstream,
    ...(attester === undefined ? {} : { attester }),
    ...(callers === undefined ? {} : { callers }),
    maxMessageBytes: flags.maxMessageBytes,
    vsockPeers: flags.vsockPeer,
    vsockBufferBytes: flags.vsockBuffer,
    logger,
    signal: stop.signal,
  });
  if (flags.callers !== undefined) {
    reloadOnHangup(flags.callers, logger, async (policy) => (await starting).updateCallers(policy));
  }
  const stopped = drainOnSignal(
    async (graceMs) => {
      stop.abort();
      // While the application is waited for there is nothing to drain.
      const bridge = await starting.catch(() => undefined);
      await bridge?.close(graceMs);
    },
    (signal) => logger.info({ signal }, "draining"),
  );
  try {
    const bridge = await starting;
    logger.info({ address: bridge.address, upstream: flags.upstream }, "listening");
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) {
      command.error(`error: ${error.message}`, { exitCode: 2 });
    }
    if (!stop.signal.aborted) throw error;
  }
  await stopped;
  logger.info({}, "stopped");
}

/** Undefined stands for the NSM device, which the server opens by itself. */
async function attesterOf({ attester, writePolicy }: Flags): Promise<Attester | undefined> {
  if (attester === "nsm") return undefined;
  const simulator = await Simulator.create();
  console.error("SIMULATED: this is no enclave, and its host can read everything in it.");
  if (writePolicy !== undefined) {
    writeFileSync(writePolicy, `${JSON.stringify(simulator.policyOptions(), null, 2)}\n`);
  }
  return simulator;
}
