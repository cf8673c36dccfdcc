/** Group pl, first part: a payload with another field or in another form, honestly signed. */
import type { AttestationErrorCode } from "../../../attestation/errors.ts";
import {
  array,
  bytes,
  chunked,
  type Entry,
  float,
  head,
  hex,
  indefinite,
  join,
  map,
  negative,
  NULL,
  tag,
  text,
  TRUE,
  uint,
  UNDEFINED,
} from "../../support/raw-cbor.ts";
import {
  CHALLENGE,
  chain,
  encodePcrs,
  entriesOf,
  evidenceOf,
  evidenceWith,
  type Fields,
  fieldsOf,
  pcrOf,
  registers,
  TIMESTAMP,
} from "../../support/test-document.ts";
import { MODULE_ID } from "../../support/test-pki.ts";
import type { Attack } from "./attack.ts";

type More = Partial<Attack>;

export function changed(
  name: string,
  change: (fields: Fields) => void,
  verdict: AttestationErrorCode = "malformed-evidence",
  more: More = {},
): Attack {
  return { name, verdict, evidence: () => evidenceWith(change), ...more };
}

/** One field in another encoding. */
export function field(
  name: string,
  key: string,
  value: Uint8Array,
  verdict?: AttestationErrorCode,
  more?: More,
): Attack {
  return changed(name, (fields) => fields.set(key, value), verdict, more);
}

/** A payload written out of the entries of a good one. */
function written(name: string, payload: (entries: Entry[]) => Uint8Array): Attack {
  return {
    name,
    verdict: "malformed-evidence",
    evidence: () => evidenceOf(payload(entriesOf(fieldsOf()))),
  };
}

/** Registers changed, as good as any other. */
export function pcrs(
  name: string,
  change: (values: Map<number, Uint8Array>) => void,
  verdict?: AttestationErrorCode,
  more?: More,
): Attack {
  const values = registers();
  change(values);
  return field(name, "pcrs", encodePcrs(values), verdict, more);
}

const MANDATORY = ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"];
export const pcr0: Uint8Array = registers().get(0)!;
const pcrEntries = Array.from(registers(), ([index, value]): Entry => [uint(index), bytes(value)]);
const authorities = [chain.root, chain.regional, chain.zonal, chain.instance].map(({ der }) => der);
const cabundle = authorities.map((der) => bytes(der));

function pcrsWith(...more: Entry[]): Uint8Array {
  return map([...pcrEntries, ...more]);
}

/** PCR16 in another form: a register that no policy compares. */
function pcr16(value: Uint8Array): Uint8Array {
  return pcrsWith([uint(16), value]);
}

const mandatory = MANDATORY.flatMap((key) => [
  changed(`pl-${key}-missing`, (fields) => fields.delete(key)),
  field(`pl-${key}-null`, key, NULL),
]);

const scalars = [
  field("pl-module-id-empty", "module_id", text("")),
  field("pl-module-id-bytes", "module_id", bytes(new TextEncoder().encode(MODULE_ID))),
  field("pl-module-id-not-utf8", "module_id", hex("62c328")),
  field("pl-module-id-chunked", "module_id", indefinite("text", [text("i-0"), text("-enc0")])),
  field("pl-module-id-of-257", "module_id", text("i".repeat(257))),
  field("pl-digest-sha256", "digest", text("SHA256")),
  field("pl-digest-sha512", "digest", text("SHA512")),
  field("pl-digest-lower-case", "digest", text("sha384")),
  field("pl-digest-nul", "digest", text("SHA384\0")),
  field("pl-digest-bytes", "digest", bytes(new TextEncoder().encode("SHA384"))),
  field("pl-timestamp-0", "timestamp", uint(0)),
  field("pl-timestamp-negative", "timestamp", negative(TIMESTAMP)),
  field("pl-timestamp-float", "timestamp", float(TIMESTAMP)),
  field("pl-timestamp-text", "timestamp", text(String(TIMESTAMP))),
  field("pl-timestamp-bignum", "timestamp", tag(2, bytes(uint(TIMESTAMP).slice(1)))),
  field("pl-timestamp-tag-1", "timestamp", tag(1, uint(TIMESTAMP))),
  field("pl-timestamp-long-form", "timestamp", uint(Math.floor(TIMESTAMP / 1000), 8)),
  field(
    "pl-timestamp-seconds",
    "timestamp",
    uint(Math.floor(TIMESTAMP / 1000)),
    "instance-mismatch",
  ),
  field("pl-timestamp-2^53+1", "timestamp", uint(2n ** 53n + 1n)),
  field("pl-timestamp-2^64-1", "timestamp", uint(2n ** 64n - 1n)),
  field("pl-timestamp-boolean", "timestamp", TRUE),
];

const badPcrs = [
  field("pl-pcrs-empty", "pcrs", map([])),
  field("pl-pcrs-array", "pcrs", array(pcrEntries.map(([, value]) => value))),
  field("pl-pcrs-indefinite", "pcrs", indefinite("map", pcrEntries.flat())),
  field(
    "pl-pcrs-33",
    "pcrs",
    encodePcrs(Array.from({ length: 33 }, (_, index) => [index, registers().get(index) ?? pcr0])),
  ),
  field("pl-pcrs-index-32", "pcrs", encodePcrs(registers().set(32, pcr0))),
  field("pl-pcrs-index-negative", "pcrs", pcrsWith([negative(0), bytes(pcr0)])),
  field("pl-pcrs-index-text", "pcrs", pcrsWith([text("16"), bytes(pcr0)])),
  field("pl-pcrs-index-text-0", "pcrs", map([[text("0"), bytes(pcr0)], ...pcrEntries.slice(1)])),
  field("pl-pcrs-index-2^32", "pcrs", pcrsWith([uint(2 ** 32), bytes(pcr0)])),
  field(
    "pl-pcrs-index-2^32-for-0",
    "pcrs",
    map([[uint(2 ** 32), bytes(pcr0)], ...pcrEntries.slice(1)]),
  ),
  field("pl-pcrs-index-float", "pcrs", pcrsWith([float(16), bytes(pcr0)])),
  field("pl-pcrs-index-bytes", "pcrs", pcrsWith([bytes(Uint8Array.of(16)), bytes(pcr0)])),
  ...[0, 20, 32, 47, 49, 64].map((length) =>
    field(`pl-pcrs-of-${length}-bytes`, "pcrs", pcr16(bytes(new Uint8Array(length).fill(1)))),
  ),
  field("pl-pcrs-pcr0-of-32-bytes", "pcrs", encodePcrs(registers().set(0, pcr0.slice(0, 32)))),
  field("pl-pcrs-value-text", "pcrs", pcr16(text("x".repeat(48)))),
  field("pl-pcrs-value-null", "pcrs", pcr16(NULL)),
  field("pl-pcrs-value-chunked", "pcrs", pcr16(chunked(pcr0))),
  field("pl-pcrs-value-long-form", "pcrs", pcr16(bytes(pcr0, 2))),
  field("pl-pcrs-duplicate-same", "pcrs", pcrsWith([uint(0), bytes(pcr0)])),
  field("pl-pcrs-duplicate-different", "pcrs", pcrsWith([uint(0), bytes(pcrOf("evil"))])),
  field("pl-pcrs-duplicate-first", "pcrs", map([[uint(0), bytes(pcrOf("evil"))], ...pcrEntries])),
  field("pl-pcrs-00-and-18-00", "pcrs", pcrsWith([uint(0, 1), bytes(pcrOf("evil"))])),
  field(
    "pl-pcrs-index-long-form",
    "pcrs",
    map([[uint(0, 1), bytes(pcr0)], ...pcrEntries.slice(1)]),
  ),
  pcrs("pl-pcrs-pcr0-missing", (values) => values.delete(0)),
];

const certificates = [
  field("pl-certificate-empty", "certificate", bytes(new Uint8Array())),
  field("pl-certificate-of-1025-bytes", "certificate", bytes(new Uint8Array(1025))),
  field("pl-certificate-text", "certificate", text("x".repeat(600))),
  field("pl-certificate-array", "certificate", array([bytes(chain.leaf.der)])),
  field("pl-cabundle-empty", "cabundle", array([])),
  field(
    "pl-cabundle-map",
    "cabundle",
    map(cabundle.map((item, index) => [uint(index), item] as const)),
  ),
  field("pl-cabundle-bytes", "cabundle", bytes(chain.root.der)),
  field("pl-cabundle-empty-item", "cabundle", array([...cabundle, bytes(new Uint8Array())])),
  field("pl-cabundle-null-item", "cabundle", array([...cabundle, NULL])),
  field(
    "pl-cabundle-item-of-1025-bytes",
    "cabundle",
    array([...cabundle, bytes(new Uint8Array(1025))]),
  ),
  field("pl-cabundle-of-9-items", "cabundle", array(Array.from({ length: 9 }, () => cabundle[0]!))),
  field(
    "pl-cabundle-of-64-items",
    "cabundle",
    array(Array.from({ length: 64 }, () => hex("4101"))),
  ),
  field("pl-cabundle-indefinite", "cabundle", indefinite("array", cabundle)),
  field("pl-cabundle-nested", "cabundle", array([array(cabundle)])),
];

const options = ["public_key", "user_data", "nonce"].flatMap((key) => [
  field(`pl-${key}-of-1025-bytes`, key, bytes(new Uint8Array(1025))),
  field(`pl-${key}-text`, key, text("text")),
  field(`pl-${key}-array-of-integers`, key, array(Array.from(CHALLENGE, (byte) => uint(byte)))),
  field(`pl-${key}-undefined`, key, UNDEFINED),
  field(`pl-${key}-boolean`, key, TRUE),
  field(`pl-${key}-chunked`, key, chunked(CHALLENGE)),
  field(`pl-${key}-tagged`, key, tag(64, bytes(CHALLENGE))),
  field(`pl-${key}-long-form`, key, bytes(CHALLENGE, 2)),
]);

const twice = ["pcrs", "certificate", "user_data", "nonce", "module_id", "cabundle"].flatMap(
  (key) => [
    written(`pl-${key}-twice`, (entries) => {
      return indefinite("map", [...entries, entryOf(entries, key)].flat());
    }),
    written(`pl-${key}-twice-other-first`, (entries) => {
      const [name] = entryOf(entries, key);
      return indefinite("map", [[name, NULL] as const, ...entries].flat());
    }),
  ],
);

const shape = [
  written("pl-key-unknown", (entries) => map([...entries, [text("other"), uint(1)]])),
  written("pl-key-in-capitals", (entries) => map([...entries, [text("Nonce"), bytes(CHALLENGE)]])),
  written("pl-key-bytes", (entries) =>
    map([...entries, [bytes(new TextEncoder().encode("nonce")), NULL]]),
  ),
  written("pl-key-integer", (entries) => map([...entries, [uint(0), NULL]])),
  written("pl-key-proto", (entries) => map([...entries, [text("__proto__"), map([])]])),
  written("pl-key-constructor", (entries) => map([...entries, [text("constructor"), NULL]])),
  written("pl-key-long-form", ([first, ...rest]) =>
    map([[text("module_id", 1), first![1]], ...rest]),
  ),
  written("pl-key-chunked", ([first, ...rest]) =>
    map([[indefinite("text", [text("module"), text("_id")]), first![1]], ...rest]),
  ),
  written("pl-map-count-short", (entries) => map(entries, { count: 8 })),
  written("pl-map-count-long", (entries) => map(entries, { count: 10 })),
  written("pl-map-count-beyond-memory", (entries) =>
    join(head(5, 2n ** 53n - 1n), ...entries.flat()),
  ),
  written("pl-map-long-form", (entries) => map(entries, { width: 1 })),
  written("pl-map-without-break", (entries) => indefinite("map", entries.flat()).slice(0, -1)),
  written("pl-map-odd", (entries) => indefinite("map", entries.flat().slice(0, -1))),
  written("pl-map-tagged", (entries) => tag(55_799, map(entries))),
  written("pl-map-double-wrapped", (entries) => bytes(map(entries))),
  written("pl-map-in-an-array", (entries) => array([map(entries)])),
  written("pl-map-trailing-byte", (entries) => join(map(entries), hex("00"))),
  written("pl-map-trailing-break", (entries) => join(indefinite("map", entries.flat()), hex("ff"))),
  written("pl-map-second", (entries) => join(map(entries), map(entries))),
  written("pl-map-additional-information-28", (entries) => join(hex("bc"), ...entries.flat())),
  written("pl-array-of-fields", (entries) => array(entries.flat())),
  written("pl-null", () => NULL),
  written("pl-records-of-a-library", (entries) => join(hex("d9dfff"), array(entries.flat()))),
  written("pl-deep-under-an-unknown-key", (entries) =>
    map([...entries, [text("deep"), join(new Uint8Array(3000).fill(0x81), uint(0))]]),
  ),
  written("pl-deep-under-a-known-key", (entries) =>
    map([...entries.slice(0, -1), [text("nonce"), join(new Uint8Array(3000).fill(0x81), uint(0))]]),
  ),
  written("pl-deep-tags", (entries) =>
    map([...entries.slice(0, -1), [text("nonce"), join(new Uint8Array(3000).fill(0xc6), NULL)]]),
  ),
];

export const payload: readonly Attack[] = [
  ...mandatory,
  ...scalars,
  ...badPcrs,
  ...certificates,
  ...options,
  ...twice,
  ...shape,
];

function entryOf(entries: readonly Entry[], key: string): Entry {
  return entries.find(([name]) => Buffer.from(name).equals(text(key)))!;
}
