/**
 * What binds a handshake together: what evidence must say, and the transcript, four hashes of which
 * each covers the one before (docs/protocol.md §2). Messages go in as the bytes that travelled.
 */
import type { CryptoBackend } from "../crypto/backend.ts";
import { ascii, concat, labeledHash, u16, u32 } from "./notation.ts";

/** "sealrpc1 server attestation\0" ‖ params_hash: the user_data of the enclave's evidence. */
export function enclaveUserData(backend: CryptoBackend, enclaveParams: Uint8Array): Uint8Array {
  const paramsHash = labeledHash(backend, "sealrpc1 params", enclaveParams);
  return concat(ascii("sealrpc1 server attestation\0"), paramsHash);
}

/** The user_data of a client's evidence: a label, so that no enclave's evidence passes for it. */
export function clientUserData(): Uint8Array {
  return ascii("sealrpc1 client attestation\0");
}

/** What both sides know before a suite is chosen. */
export interface HelloTranscript {
  readonly clientHello: Uint8Array;
  readonly enclaveParams: Uint8Array;
  readonly format: number;
  readonly evidence: Uint8Array;
  /** Invariant: fresh for each handshake; else one hello, twice in a batch, leads to the same keys. */
  readonly sessionId: Uint8Array;
}

/** th1 covers the two hellos. */
export function transcript1(backend: CryptoBackend, hello: HelloTranscript): Uint8Array {
  const { clientHello, enclaveParams, format, evidence, sessionId } = hello;
  const parts = [clientHello, enclaveParams, u32(format), evidence, sessionId];
  return labeledHash(backend, "sealrpc1 th1", ...parts);
}

/** hpke_info = "sealrpc1 hpke" ‖ u16(suite) ‖ th1. */
export function hpkeInfo(suite: number, th1: Uint8Array): Uint8Array {
  return concat(ascii("sealrpc1 hpke"), u16(suite), th1);
}

/** th2 adds the suite and the encapsulated key. */
export function transcript2(
  backend: CryptoBackend,
  th1: Uint8Array,
  suite: number,
  enc: Uint8Array,
): Uint8Array {
  return labeledHash(backend, "sealrpc1 th2", th1, u16(suite), enc);
}

/** th3 adds the client's sealed confirmation. */
export function transcript3(
  backend: CryptoBackend,
  th2: Uint8Array,
  sealed: Uint8Array,
): Uint8Array {
  return labeledHash(backend, "sealrpc1 th3", th2, sealed);
}

/** th4 adds the enclave's: it covers the whole handshake. */
export function transcript4(
  backend: CryptoBackend,
  th3: Uint8Array,
  sealed: Uint8Array,
): Uint8Array {
  return labeledHash(backend, "sealrpc1 th4", th3, sealed);
}
