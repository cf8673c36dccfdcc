/**
 * Short texts that came before on a session: its methods, metadata keys and authorities are few, and
 * come again with each call. To find one takes a third of the time of decoding it.
 *
 * Invariant: of one session only. How long a call takes must tell nobody what other clients sent.
 */

/** A text is kept in the one place that its hash gives, and gives way to the next one there. */
const PLACES = 32;
const MAX_BYTES = 64;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Decodes `bytes` from `start` to `end`. @throws TypeError for what is not UTF-8. */
export function decodeText(bytes: Uint8Array, start: number, end: number): string {
  return decoder.decode(bytes.subarray(start, end));
}

export class KnownTexts {
  #texts: (string | undefined)[] | undefined;

  /** As `decodeText` does. */
  decode(bytes: Uint8Array, start: number, end: number): string {
    const length = end - start;
    if (length > MAX_BYTES) return decodeText(bytes, start, end);
    let hash = length;
    for (let at = start; at < end; at++) hash = (31 * hash + (bytes[at] ?? 0)) | 0;
    this.#texts ??= Array.from({ length: PLACES });
    const place = hash & (PLACES - 1);
    const known = this.#texts[place];
    if (known !== undefined && isAt(known, bytes, start, end)) return known;
    const text = decodeText(bytes, start, end);
    // Only ASCII has as many characters as bytes. Other text could not be told from its bytes below.
    if (text.length === length) this.#texts[place] = text;
    return text;
  }
}

function isAt(text: string, bytes: Uint8Array, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[start + i]) return false;
  return true;
}
