/** The two Finished messages, each sealed under a key of its own (docs/protocol.md §4). */
import { TAG_BYTES } from "../crypto/backend.ts";
import { ChannelError } from "./errors.ts";
import type { SealingKey } from "./key-schedule.ts";

/**
 * Seals the one message of a handshake key, and erases the key. The iv itself is the nonce.
 *
 * Invariant: a handshake key never seals twice.
 */
export function sealFinished(key: SealingKey, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(plaintext.length + TAG_BYTES);
  key.aead.seal(key.iv, plaintext, sealed, aad);
  erase(key);
  return sealed;
}

/**
 * Opens the one message of a handshake key, and erases the key.
 *
 * @throws ChannelError `authentication-failed`.
 */
export function openFinished(key: SealingKey, aad: Uint8Array, sealed: Uint8Array): Uint8Array {
  const plaintext = key.aead.open(key.iv, sealed, aad);
  erase(key);
  if (plaintext === undefined) {
    throw new ChannelError("authentication-failed", "the peer's confirmation does not open");
  }
  return plaintext;
}

function erase({ aead, iv }: SealingKey): void {
  aead.destroy();
  iv.fill(0);
}
