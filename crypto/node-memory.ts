/**
 * Memory behind arrays, on Node. Large arrays that die young cost more than their encryption: each
 * lies outside of V8's heap, which collects garbage far too often for their sake, and each finds
 * memory that no cache holds. So what is known to be dead is given back at once.
 */
import { MessageChannel } from "node:worker_threads";

/** A smaller array is left to the garbage collector, which is cheaper than detaching it. */
const MIN_RELEASED_BYTES = 16_384;

/** An array of any content. */
export function allocate(length: number): Uint8Array {
  const buffer = Buffer.allocUnsafeSlow(length);
  return new Uint8Array(buffer.buffer, buffer.byteOffset, length);
}

/** Frees the memory of an array, which becomes empty. */
export function release(bytes: Uint8Array): void {
  if (bytes.buffer.byteLength >= MIN_RELEASED_BYTES) detach(bytes.buffer);
}

const detach = hasTransfer(ArrayBuffer.prototype)
  ? (buffer: ArrayBufferLike) => hasTransfer(buffer) && buffer.transfer(0)
  : transferToNobody();

function hasTransfer(buffer: object): buffer is { transfer(length: number): unknown } {
  return "transfer" in buffer;
}

/** Before Node 22: what is sent to a closed port is transferred, and dropped. */
function transferToNobody(): (buffer: ArrayBufferLike) => void {
  const { port1 } = new MessageChannel();
  port1.close();
  return (buffer) => port1.postMessage(undefined, [buffer as ArrayBuffer]);
}
