/** The parent's part in an enclave's start, which is nitro-cli's on AWS: a byte comes, and goes back. */
import { type Listener, listen } from "../../transport/listen.ts";

const HEARTBEAT_PORT = 9000;
const HEARTBEAT = 0xb7;

/** Answers the heartbeats of the machine whose VSOCK is at `vsockPath`. */
export async function listenForHeartbeat(vsockPath: string): Promise<Listener> {
  return listen({ kind: "hybrid-vsock", path: vsockPath, port: HEARTBEAT_PORT }, (socket) => {
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      if (bytes.length === 1 && bytes[0] === HEARTBEAT) socket.write(bytes);
    });
  });
}
