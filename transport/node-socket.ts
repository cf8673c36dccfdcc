/** Dial and listen over what Node's own sockets know: TCP and Unix sockets. */
import {
  connect,
  createServer,
  type ListenOptions as NodeListenOptions,
  type NetConnectOpts,
  type Server,
  type Socket,
} from "node:net";
import { type Address, formatAddress } from "./address.ts";
import { type AttemptLimits, attempt, unreachable } from "./attempt.ts";
import { TransportError } from "./errors.ts";
import type { ListenOptions } from "./listener.ts";

/**
 * Connects; the socket comes back without listeners.
 *
 * @throws TransportError `unreachable`, `timeout`, or `closed` when the signal aborted.
 */
export async function connectSocket(
  address: Address,
  target: NetConnectOpts,
  limits: AttemptLimits,
): Promise<Socket> {
  return attempt<Socket>(address, limits, (resolve, reject) => {
    const socket = connect(target);
    const onError = (error: Error): void => reject(unreachable(address, "reach", error));
    const onClose = (): void =>
      reject(new TransportError("closed", `${formatAddress(address)} closed at once`));
    socket.on("error", onError).on("close", onClose);
    socket.once("connect", () => {
      socket.off("error", onError).off("close", onClose);
      resolve(socket);
    });
    return () => socket.destroy();
  });
}

/**
 * Listens; resolves when the address is bound.
 *
 * @throws TransportError `unreachable` when it cannot be bound.
 */
export async function listenSocket(
  address: Address,
  target: NodeListenOptions,
  onSocket: (socket: Socket) => void,
  options: ListenOptions,
): Promise<Server> {
  const server = createServer({ noDelay: true }, onSocket);
  await new Promise<void>((resolve, reject) => {
    const onError = (error: Error): void => reject(unreachable(address, "listen on", error));
    server.once("error", onError);
    server.listen(target, () => {
      server.off("error", onError);
      resolve();
    });
  });
  server.on("error", (error) => options.onAcceptError?.(error));
  return server;
}

/** Stops listening without waiting for the connections, as `net.Server.close` would. */
export async function stopListening(server: Server): Promise<void> {
  server.close();
  // The kernel's socket is gone once the loop has turned.
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
}
