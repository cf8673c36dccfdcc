/**
 * Puts a socket of a family that Node does not know under its ordinary stream classes: Node gets a
 * Unix socket's descriptor, and in the same turn of the event loop the other socket takes its
 * number. libuv registers a descriptor lazily, so it only ever sees the second one; nothing but
 * documented interfaces is used. Not for `cluster` workers, which listen asynchronously.
 */
import { createServer, type Server, Socket } from "node:net";
import { AF_UNIX, check, type Posix, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "./posix.ts";

/**
 * Makes a stream of a connected, non-blocking descriptor, which is consumed, also by a failure.
 *
 * @throws Error of the system call that failed.
 */
export function adoptConnection(posix: Posix, fd: number): Socket {
  let placeholder: number;
  try {
    const pair = new Uint8Array(8);
    check(
      posix,
      "socketpair",
      posix.socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
    );
    const ends = new DataView(pair.buffer);
    placeholder = ends.getInt32(0, true);
    posix.close(ends.getInt32(4, true));
  } catch (error) {
    posix.close(fd);
    throw error;
  }
  const socket = new Socket({ fd: placeholder, readable: true, writable: true });
  try {
    // Invariant: nothing awaits between these two lines, or the stream would read the placeholder.
    check(posix, "dup3", posix.dup3(fd, placeholder, SOCK_CLOEXEC));
  } catch (error) {
    socket.on("error", () => {});
    socket.destroy();
    throw error;
  } finally {
    posix.close(fd);
  }
  return socket;
}

/**
 * Makes a server of a listening, non-blocking descriptor, which is consumed, also by a failure.
 *
 * @throws Error of the system call that failed.
 */
export function adoptListener(
  posix: Posix,
  fd: number,
  onSocket: (socket: Socket) => void,
): Server {
  let placeholder: number | undefined;
  try {
    placeholder = check(
      posix,
      "socket",
      posix.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
    );
    // A bare family binds an abstract name that the kernel chooses: no file.
    check(posix, "bind", posix.bind(placeholder, Uint8Array.of(AF_UNIX, 0), 2));
  } catch (error) {
    if (placeholder !== undefined) {
      posix.close(placeholder);
    }
    posix.close(fd);
    throw error;
  }
  const server = createServer(onSocket).listen({ fd: placeholder });
  try {
    // Invariant: nothing awaits between these two lines, or the server would accept on the placeholder.
    check(posix, "dup3", posix.dup3(fd, placeholder, SOCK_CLOEXEC));
  } catch (error) {
    server.on("error", () => {});
    server.close();
    throw error;
  } finally {
    posix.close(fd);
  }
  return server;
}
