/** Stands where the host stands: forwards every byte, and keeps a copy. */
import { connect, createServer, type Server } from "node:net";
import type { Capture } from "./capture.ts";

/** Listens on the Unix socket `at` and forwards to the one at `to`. */
export async function startTee(at: string, to: string, capture: Capture): Promise<Server> {
  const server = createServer((front) => {
    const back = connect(to);
    const passed = capture.connection();
    front.on("data", (bytes) => passed("up", bytes)).pipe(back);
    back.on("data", (bytes) => passed("down", bytes)).pipe(front);
    front.on("error", () => back.destroy());
    back.on("error", () => front.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(at, resolve);
  });
  return server;
}
