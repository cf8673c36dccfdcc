/**
 * The system calls that Node does not offer and vsock needs, through koffi: integers and byte
 * arrays only. Loaded when a vsock address is used, on Linux only.
 */
import koffi from "koffi";
import { systemError } from "./attempt.ts";

/** Constants of Linux on x86-64 and arm64. */
export const AF_UNIX = 1;
export const AF_VSOCK = 40;
export const SOCK_STREAM = 1;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_ERROR = 4;
export const POLLOUT = 4;
export const EINPROGRESS = 115;

/**
 * The calls, each as in the manual: the result, and `errno()` right after a result of -1. An array
 * that the kernel fills must not be used by anyone else meanwhile.
 */
export interface Posix {
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  listen(fd: number, backlog: number): number;
  connect(fd: number, address: Uint8Array, length: number): number;
  poll(descriptors: Uint8Array, count: number, timeoutMs: number): number;
  getsockopt(
    fd: number,
    level: number,
    option: number,
    value: Uint8Array,
    length: Uint8Array,
  ): number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array, length: number): number;
  getpeername(fd: number, address: Uint8Array, length: Uint8Array): number;
  dup3(from: number, to: number, flags: number): number;
  socketpair(family: number, type: number, protocol: number, pair: Uint8Array): number;
  close(fd: number): number;
  errno(): number;
}

/** The calls of the C library that the process runs on. */
export function loadPosix(): Posix {
  const libc = koffi.load(null);
  const call = (name: string, ...parameters: string[]): unknown =>
    libc.func(name, "int", parameters);
  return {
    socket: call("socket", "int", "int", "int") as Posix["socket"],
    bind: call("bind", "int", "void *", "unsigned int") as Posix["bind"],
    listen: call("listen", "int", "int") as Posix["listen"],
    connect: call("connect", "int", "void *", "unsigned int") as Posix["connect"],
    poll: call("poll", "void *", "unsigned long", "int") as Posix["poll"],
    getsockopt: call("getsockopt", "int", "int", "int", "void *", "void *") as Posix["getsockopt"],
    setsockopt: call(
      "setsockopt",
      "int",
      "int",
      "int",
      "void *",
      "unsigned int",
    ) as Posix["setsockopt"],
    getpeername: call("getpeername", "int", "void *", "void *") as Posix["getpeername"],
    dup3: call("dup3", "int", "int", "int") as Posix["dup3"],
    socketpair: call("socketpair", "int", "int", "int", "void *") as Posix["socketpair"],
    close: call("close", "int") as Posix["close"],
    errno: () => koffi.errno(),
  };
}

/**
 * Passes the result of a call on.
 *
 * @throws Error named for `call` and its errno when the call failed.
 */
export function check(posix: Posix, call: string, result: number): number {
  if (result < 0) {
    throw systemError(call, posix.errno());
  }
  return result;
}
