/** The socket of `sealrpc nsm simulate`: frames of a length, 4 bytes little endian, and what it counts. */
import { connect } from "node:net";
import type { SecurityModule } from "./nsm-device.ts";

const LENGTH_BYTES = 4;

/** Connects; the module answers requests in the order in which they come. */
export async function connectModule(path: string): Promise<SecurityModule> {
  const socket = connect(path);
  await new Promise((resolve, reject) => {
    socket.once("connect", resolve).once("error", reject);
  });
  const waiting: ((response: Uint8Array) => void)[] = [];
  let unread = Buffer.alloc(0);
  socket.on("data", (bytes) => {
    unread = Buffer.concat([unread, bytes]);
    while (unread.length >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + unread.readUInt32LE();
      if (unread.length < end) return;
      waiting.shift()?.(unread.subarray(LENGTH_BYTES, end));
      unread = unread.subarray(end);
    }
  });
  return async (request) =>
    new Promise((resolve) => {
      waiting.push(resolve);
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt32LE(request.length);
      socket.write(Buffer.concat([length, request]));
    });
}
