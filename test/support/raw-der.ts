/** DER surgery: takes an element apart into its children and puts children together again. */

/** The element with that tag and content. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const content = Buffer.concat(contents);
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Uint8Array.from([tag, ...size, ...content]);
}

export const BIT_STRING = 0x03;
export const SEQUENCE = 0x30;
export const SET = 0x31;

/** The elements inside a constructed element, whole. */
export function children(element: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = [];
  let offset = contentStart(element, 0);
  while (offset < element.length) {
    const end = contentStart(element, offset) + contentLength(element, offset);
    found.push(element.slice(offset, end));
    offset = end;
  }
  return found;
}

/** The content of an element, without tag and length. */
export function contentOf(element: Uint8Array): Uint8Array {
  return element.slice(contentStart(element, 0));
}

function contentStart(bytes: Uint8Array, offset: number): number {
  const first = bytes[offset + 1] ?? 0;
  return offset + 2 + (first < 0x80 ? 0 : first & 0x7f);
}

function contentLength(bytes: Uint8Array, offset: number): number {
  const first = bytes[offset + 1] ?? 0;
  if (first < 0x80) {
    return first;
  }
  const size = bytes.slice(offset + 2, offset + 2 + (first & 0x7f));
  return size.reduce((length, byte) => length * 256 + byte, 0);
}
