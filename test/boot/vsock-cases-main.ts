/**
 * The guest's half of the cases (vsock-cases.ts), which each version of Node runs; its argument is how many
 * bytes go each way at once.
 */
import { readdirSync } from "node:fs";
import type { Socket } from "node:net";
import { type Address, VSOCK_CID_ANY } from "../../transport/address.ts";
import { dial } from "../../transport/dial.ts";
import { TransportError } from "../../transport/errors.ts";
import { listen, type ListenOptions } from "../../transport/listen.ts";
import { exchangeBulk, readToEnd } from "./socket-bytes.ts";
import {
  BULK_HEADER_BYTES,
  CASES,
  type CaseName,
  CID,
  formatOutcome,
  LATE_BYTES,
  PORT,
} from "./vsock-cases.ts";

const BULK_BYTES = Number(process.argv[2]);
const CONNECTIONS = 30;
const LIMIT_MS = 120_000;

const cases: Readonly<Record<CaseName, () => Promise<void>>> = {
  "carries bytes both ways at once, as who dials": async () => {
    const socket = await dialHost(PORT.bulk);
    socket.write(bulkHeader());
    await exchangeBulk(socket, BULK_BYTES);
    await closed(socket);
  },

  "carries bytes both ways at once, as who listens": async () => {
    await listening(async (next) => {
      const asking = await dialHost(PORT.bulkBack);
      asking.write(bulkHeader());
      const socket = await next();
      await exchangeBulk(socket, BULK_BYTES);
      await closed(socket);
      asking.destroy();
    });
  },

  "has each direction end by itself": async () => {
    const socket = await dialHost(PORT.answersEnd);
    socket.end("a question");
    equal(String(await readToEnd(socket)), "an answer to a question");
  },

  "goes on sending when the peer has ended": async () => {
    const socket = await dialHost(PORT.endsFirst);
    socket.allowHalfOpen = true;
    equal((await readToEnd(socket)).length, 0);
    socket.end(Buffer.alloc(LATE_BYTES));
    await closed(socket);
  },

  "says that nobody listens on a port": async () => {
    await failsWith("unreachable", dialHost(PORT.nobody));
  },

  "gives up on a CID that never answers": async () => {
    await failsWith("timeout", dial(vsock(CID.nobody, PORT.bulk), { timeoutMs: 300 }));
  },

  "gives up when it is told to": async () => {
    const signal = AbortSignal.timeout(50);
    await failsWith("closed", dial(vsock(CID.nobody, PORT.bulk), { signal }));
  },

  "admits peers by their CIDs, and lets go of others": async () => {
    const ways = {
      itself: () => dial(vsock(CID.itself, PORT.guest)),
      host: () => dialHost(PORT.relay),
    };
    for (const [admitted, refused] of [
      ["host", "itself"],
      ["itself", "host"],
    ] as const) {
      await listening(
        async (next) => {
          equal(String(await readToEnd(await ways[refused]())), "");
          const socket = await ways[admitted]();
          (await next()).end("welcome");
          equal(String(await readToEnd(socket)), "welcome");
        },
        { vsockPeers: [CID[admitted]] },
      );
    }
  },

  "has one listener a port, and the next one when that has closed": async () => {
    for (let round = 0; round < 2; round += 1) {
      await listening(async () => {
        const second = listen(vsock(VSOCK_CID_ANY, PORT.guest), () => {});
        await failsWith("unreachable", second, /EADDRINUSE/);
      });
    }
  },

  "leaves no descriptor behind": async () => {
    const openDescriptors = (): number => readdirSync("/proc/self/fd").length;
    const before = openDescriptors();
    await listening(async (next) => {
      const one = async (port: number): Promise<void> => {
        const socket = await dial(vsock(CID.itself, port));
        (await next()).end("x");
        equal(String(await readToEnd(socket)), "x");
      };
      for (let round = 0; round < CONNECTIONS; round += 1) await one(PORT.guest);
      await Promise.all(Array.from({ length: CONNECTIONS }, () => one(PORT.guest)));
      for (let round = 0; round < CONNECTIONS; round += 1) {
        await failsWith("unreachable", dial(vsock(CID.itself, PORT.nobody)));
      }
    });
    // What has ended closes in a turn of the event loop.
    await settled(() => openDescriptors() === before);
    equal(openDescriptors(), before);
  },
};

let warning: Error | undefined;
process.on("warning", (given) => (warning ??= given));

const node = Number(process.versions.node.split(".")[0]);
for (const name of CASES) {
  let failure: unknown;
  try {
    await limited(cases[name]());
    if (warning !== undefined) throw warning;
  } catch (error) {
    failure = error;
  }
  const error = failure instanceof Error ? (failure.stack ?? failure.message) : undefined;
  console.log(formatOutcome({ node, name, ...(error === undefined ? {} : { error }) }));
}
process.exit();

/** A case that hangs is a failure, and the others go on. */
async function limited(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("does not come to an end")), LIMIT_MS);
  });
  await Promise.race([work, limit]).finally(() => clearTimeout(timer));
}

function vsock(cid: number, port: number): Address {
  return { kind: "vsock", cid, port };
}

async function dialHost(port: number): Promise<Socket> {
  return dial(vsock(CID.host, port));
}

function bulkHeader(): Buffer {
  const header = Buffer.alloc(BULK_HEADER_BYTES);
  header.writeBigUInt64BE(BigInt(BULK_BYTES));
  return header;
}

/** Listens on the guest's port while `work` runs; `next` waits for a connection. */
async function listening(
  work: (next: () => Promise<Socket>) => Promise<void>,
  options: ListenOptions = {},
): Promise<void> {
  const accepted: Socket[] = [];
  const waiting: ((socket: Socket) => void)[] = [];
  const listener = await listen(
    vsock(VSOCK_CID_ANY, PORT.guest),
    (socket) => {
      socket.on("error", () => {});
      const taker = waiting.shift();
      if (taker === undefined) accepted.push(socket);
      else taker(socket);
    },
    options,
  );
  const next = async (): Promise<Socket> =>
    accepted.shift() ?? new Promise((resolve) => waiting.push(resolve));
  try {
    await work(next);
    equal(accepted.length, 0);
  } finally {
    await listener.close();
  }
}

async function closed(socket: Socket): Promise<void> {
  if (socket.closed) return;
  await new Promise((resolve) => socket.once("close", resolve));
}

async function failsWith(code: string, work: Promise<unknown>, message = /./): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof TransportError) || !message.test(error.message)) throw error;
    equal(error.code, code);
    return;
  }
  throw new Error(`did not fail, expected ${code}`);
}

/** Gives the event loop some turns, until the condition holds. */
async function settled(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 50 && !condition(); turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function equal(actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`${String(actual)}, expected ${String(expected)}`);
}
