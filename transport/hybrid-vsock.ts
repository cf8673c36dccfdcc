/**
 * Hybrid vsock: the Unix sockets by which Firecracker, Cloud Hypervisor and vhost-device-vsock
 * offer a guest's vsock ports to the host. Host to guest, one line each way comes before the
 * connection's own bytes; guest to host, the monitor connects to `<path>_<port>` without any.
 */
import type { Socket } from "node:net";
import { type Address, formatAddress } from "./address.ts";
import { type AttemptLimits, attempt, DEFAULT_TIMEOUT_MS } from "./attempt.ts";
import { TransportError } from "./errors.ts";
import type { Listener, ListenOptions } from "./listener.ts";
import { connectSocket } from "./node-socket.ts";
import { listenUnix } from "./unix.ts";

type HybridVsockAddress = Extract<Address, { kind: "hybrid-vsock" }>;

/** Longest answer line, with its newline. */
const MAX_LINE_BYTES = 32;

/**
 * Connects to a port of the guest.
 *
 * @throws TransportError `unreachable` when the monitor's socket cannot be reached or its answer is
 *   not `OK`; `closed` when it closes without an answer (nobody listens on that port) or the signal
 *   aborted; `timeout`.
 */
export async function dialHybridVsock(
  address: HybridVsockAddress,
  options: AttemptLimits = {},
): Promise<Socket> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
  const startMs = performance.now();
  const socket = await connectSocket(address, { path: address.path }, options);
  const leftMs = Math.max(1, timeoutMs - (performance.now() - startMs));
  let line: string;
  try {
    line = await attempt<string>(address, { timeoutMs: leftMs, signal }, (resolve, reject) => {
      // Nothing may follow before the answer: a monitor may lose bytes that come with the line.
      socket.write(`CONNECT ${address.port}\n`);
      return readLine(address, socket, resolve, reject);
    });
    if (!/^OK \d+\n$/.test(line)) {
      throw new TransportError(
        "unreachable",
        `${formatAddress(address)} answered ${JSON.stringify(line)}, expected "OK <number>"`,
      );
    }
  } catch (error) {
    socket.on("error", () => {});
    socket.destroy();
    throw error;
  }
  return socket;
}

/**
 * Takes the connections that the guest makes to a port of the host.
 *
 * @throws TransportError `unreachable` when `<path>_<port>` cannot be bound.
 */
export async function listenHybridVsock(
  address: HybridVsockAddress,
  onSocket: (socket: Socket) => void,
  options: ListenOptions = {},
): Promise<Listener> {
  const path = `${address.path}_${address.port}`;
  const listener = await listenUnix({ kind: "unix", path }, onSocket, options);
  return { address, close: () => listener.close() };
}

/**
 * Reads one line byte by byte and no further: the peer's first bytes may be in the same segment
 * and stay in the socket for its user.
 */
function readLine(
  address: HybridVsockAddress,
  socket: Socket,
  resolve: (line: string) => void,
  reject: (error: Error) => void,
): () => void {
  let line = "";
  const onReadable = (): void => {
    while (line.length < MAX_LINE_BYTES) {
      const byte = socket.read(1) as Buffer | null;
      if (byte === null) {
        return;
      }
      line += byte.toString("latin1");
      if (line.endsWith("\n")) {
        break;
      }
    }
    forget();
    resolve(line);
  };
  const onEnd = (cause?: Error): void => {
    reject(
      new TransportError(
        "closed",
        `${formatAddress(address)} closed without an answer: nobody listens on port ${address.port}`,
        cause instanceof Error ? { cause } : undefined,
      ),
    );
  };
  const onClose = (): void => onEnd();
  const forget = (): void => {
    socket
      .off("readable", onReadable)
      .off("error", onEnd)
      .off("end", onClose)
      .off("close", onClose);
  };
  socket.on("readable", onReadable).on("error", onEnd).on("end", onClose).on("close", onClose);
  return forget;
}
