/**
 * Unix sockets. A socket file that a dead process left behind is replaced; one that somebody
 * answers on is not.
 */
import { lstat, unlink } from "node:fs/promises";
import type { Socket } from "node:net";
import { type Address, formatAddress } from "./address.ts";
import { type AttemptLimits, unreachable } from "./attempt.ts";
import { TransportError } from "./errors.ts";
import type { Listener, ListenOptions } from "./listener.ts";
import { connectSocket, listenSocket, stopListening } from "./node-socket.ts";

type UnixAddress = Extract<Address, { kind: "unix" }>;

/**
 * Connects to a Unix socket.
 *
 * @throws TransportError `unreachable`, `timeout`, or `closed` when the signal aborted.
 */
export async function dialUnix(address: UnixAddress, options: AttemptLimits = {}): Promise<Socket> {
  return connectSocket(address, { path: address.path }, options);
}

/**
 * Listens on a Unix socket; closing the listener removes its file.
 *
 * @throws TransportError `unreachable` when the path is taken, by a live listener or by something
 *   that is no socket, or cannot be bound. RangeError when `mode` is none.
 */
export async function listenUnix(
  address: UnixAddress,
  onSocket: (socket: Socket) => void,
  options: ListenOptions = {},
): Promise<Listener> {
  const { mode } = options;
  if (mode !== undefined && !(Number.isInteger(mode) && mode >= 0 && mode <= 0o777)) {
    throw new RangeError("mode must be an integer from 0 to 0o777");
  }
  await removeStaleSocket(address);
  // Invariant: the file never exists with wider permissions than asked for. Node binds before
  // listen() returns, so the mask covers the bind and nothing else.
  const umask = mode === undefined ? undefined : process.umask(0o777 & ~mode);
  const listening = listenSocket(address, { path: address.path }, onSocket, options);
  if (umask !== undefined) {
    process.umask(umask);
  }
  const server = await listening;
  return { address, close: () => stopListening(server) };
}

async function removeStaleSocket(address: UnixAddress): Promise<void> {
  let isSocket: boolean;
  try {
    isSocket = (await lstat(address.path)).isSocket();
  } catch {
    // Nothing is there, or binding will say what is wrong.
    return;
  }
  if (!isSocket) {
    throw new TransportError(
      "unreachable",
      `cannot listen on ${formatAddress(address)}: the file exists and is no socket`,
    );
  }
  let answering: Socket;
  try {
    answering = await dialUnix(address, { timeoutMs: 1000 });
  } catch (error) {
    const refusal = error instanceof TransportError ? error.cause : undefined;
    if (refusal instanceof Error && "code" in refusal && refusal.code === "ECONNREFUSED") {
      await unlink(address.path);
      return;
    }
    throw unreachable(address, "listen on", error);
  }
  answering.on("error", () => {});
  answering.destroy();
  throw new TransportError(
    "unreachable",
    `cannot listen on ${formatAddress(address)}: another process listens there`,
  );
}
