/**
 * The parts of one length-prefixed message of gRPC that is not whole yet, as its HTTP/2 stream
 * brought them. A byte costs the same whether a peer sends it with others or by itself.
 */

/**
 * A shorter part is copied: an array costs more than a few bytes, and a view keeps all that was read
 * with it, which is up to 64 KiB.
 */
const BLOCK_BYTES = 8192;

export class MessageParts {
  #parts: Uint8Array[] = [];
  /** Where short parts are put together, and how much of it is filled. */
  #block: Uint8Array | undefined;
  #blockBytes = 0;
  #length = 0;

  /** How many bytes there are. */
  get length(): number {
    return this.#length;
  }

  /** Adds a part, after which `missingBytes` of the message are still to come. */
  add(part: Uint8Array, missingBytes: number): void {
    this.#length += part.length;
    if (part.length >= BLOCK_BYTES) {
      this.#closeBlock();
      this.#parts.push(part);
      return;
    }
    for (let rest = part; rest.length > 0;) {
      this.#block ??= new Uint8Array(Math.min(BLOCK_BYTES, rest.length + missingBytes));
      const bytes = rest.subarray(0, this.#block.length - this.#blockBytes);
      this.#block.set(bytes, this.#blockBytes);
      this.#blockBytes += bytes.length;
      if (this.#blockBytes === this.#block.length) this.#closeBlock();
      rest = rest.subarray(bytes.length);
    }
  }

  /** Writes all bytes to the start of `target`, and forgets them. */
  moveTo(target: Uint8Array): void {
    this.#closeBlock();
    let at = 0;
    for (const part of this.#parts) {
      target.set(part, at);
      at += part.length;
    }
    this.clear();
  }

  clear(): void {
    this.#parts = [];
    this.#block = undefined;
    this.#blockBytes = 0;
    this.#length = 0;
  }

  #closeBlock(): void {
    if (this.#block === undefined) return;
    this.#parts.push(this.#block.subarray(0, this.#blockBytes));
    this.#block = undefined;
    this.#blockBytes = 0;
  }
}
