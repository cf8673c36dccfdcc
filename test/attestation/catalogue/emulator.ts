/** Group em: what emulators without a root of their own give. */
import {
  array,
  bytes,
  hex,
  indefinite,
  map,
  negative,
  text,
  uint,
} from "../../support/raw-cbor.ts";
import {
  CHALLENGE,
  encodePcrs,
  entriesOf,
  envelopeOf,
  type Fields,
  fieldsOf,
  itemsOf,
  registers,
  TIMESTAMP,
} from "../../support/test-document.ts";
import { MODULE_ID } from "../../support/test-pki.ts";
import type { Attack } from "./attack.ts";

const zeros = (length: number) => bytes(new Uint8Array(length));

/** The fields as QEMU's virtual module fills them. */
function emulated(certificate: Uint8Array): Fields {
  return new Map([
    ["module_id", text(MODULE_ID)],
    ["digest", text("SHA384")],
    ["timestamp", uint(TIMESTAMP)],
    ["pcrs", encodePcrs(registers())],
    ["certificate", certificate],
    ["cabundle", array([certificate])],
    ["public_key", bytes(new Uint8Array())],
    ["user_data", bytes(new Uint8Array())],
    ["nonce", bytes(CHALLENGE)],
  ]);
}

function envelope(fields: Fields, protectedHeader: Uint8Array, signature: Uint8Array): Uint8Array {
  const payload = indefinite("map", entriesOf(fields).flat());
  return envelopeOf({ ...itemsOf(payload), protectedHeader: bytes(protectedHeader), signature });
}

const es384 = hex("a1013822");
const signed = bytes(new Uint8Array(96).fill(1));

export const emulators: readonly Attack[] = [
  {
    name: "em-qemu",
    verdict: "malformed-evidence",
    evidence: () => envelope(emulated(zeros(64)), map([[uint(1), negative(0)]]), zeros(64)),
  },
  {
    name: "em-qemu-under-es384",
    verdict: "malformed-evidence",
    evidence: () => envelope(emulated(zeros(64)), es384, zeros(64)),
  },
  {
    name: "em-qemu-with-a-signature",
    verdict: "untrusted-chain",
    evidence: () => envelope(emulated(zeros(64)), es384, signed),
  },
  {
    name: "em-empty-strings",
    verdict: "malformed-evidence",
    evidence: () => envelope(emulated(zeros(0)), es384, zeros(0)),
  },
  {
    name: "em-empty-strings-with-a-signature",
    verdict: "malformed-evidence",
    evidence: () => envelope(emulated(zeros(0)), es384, signed),
  },
  {
    name: "em-good-chain-with-a-zero-signature",
    verdict: "bad-signature",
    evidence: () => envelope(fieldsOf(), es384, zeros(96)),
  },
];
