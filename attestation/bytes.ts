/** Byte strings that the verifier compares, prints and reads from text. */

/** Whether two byte strings are the same. Nothing that is compared here is a secret. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return false;
  }
  return true;
}

/** Whether every byte is zero. */
export function isAllZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Lower-case hexadecimal digits. */
export function encodeHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += hexOfByte[byte];
  return text;
}

/** Reads hexadecimal digits of any case, or gives `undefined` for anything else. */
export function decodeHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(text)) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  }
  return bytes;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads UTF-8, or gives `undefined` for anything else. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Hexadecimal digits for an error message: at most 32 bytes of a long string, then its length. */
export function excerptHex(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return "none";
  if (bytes.length === 0) return "0 bytes";
  if (bytes.length <= 64) return encodeHex(bytes);
  return `${encodeHex(bytes.subarray(0, 32))}… (${bytes.length} bytes)`;
}

/** Text of strangers for an error message: quoted, in ASCII, at most 64 characters of it. */
export function excerptText(text: string): string {
  return JSON.stringify(text.slice(0, 64)).replaceAll(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
