/** The notation of docs/protocol.md §2: big-endian integers, concatenation, LP and H. */
import type { CryptoBackend } from "../crypto/backend.ts";

/** u16(n). */
export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value);
}

/** u32(n). */
export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/** The bytes of a quoted text. */
export function ascii(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** a ‖ b ‖ … */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** LP(x) = u32(length of x) ‖ x. */
export function lengthPrefixed(bytes: Uint8Array): Uint8Array {
  return concat(u32(bytes.length), bytes);
}

/** H(label, x1, …, xn) = SHA-256(LP(label) ‖ LP(x1) ‖ … ‖ LP(xn)). */
export function labeledHash(
  backend: CryptoBackend,
  label: string,
  ...parts: readonly Uint8Array[]
): Uint8Array {
  const prefixed: Uint8Array[] = [];
  for (const part of [ascii(label), ...parts]) prefixed.push(u32(part.length), part);
  return backend.hash("sha256", concat(...prefixed));
}

/** Whether two public byte strings are equal. Not for secrets: it stops at the first difference. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
