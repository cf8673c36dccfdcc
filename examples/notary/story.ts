/** What the client tells of its calls: to whoever reads it, or to the demo that started it. */

/** What the host must not see. */
export type Secret =
  | "method name"
  | "metadata"
  | "document"
  | "digest"
  | "signature"
  | "public key";

/** One call, as the client saw it. */
export interface Chapter {
  readonly method: string;
  readonly kind: string;
  readonly lines: readonly string[];
  /** Pieces to search the host's capture for, as base64. */
  readonly secrets: readonly { readonly what: Secret; readonly bytes: string }[];
}

const PIECE_BYTES = 32;
const MAX_PIECES = 64;

export class Story {
  #lines: string[] = [];
  #secrets: { what: Secret; bytes: string }[] = [];

  fact(label: string, value: string): void {
    this.#lines.push(`  ${label} ${value}`);
  }

  sent(what: Secret, label: string, value: string | Uint8Array): void {
    this.#line("→", what, label, value);
  }

  received(what: Secret, label: string, value: string | Uint8Array): void {
    this.#line("←", what, label, value);
  }

  /** Tells what was gathered; under the demo, it waits until that was shown. */
  async chapter(method: string, kind: string): Promise<void> {
    this.#hide("method name", Buffer.from(method));
    const chapter: Chapter = { method, kind, lines: this.#lines, secrets: this.#secrets };
    this.#lines = [];
    this.#secrets = [];
    if (!process.send) {
      console.log([`${method} (${kind})`, ...chapter.lines, ""].join("\n"));
      return;
    }
    const shown = new Promise((resolve) => process.once("message", resolve));
    process.send(chapter);
    await shown;
  }

  /** Lets the process end. */
  end(): void {
    if (process.connected) process.disconnect();
  }

  #line(arrow: string, what: Secret, label: string, value: string | Uint8Array): void {
    const bytes = Buffer.from(value);
    const shown = typeof value === "string" ? value : readable(bytes);
    this.#lines.push(`${arrow} ${label} ${shown}`);
    this.#hide(what, bytes);
  }

  #hide(what: Secret, bytes: Buffer): void {
    const step = Math.max(PIECE_BYTES, Math.ceil(bytes.length / MAX_PIECES));
    for (let at = 0; at < bytes.length; at += step) {
      const piece = bytes.subarray(at, at + PIECE_BYTES);
      // A short rest could be anywhere by chance.
      if (at > 0 && piece.length < PIECE_BYTES) break;
      this.#secrets.push({ what, bytes: piece.toString("base64") });
    }
  }
}

/** The first line of a text, else hex. */
function readable(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  if (/\p{Cc}/u.test(text.replace(/[\t\r\n]/g, "")) || text.includes("\ufffd")) {
    return bytes.toString("hex");
  }
  return JSON.stringify(text.trim().split("\n", 1)[0]);
}
