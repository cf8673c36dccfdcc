/**
 * The npm package `ehbp`, a neighbour: it seals the body of each HTTP request to a server's key. It
 * is no dependency; who wants its rows installs it beside: `npm install --no-save ehbp@0.1.7`.
 */
import { createRequire } from "node:module";

/** What is used of it. */
export interface Ehbp {
  readonly Identity: {
    generate(): Promise<Identity>;
    fromPublicKeyHex(hex: string): Promise<Identity>;
  };
  readonly Transport: new (
    server: Identity,
    host: string,
  ) => { post(url: string, body: Uint8Array): Promise<Response> };
  deriveResponseKeys(exported: Uint8Array, enc: Uint8Array, nonce: Uint8Array): Promise<unknown>;
  encryptChunk(keys: unknown, sequence: number, plaintext: Uint8Array): Promise<Uint8Array>;
  readonly PROTOCOL: Readonly<Record<"ENCAPSULATED_KEY_HEADER" | "RESPONSE_NONCE_HEADER", string>>;
  readonly HPKE_REQUEST_INFO: string;
  readonly EXPORT_LABEL: string;
  readonly EXPORT_LENGTH: number;
  readonly RESPONSE_NONCE_LENGTH: number;
}

interface Identity {
  /** Private to its types: its own server is another program, in Go. */
  readonly suite: {
    SetupRecipient(
      privateKey: unknown,
      enc: Uint8Array,
      options: { readonly info: Uint8Array },
    ): Promise<Recipient>;
  };
  getPrivateKey(): unknown;
  getPublicKeyHex(): Promise<string>;
}

interface Recipient {
  Open(ciphertext: Uint8Array): Promise<Uint8Array>;
  Export(label: Uint8Array, length: number): Promise<Uint8Array>;
}

const require = createRequire(import.meta.url);

export function ehbpIsInstalled(): boolean {
  try {
    require.resolve("ehbp");
    return true;
  } catch {
    return false;
  }
}

export function loadEhbp(): Ehbp {
  return require("ehbp") as Ehbp;
}
