import type { TestContext } from "node:test";

type Concat = (parts: readonly Uint8Array[]) => Buffer;

/** Counts the bytes that are copied between arrays, or into a new one, from now to the test's end. */
export function copiedBytes(context: TestContext): () => number {
  let bytes = 0;
  const set = Reflect.get<Uint8Array, "set">(Uint8Array.prototype, "set");
  const concat = Reflect.get(Buffer, "concat") as Concat;
  Object.assign(Uint8Array.prototype, {
    set(this: Uint8Array, from: ArrayLike<number>, at?: number) {
      bytes += from.length;
      set.call(this, from, at);
    },
  });
  Object.assign(Buffer, {
    concat(parts: readonly Uint8Array[]) {
      for (const part of parts) bytes += part.length;
      return concat(parts);
    },
  });
  context.after(() => {
    Object.assign(Uint8Array.prototype, { set });
    Object.assign(Buffer, { concat });
  });
  return () => bytes;
}
