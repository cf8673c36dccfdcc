/** A layer-4 forwarder: what a host would run in front of TLS. It can also be a long link. */
import { connect, createServer, type Socket } from "node:net";
import { runChild } from "./child.ts";
import { DelayedPipe } from "./delayed-pipe.ts";
import { listenOnLoopback, socketOptions } from "./loopback.ts";
import type { Reachable } from "./reachable.ts";

interface Options extends Reachable {
  /** Of the link, in all; none: bytes pass at once. */
  readonly roundTripMs?: number;
}

runChild(async ({ address, roundTripMs = 0 }: Options) => {
  const server = createServer(
    { noDelay: true, allowHalfOpen: true, highWaterMark: roundTripMs > 0 ? 1 << 20 : 65_536 },
    (front) => {
      const back = connect({ ...socketOptions(address), allowHalfOpen: true });
      join(front, back, roundTripMs / 2);
      join(back, front, roundTripMs / 2);
    },
  );
  return { ready: { address: await listenOnLoopback(server) } };
});

function join(from: Socket, to: Socket, delayMs: number): void {
  if (delayMs === 0) from.pipe(to);
  else new DelayedPipe(from, to, delayMs).start();
  from.on("error", () => to.destroy());
  from.on("close", () => setTimeout(() => to.destroy(), delayMs + 50));
}
