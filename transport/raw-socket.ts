/**
 * Connects and listens with bare system calls, for a socket family that the caller describes. No
 * call blocks: a connection attempt is polled with zero timeout, because a thread of the pool that
 * waits is missing for files and names.
 */
import type { Server, Socket } from "node:net";
import { adoptConnection, adoptListener } from "./adopt.ts";
import { type Address, formatAddress } from "./address.ts";
import { type AttemptLimits, attempt, systemError, unreachable } from "./attempt.ts";
import { TransportError } from "./errors.ts";
import {
  check,
  EINPROGRESS,
  POLLOUT,
  type Posix,
  SO_ERROR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from "./posix.ts";

/** An endpoint of some socket family. */
export interface Endpoint {
  readonly family: number;
  /** The `sockaddr` to connect to or to bind. */
  readonly sockaddr: Uint8Array;
  /** Set in this order before connecting or listening. */
  readonly options: readonly { level: number; option: number; value: Uint8Array }[];
}

/** Longest pause between two looks at a connection attempt, in milliseconds. */
const MAX_POLL_PAUSE_MS = 20;

/**
 * Connects; `accepts` looks at the peer's `sockaddr` before any byte flows.
 *
 * @throws TransportError `unreachable`, `timeout`, or `closed` when the signal aborted.
 */
export async function connectRaw(
  posix: Posix,
  address: Address,
  endpoint: Endpoint,
  accepts: (peer: Uint8Array) => boolean,
  limits: AttemptLimits,
): Promise<Socket> {
  return attempt<Socket>(address, limits, (resolve, reject) => {
    let fd = -1;
    let timer: NodeJS.Timeout | NodeJS.Immediate | undefined;
    const settle = (): void => {
      const peer = peerName(posix, fd);
      if (!accepts(peer)) {
        throw new TransportError(
          "unreachable",
          `${formatAddress(address)} is not who answered the connection`,
        );
      }
      const connected = fd;
      fd = -1;
      resolve(adoptConnection(posix, connected));
    };
    const guarded = (step: () => void): void => {
      try {
        step();
      } catch (error) {
        reject(error instanceof TransportError ? error : unreachable(address, "reach", error));
      }
    };
    const look = (pauseMs: number): void => {
      timer = undefined;
      if (!isWritable(posix, fd)) {
        timer = setTimeout(
          () => guarded(() => look(Math.min(pauseMs * 2, MAX_POLL_PAUSE_MS))),
          pauseMs,
        );
        return;
      }
      const errno = pendingError(posix, fd);
      if (errno !== 0) {
        throw systemError("connect", errno);
      }
      settle();
    };
    guarded(() => {
      fd = openSocket(posix, endpoint);
      if (posix.connect(fd, endpoint.sockaddr, endpoint.sockaddr.length) === 0) {
        settle();
        return;
      }
      const errno = posix.errno();
      if (errno !== EINPROGRESS) {
        throw systemError("connect", errno);
      }
      timer = setImmediate(() => guarded(() => look(1)));
    });
    return () => {
      clearTimeout(timer as NodeJS.Timeout);
      clearImmediate(timer as NodeJS.Immediate);
      if (fd >= 0) {
        posix.close(fd);
        fd = -1;
      }
    };
  });
}

/**
 * Listens.
 *
 * @throws TransportError `unreachable` when a system call fails.
 */
export function listenRaw(
  posix: Posix,
  address: Address,
  endpoint: Endpoint,
  backlog: number,
  onSocket: (socket: Socket) => void,
): Server {
  try {
    const fd = openSocket(posix, endpoint);
    try {
      check(posix, "bind", posix.bind(fd, endpoint.sockaddr, endpoint.sockaddr.length));
      check(posix, "listen", posix.listen(fd, backlog));
    } catch (error) {
      posix.close(fd);
      throw error;
    }
    return adoptListener(posix, fd, onSocket);
  } catch (error) {
    throw unreachable(address, "listen on", error);
  }
}

/** The `sockaddr` of a connection's other end. */
export function peerName(posix: Posix, fd: number): Uint8Array {
  const sockaddr = new Uint8Array(128);
  const length = new Uint8Array(4);
  const view = new DataView(length.buffer);
  view.setUint32(0, sockaddr.length, true);
  check(posix, "getpeername", posix.getpeername(fd, sockaddr, length));
  return sockaddr.subarray(0, Math.min(view.getUint32(0, true), sockaddr.length));
}

function openSocket(posix: Posix, { family, options }: Endpoint): number {
  const fd = check(
    posix,
    "socket",
    posix.socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
  );
  try {
    for (const { level, option, value } of options) {
      check(posix, "setsockopt", posix.setsockopt(fd, level, option, value, value.length));
    }
  } catch (error) {
    posix.close(fd);
    throw error;
  }
  return fd;
}

function isWritable(posix: Posix, fd: number): boolean {
  const pollfd = new Uint8Array(8);
  const view = new DataView(pollfd.buffer);
  view.setInt32(0, fd, true);
  view.setInt16(4, POLLOUT, true);
  // An error or hang-up also counts as ready; SO_ERROR then says which.
  return check(posix, "poll", posix.poll(pollfd, 1, 0)) > 0;
}

function pendingError(posix: Posix, fd: number): number {
  const value = new Uint8Array(4);
  const length = Uint8Array.of(4, 0, 0, 0);
  check(posix, "getsockopt", posix.getsockopt(fd, SOL_SOCKET, SO_ERROR, value, length));
  return new DataView(value.buffer).getInt32(0, true);
}
