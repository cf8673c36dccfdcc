/**
 * A simulated security module behind a stream: each request and each response is its length, four
 * bytes little endian, and then the CBOR that the kernel's driver exchanges with the module.
 */
import type { Socket } from "node:net";
import type { Simulator } from "../../attestation/nsm/index.ts";

const LENGTH_BYTES = 4;
/** The driver's own limit is 4,096: up to here the module answers itself that a request is too long. */
const MAX_FRAME_BYTES = 65_536;

/**
 * Answers the requests of one connection, one by one and in order, until the peer is done.
 *
 * @throws RangeError for a longer frame, Error when the peer goes in the middle of one.
 */
export async function answerRequests(simulator: Simulator, socket: Socket): Promise<void> {
  let unread: Buffer = Buffer.alloc(0);
  for await (const bytes of socket as AsyncIterable<Buffer>) {
    unread = unread.length === 0 ? bytes : Buffer.concat([unread, bytes]);
    while (unread.length >= LENGTH_BYTES) {
      const length = unread.readUInt32LE();
      if (length > MAX_FRAME_BYTES) {
        throw new RangeError(`a request of ${length} bytes, expected at most ${MAX_FRAME_BYTES}`);
      }
      const end = LENGTH_BYTES + length;
      if (unread.length < end) break;
      const response = await simulator.answer(unread.subarray(LENGTH_BYTES, end));
      unread = unread.subarray(end);
      const head = Buffer.alloc(LENGTH_BYTES);
      head.writeUInt32LE(response.length);
      // A peer that sends requests and reads no answer holds one answer here, and then waits.
      if (!socket.write(Buffer.concat([head, response]))) await drained(socket);
    }
  }
  if (unread.length > 0) throw new Error("the connection ended in the middle of a request");
}

async function drained(socket: Socket): Promise<void> {
  if (socket.destroyed) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.off("drain", done).off("close", done);
      resolve();
    };
    socket.on("drain", done).on("close", done);
  });
}
