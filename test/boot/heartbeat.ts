/** The parent's part in an enclave's start, which is nitro-cli's on AWS: a byte comes, and goes back. */
import { type Listener, listen } from "../../transport/listen.ts";

export const HEARTBEAT_PORT = 9000;
const HEARTBEAT = 0xb7;

export class Heartbeat {
  /** How many were answered. */
  count = 0;
  #listener: Listener | undefined;

  /** Answers the heartbeats of the machine whose VSOCK is at `vsockPath`. */
  static async listen(vsockPath: string): Promise<Heartbeat> {
    const heartbeat = new Heartbeat();
    const address = { kind: "hybrid-vsock", path: vsockPath, port: HEARTBEAT_PORT } as const;
    heartbeat.#listener = await listen(address, (socket) => {
      socket.on("error", () => {});
      socket.on("data", (bytes) => {
        if (bytes.length !== 1 || bytes[0] !== HEARTBEAT) return;
        heartbeat.count++;
        socket.write(bytes);
      });
    });
    return heartbeat;
  }

  async close(): Promise<void> {
    await this.#listener?.close();
  }
}
