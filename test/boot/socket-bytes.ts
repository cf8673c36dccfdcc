/**
 * What both ends of a connection do with bytes. Those that are sent and checked repeat after a prime number
 * of them, so that none can be lost, doubled or moved unnoticed.
 */
import { once } from "node:events";
import type { Socket } from "node:net";

const PERIOD_BYTES = 1_048_583;
const WRITE_BYTES = 65_536;

const pattern = makePattern();

/**
 * Sends `bytes` bytes while as many come, checks them, and ends the connection when both are done.
 *
 * @throws Error that says where what came was not what had been sent.
 */
export async function exchangeBulk(socket: Socket, bytes: number): Promise<void> {
  await Promise.all([send(socket, bytes), receive(socket, bytes)]);
  socket.end();
}

/** All that comes until the peer ends. Unlike Node's consumers it leaves the other direction alone. */
export async function readToEnd(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(socket, "end");
  return Buffer.concat(chunks);
}

async function send(socket: Socket, bytes: number): Promise<void> {
  for (let sent = 0; sent < bytes;) {
    const length = Math.min(WRITE_BYTES, bytes - sent);
    const isRoom = socket.write(bytesAt(sent, length));
    sent += length;
    if (!isRoom) await drained(socket);
  }
}

async function receive(socket: Socket, bytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = 0;
    socket.on("data", (chunk: Buffer) => {
      if (!chunk.equals(bytesAt(received, chunk.length))) {
        reject(new Error(`wrong bytes between ${received} and ${received + chunk.length}`));
      }
      received += chunk.length;
      if (received >= bytes) resolve();
    });
    socket.once("error", reject);
    socket.once("close", () => reject(new Error(`closed after ${received} bytes`)));
  });
}

async function drained(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = (): void => reject(new Error("closed while bytes waited"));
    socket.once("close", onClose);
    socket.once("drain", () => {
      socket.off("close", onClose);
      resolve();
    });
  });
}

/** A part of the stream; at most a period long. */
function bytesAt(offset: number, length: number): Buffer {
  const start = offset % PERIOD_BYTES;
  return pattern.subarray(start, start + length);
}

/** Two periods of a generator's bytes, so that every part of one period is in one piece. */
function makePattern(): Buffer {
  const bytes = Buffer.alloc(2 * PERIOD_BYTES);
  let state = 1;
  for (let at = 0; at < PERIOD_BYTES; at += 1) {
    // Marsaglia's xorshift of 32 bits.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state;
  }
  bytes.copyWithin(PERIOD_BYTES, 0, PERIOD_BYTES);
  return bytes;
}
