/**
 * The byte strings that bind a handshake together: hashes, Merkle nodes, what evidence must say,
 * and the transcript (docs/protocol.md §2). Messages go in as the bytes that travelled.
 */
import type { CryptoBackend } from "../crypto/backend.ts";

/** Bytes of every hash here. */
export const HASH_BYTES = 32;

/** u16, big endian. */
export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value);
}

/** u32, big endian. */
export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/** The bytes of a label. */
export function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** ‖ */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** LP(x) = u32(len x) ‖ x. */
export function lengthPrefixed(bytes: Uint8Array): Uint8Array {
  return concat(u32(bytes.length), bytes);
}

/** H(label, x1..xn) = SHA-256(LP(label) ‖ LP(x1) ‖ … ‖ LP(xn)). */
export function labeledHash(
  backend: CryptoBackend,
  label: string,
  ...parts: readonly Uint8Array[]
): Uint8Array {
  const prefixed = [ascii(label), ...parts].flatMap((part) => [u32(part.length), part]);
  return backend.hash("sha256", ...prefixed);
}

/** The Merkle leaf of a hello. */
export function helloLeaf(backend: CryptoBackend, clientHello: Uint8Array): Uint8Array {
  const hello = labeledHash(backend, "sealrpc1 hello", clientHello);
  return backend.hash("sha256", Uint8Array.of(0), hello);
}

/** The parent of two Merkle nodes. */
export function merkleNode(
  backend: CryptoBackend,
  left: Uint8Array,
  right: Uint8Array,
): Uint8Array {
  return backend.hash("sha256", Uint8Array.of(1), left, right);
}

/** The root that a leaf, its path and its position lead to. */
export function merkleRoot(
  backend: CryptoBackend,
  leaf: Uint8Array,
  path: readonly Uint8Array[],
  leafIndex: number,
): Uint8Array {
  let node = leaf;
  let index = leafIndex;
  for (const sibling of path) {
    node =
      index % 2 === 1 ? merkleNode(backend, sibling, node) : merkleNode(backend, node, sibling);
    index = Math.floor(index / 2);
  }
  return node;
}

/** The user_data of the enclave's evidence: commits to all that the enclave offers. */
export function enclaveUserData(backend: CryptoBackend, enclaveParams: Uint8Array): Uint8Array {
  return concat(
    ascii("sealrpc1 server attestation\0"),
    labeledHash(backend, "sealrpc1 params", enclaveParams),
  );
}

/** The user_data of a client's evidence; a label, so that no enclave's evidence passes for it. */
export function clientUserData(): Uint8Array {
  return ascii("sealrpc1 client attestation\0");
}

/** What th1 covers: all that both sides know before a suite is chosen. */
export interface HelloTranscript {
  clientHello: Uint8Array;
  enclaveParams: Uint8Array;
  format: number;
  evidence: Uint8Array;
  /** Invariant: fresh for every handshake, or the same hello twice in a batch shares its keys. */
  sessionId: Uint8Array;
}

export function th1(backend: CryptoBackend, hello: HelloTranscript): Uint8Array {
  return labeledHash(
    backend,
    "sealrpc1 th1",
    hello.clientHello,
    hello.enclaveParams,
    u32(hello.format),
    hello.evidence,
    hello.sessionId,
  );
}

/** The `info` of HPKE: "sealrpc1 hpke" ‖ u16(suite) ‖ th1. */
export function hpkeInfo(suite: number, hash1: Uint8Array): Uint8Array {
  return concat(ascii("sealrpc1 hpke"), u16(suite), hash1);
}

/** Adds the choice of the suite and the encapsulated key. */
export function th2(
  backend: CryptoBackend,
  hash1: Uint8Array,
  suite: number,
  enc: Uint8Array,
): Uint8Array {
  return labeledHash(backend, "sealrpc1 th2", hash1, u16(suite), enc);
}

/** Adds the client's sealed confirmation. */
export function th3(
  backend: CryptoBackend,
  hash2: Uint8Array,
  sealedClient: Uint8Array,
): Uint8Array {
  return labeledHash(backend, "sealrpc1 th3", hash2, sealedClient);
}

/** Adds the enclave's sealed confirmation: the hash of the whole handshake. */
export function th4(
  backend: CryptoBackend,
  hash3: Uint8Array,
  sealedEnclave: Uint8Array,
): Uint8Array {
  return labeledHash(backend, "sealrpc1 th4", hash3, sealedEnclave);
}
