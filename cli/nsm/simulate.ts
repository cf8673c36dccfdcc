/** `sealrpc nsm simulate`: a simulated security module, to put behind a virtual machine's device. */
import { readFileSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { Simulator, type SimulatedPcrIndex } from "../../attestation/nsm/index.ts";
import { readImageFile } from "../../image/index.ts";
import { parseAddress } from "../../transport/address.ts";
import { listen } from "../../transport/listen.ts";
import { duration } from "../arguments.ts";
import { drainOnSignal } from "../drain.ts";
import { measurementFacts } from "../image/measurements.ts";
import { createLogger, logLevelOption } from "../logger.ts";
import { usageError } from "../policy-file.ts";
import { answerRequests } from "./module-socket.ts";

interface Flags {
  readonly socket: string;
  readonly pcrs?: string;
  readonly image?: string;
  readonly moduleId?: string;
  readonly debug?: boolean;
  readonly latency?: number;
  readonly writePolicy?: string;
  readonly logLevel: string;
}

type PcrValues = Partial<Record<SimulatedPcrIndex, string>>;

const NOTES = `
For virtual machines whose guests have the real driver (nsm.ko): whoever provides the device passes each
request on to the socket and the response back. A frame is its length, 4 bytes little endian, and the
CBOR that driver and module exchange. Evidence of a simulator proves nothing; only clients with the
policy that --write-policy writes, which names its root, believe it.

The file of --pcrs is what \`sealrpc image measure --json\` prints: {"pcr0": "<96 hex digits>", …} with
pcr0, pcr1, pcr2, pcr3 and pcr8 as needed.

Example:
  sealrpc nsm simulate --socket /tmp/nsm.sock --image notary.eif --write-policy policy.json

SIGTERM or SIGINT ends it with 0.`;

/** The command, to be registered under `nsm`. */
export function simulateCommand(): Command {
  return new Command("simulate")
    .description("Answer requests to a security module on a Unix socket, with simulated evidence.")
    .requiredOption("--socket <path>", "where to listen, for this user only")
    .addOption(new Option("--pcrs <file>", "measurements to attest to, JSON").conflicts("image"))
    .option("--image <eif>", "attest to the measurements of this image")
    .option("--module-id <id>", "i-<17 hex digits>-enc<16 hex digits> (default: random)")
    .option("--debug", "attest as an enclave in debug mode: PCR0, 1, 2 and 8 are zero")
    .option("--latency <duration>", "how long each request takes: 5ms (default: 0)", duration)
    .option("--write-policy <file>", "write the policy that admits this simulator")
    .addOption(logLevelOption())
    .addHelpText("after", NOTES)
    .action(run);
}

async function run(flags: Flags, command: Command): Promise<void> {
  const logger = createLogger(flags.logLevel);
  const simulator = await createSimulator(flags, command);
  const address = parseAddress(`unix:${resolve(flags.socket)}`);
  const connections = new Set<Socket>();
  const listener = await listen(
    address,
    (socket) => {
      connections.add(socket);
      socket.on("close", () => connections.delete(socket)).on("error", () => {});
      answerRequests(simulator, socket).then(
        () => socket.end(),
        (error: unknown) => {
          logger.warn({ reason: (error as Error).message }, "a connection was closed");
          socket.destroy();
        },
      );
    },
    { mode: 0o600 },
  );
  if (flags.writePolicy !== undefined) {
    const policy = {
      ...simulator.policyOptions(),
      ...(flags.debug === true ? { insecureAllowDebug: true } : {}),
    };
    writeFileSync(flags.writePolicy, `${JSON.stringify(policy, null, 2)}\n`);
  }
  console.error("SIMULATED: what this module signs proves nothing about any enclave.");
  logger.info({ socket: flags.socket, moduleId: simulator.moduleId }, "listening");
  await drainOnSignal(
    async () => {
      await listener.close();
      for (const socket of connections) socket.destroy();
      await simulator.close();
    },
    (signal) => logger.info({ signal }, "stopping"),
  );
}

async function createSimulator(flags: Flags, command: Command): Promise<Simulator> {
  const { moduleId, debug, latency } = flags;
  const file = flags.pcrs ?? flags.image ?? "--module-id";
  try {
    return await Simulator.create({ pcrs: pcrsOf(flags), moduleId, debug, latencyMs: latency });
  } catch (error) {
    return usageError(command, file, error);
  }
}

/** @throws SyntaxError or TypeError for a file that lists no registers. */
function pcrsOf({ pcrs, image }: Flags): PcrValues {
  if (image !== undefined)
    return byIndex({ ...measurementFacts(readImageFile(image).measurements) });
  if (pcrs === undefined) return {};
  const values: unknown = JSON.parse(readFileSync(pcrs, "utf8"));
  if (typeof values !== "object" || values === null || Array.isArray(values)) {
    throw new TypeError('expected an object, {"pcr0": "<96 hex digits>", …}');
  }
  return byIndex(values as Record<string, unknown>);
}

function byIndex(values: Readonly<Record<string, unknown>>): PcrValues {
  const entries = Object.entries(values).map(([name, digits]) => {
    const index = /^pcr([01238])$/.exec(name)?.[1];
    if (index === undefined) throw new TypeError(`expected pcr0, 1, 2, 3 or 8, found ${name}`);
    if (typeof digits !== "string") throw new TypeError(`${name}: expected a string of hex digits`);
    return [index, digits];
  });
  return Object.fromEntries(entries) as PcrValues;
}
