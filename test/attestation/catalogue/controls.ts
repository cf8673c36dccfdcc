/** Evidence and policies that must pass: a verifier that refuses these is too strict. */
import { bytes, hex, map, NULL, tag } from "../../support/raw-cbor.ts";
import {
  chain,
  encodePcrs,
  entriesOf,
  evidenceOf,
  evidenceWith,
  fieldsOf,
  pcrOf,
  registers,
  ZERO_PCR,
} from "../../support/test-document.ts";
import { MODULE_ID } from "../../support/test-pki.ts";
import { type Attack, expectedPcr0, policyWith } from "./attack.ts";

const accepted = (
  name: string,
  evidence: () => Uint8Array,
  more: Partial<Attack> = {},
): Attack => ({ name, verdict: "accepted", evidence, ...more });

function withPcrs(values: Iterable<readonly [number, Uint8Array]>): Uint8Array {
  return evidenceWith((fields) => fields.set("pcrs", encodePcrs(values)));
}

const hexOf = (pcr: Uint8Array) => Buffer.from(pcr).toString("hex");
const debugRegisters = () => {
  const values = registers();
  [0, 1, 2].forEach((index) => values.set(index, ZERO_PCR));
  return values;
};
const other = hexOf(pcrOf("another image"));

export const controls: readonly Attack[] = [
  accepted("ok-indefinite-outer-map", () => evidenceWith()),
  accepted("ok-definite-outer-map", () => evidenceOf(map(entriesOf(fieldsOf())))),
  accepted("ok-null-options", () => evidenceWith((fields) => fields.set("nonce", NULL)), {
    challenge: null,
  }),
  accepted(
    "ok-absent-options",
    () =>
      evidenceWith((fields) => {
        ["public_key", "user_data", "nonce"].forEach((key) => fields.delete(key));
      }),
    { challenge: null },
  ),
  accepted("ok-empty-options", () =>
    evidenceWith((fields) => {
      fields.set("public_key", hex("40"));
      fields.set("user_data", hex("40"));
    }),
  ),
  accepted("ok-17-pcrs", () => withPcrs(registers().set(16, pcrOf("run time")))),
  accepted("ok-32-pcrs", () => {
    const values = registers();
    for (let index = 16; index < 32; index += 1) values.set(index, pcrOf(`run time ${index}`));
    return withPcrs(values);
  }),
  accepted("ok-sparse-pcrs", () =>
    withPcrs([...registers()].filter(([index]) => [0, 4, 8, 15].includes(index))),
  ),
  accepted("ok-pcrs-in-another-order", () => withPcrs([...registers()].reverse())),
  accepted("ok-1024-byte-options", () =>
    evidenceWith((fields) => {
      fields.set("public_key", bytes(new Uint8Array(1024).fill(1)));
      fields.set("user_data", bytes(new Uint8Array(1024).fill(2)));
    }),
  ),
  accepted("ok-other-key-order", () => evidenceOf(map(entriesOf(fieldsOf()).reverse()))),
  accepted("ok-tag-18", () => tag(18, evidenceWith())),
  accepted("pol-one-of-several-sets", () => evidenceWith(), {
    policy: policyWith({ referenceValues: [{ pcr0: other }, { pcr0: expectedPcr0 }] }),
  }),
  accepted(
    "pol-every-register",
    () => withPcrs(registers().set(3, pcrOf("r")).set(8, pcrOf("s"))),
    {
      policy: policyWith({
        referenceValues: [
          {
            pcr0: expectedPcr0.toUpperCase(),
            pcr1: hexOf(pcrOf("image 1")),
            pcr2: hexOf(pcrOf("image 2")),
            pcr3: hexOf(pcrOf("r")),
            pcr4: hexOf(pcrOf(MODULE_ID.replace(/-enc.*/, ""))),
            pcr8: hexOf(pcrOf("s")),
          },
        ],
      }),
    },
  ),
  accepted("pol-any-measurement", () => withPcrs(registers().set(0, pcrOf("unknown"))), {
    policy: () => ({ insecureAnyMeasurement: true, insecureTestRoot: chain.root.der }),
  }),
  accepted("pol-debug-allowed", () => withPcrs(debugRegisters()), {
    policy: policyWith({ insecureAllowDebug: true }),
  }),
  accepted("pol-debug-with-measured-image", () => evidenceWith(), {
    policy: policyWith({ insecureAllowDebug: true }),
  }),
  accepted("pol-binding-skipped", () => withPcrs(registers().set(4, pcrOf("elsewhere"))), {
    policy: policyWith({ insecureSkipInstanceBinding: true }),
  }),
  accepted(
    "pol-user-data",
    () => evidenceWith((fields) => fields.set("user_data", bytes(Uint8Array.of(1, 2)))),
    { userData: Uint8Array.of(1, 2) },
  ),
];
