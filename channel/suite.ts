/** The suites and how one is chosen (docs/protocol.md §5). */
import type { AeadName } from "../crypto/backend.ts";

/** The suites that this implementation speaks, by their number on the wire. */
export type SuiteId = 1 | 2;

/** What a suite fixes. The KDF is always HKDF-SHA256. */
export interface Suite {
  readonly id: SuiteId;
  /** The KEM's number in the registry of RFC 9180. */
  readonly kemId: number;
  /** Bytes of the encapsulated key. */
  readonly encBytes: number;
  readonly aead: AeadName;
}

/** DHKEM(X25519, HKDF-SHA256). */
const X25519 = { kemId: 0x0020, encBytes: 32 } as const;

const SUITES: Readonly<Record<SuiteId, Suite>> = {
  1: { id: 1, ...X25519, aead: "AES-256-GCM" },
  2: { id: 2, ...X25519, aead: "ChaCha20-Poly1305" },
};

/** Every suite of this implementation, in the order of preference where AES is fast. */
export const SUITE_IDS: readonly SuiteId[] = [1, 2];

/** The parameters of a suite. */
export function suiteOf(id: SuiteId): Suite {
  return SUITES[id];
}

/** Whether a number from the wire names a suite of this implementation. */
export function isSuiteId(id: number): id is SuiteId {
  return Object.hasOwn(SUITES, id);
}

/** The first preference that is on offer, or `undefined`. What the other side prefers is ignored. */
export function chooseSuite(
  preferences: readonly SuiteId[],
  offered: readonly number[],
): SuiteId | undefined {
  return preferences.find((id) => offered.includes(id));
}
