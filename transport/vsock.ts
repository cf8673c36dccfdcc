/**
 * vsock, the way between an enclave and its host: a bare socket that Node's streams adopt. An end
 * of the stream is no proof that the peer had finished (a vanished peer looks the same), and the
 * death of the virtual device makes no event at all: the protocol above must frame and ping.
 */
import type { Socket } from "node:net";
import { type Address, formatAddress, requireVsockBuffer, VSOCK_CID_ANY } from "./address.ts";
import { type AttemptLimits, DEFAULT_TIMEOUT_MS, unreachable } from "./attempt.ts";
import type { Listener, ListenOptions } from "./listener.ts";
import { stopListening } from "./node-socket.ts";
import { AF_VSOCK, loadPosix, type Posix } from "./posix.ts";
import { connectRaw, type Endpoint, listenRaw, peerName } from "./raw-socket.ts";

type VsockAddress = Extract<Address, { kind: "vsock" }>;

/** Options of level AF_VSOCK. */
const SO_VM_SOCKETS_BUFFER_SIZE = 0;
const SO_VM_SOCKETS_BUFFER_MAX_SIZE = 2;
const SO_VM_SOCKETS_CONNECT_TIMEOUT = 6;

/**
 * The peer sends no packet beyond the room it was told of, and several kernels and device processes
 * lose or corrupt packets above 32 KiB.
 */
const DEFAULT_BUFFER_BYTES = 28_672;
/** A full backlog resets a connection at once, so it is deep. */
const BACKLOG = 128;

/** What may be set for one dial. */
export interface VsockDialOptions extends AttemptLimits {
  /** Bytes that the kernel takes in ahead of us on vsock, which bounds the peer's packets; 28,672 by default. */
  readonly vsockBufferBytes?: number | undefined;
}

/**
 * Connects to a vsock port.
 *
 * @throws TransportError `unreachable`, `timeout`, or `closed` when the signal aborted. RangeError
 *   when the CID is `any`.
 */
export async function dialVsock(
  address: VsockAddress,
  options: VsockDialOptions = {},
): Promise<Socket> {
  if (address.cid === VSOCK_CID_ANY) {
    throw new RangeError(`${formatAddress(address)} names no peer to dial`);
  }
  const { timeoutMs = DEFAULT_TIMEOUT_MS, signal, vsockBufferBytes } = options;
  const endpoint = vsockEndpoint(address, vsockBufferBytes);
  return connectRaw(
    posixFor(address),
    address,
    {
      ...endpoint,
      options: [
        ...endpoint.options,
        {
          level: AF_VSOCK,
          option: SO_VM_SOCKETS_CONNECT_TIMEOUT,
          value: encodeTimeval(timeoutMs),
        },
      ],
    },
    (peer) => {
      const { cid, port } = decodeVsockSockaddr(peer);
      return cid === address.cid && port === address.port;
    },
    { timeoutMs, signal },
  );
}

/**
 * Listens on a vsock port.
 *
 * @throws TransportError `unreachable` when the port cannot be bound.
 */
export async function listenVsock(
  address: VsockAddress,
  onSocket: (socket: Socket) => void,
  options: ListenOptions = {},
): Promise<Listener> {
  const posix = posixFor(address);
  const { vsockPeers, vsockBufferBytes, onAcceptError } = options;
  const endpoint = vsockEndpoint(address, vsockBufferBytes);
  const server = listenRaw(posix, address, endpoint, BACKLOG, (socket) => {
    if (vsockPeers === undefined || vsockPeers.includes(peerCid(posix, socket) ?? -1)) {
      onSocket(socket);
      return;
    }
    socket.on("error", () => {});
    socket.destroy();
  });
  server.on("error", (error) => onAcceptError?.(error));
  return { address, close: () => stopListening(server) };
}

/** A `struct sockaddr_vm`: family, 2 zero bytes, port, CID, flags and padding of 0. */
export function encodeVsockSockaddr(cid: number, port: number): Uint8Array {
  const sockaddr = new Uint8Array(16);
  const view = new DataView(sockaddr.buffer);
  view.setUint16(0, AF_VSOCK, true);
  view.setUint32(4, port, true);
  view.setUint32(8, cid, true);
  return sockaddr;
}

/**
 * Reads a `struct sockaddr_vm`.
 *
 * @throws RangeError when it is too short or of another family.
 */
export function decodeVsockSockaddr(sockaddr: Uint8Array): { cid: number; port: number } {
  const view = new DataView(sockaddr.buffer, sockaddr.byteOffset, sockaddr.byteLength);
  if (sockaddr.length < 12 || view.getUint16(0, true) !== AF_VSOCK) {
    throw new RangeError("the peer's address is not one of vsock");
  }
  return { cid: view.getUint32(8, true), port: view.getUint32(4, true) };
}

/**
 * The endpoint of a vsock address with its buffer size.
 *
 * @throws RangeError when the buffer size is no positive integer.
 */
export function vsockEndpoint(
  { cid, port }: VsockAddress,
  bufferBytes: number = DEFAULT_BUFFER_BYTES,
): Endpoint {
  requireVsockBuffer(bufferBytes);
  const value = new Uint8Array(8);
  new DataView(value.buffer).setBigUint64(0, BigInt(bufferBytes), true);
  return {
    family: AF_VSOCK,
    sockaddr: encodeVsockSockaddr(cid, port),
    // The kernel clips the size to the maximum, so that comes first.
    options: [
      { level: AF_VSOCK, option: SO_VM_SOCKETS_BUFFER_MAX_SIZE, value },
      { level: AF_VSOCK, option: SO_VM_SOCKETS_BUFFER_SIZE, value },
    ],
  };
}

/** A `struct timeval` of 64-bit Linux; at least a microsecond, because 0 means the kernel's default. */
export function encodeTimeval(ms: number): Uint8Array {
  const micros = Math.max(1, Math.ceil(Math.min(ms, 2 ** 31) * 1000));
  const timeval = new Uint8Array(16);
  const view = new DataView(timeval.buffer);
  view.setBigInt64(0, BigInt(Math.floor(micros / 1_000_000)), true);
  view.setBigInt64(8, BigInt(micros % 1_000_000), true);
  return timeval;
}

let loaded: Posix | undefined;

function posixFor(address: VsockAddress): Posix {
  if (process.platform !== "linux") {
    throw unreachable(address, "use", new Error(`vsock needs Linux, this is ${process.platform}`));
  }
  try {
    loaded ??= loadPosix();
  } catch (error) {
    throw unreachable(address, "use", error);
  }
  return loaded;
}

/** The CID of an accepted connection; undefined when it cannot be told, which admits nobody. */
function peerCid(posix: Posix, socket: Socket): number | undefined {
  // Node shows the descriptor of an accepted socket nowhere else.
  const { _handle: handle } = socket as Socket & { _handle?: { fd?: unknown } | null };
  if (typeof handle?.fd !== "number" || handle.fd < 0) {
    return undefined;
  }
  try {
    return decodeVsockSockaddr(peerName(posix, handle.fd)).cid;
  } catch {
    return undefined;
  }
}
