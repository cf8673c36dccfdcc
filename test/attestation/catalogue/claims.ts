/** Group pl, second part: an honest document of the right form that claims something else. */
import type { PolicyOptions, ReferenceValues } from "../../../attestation/index.ts";
import { bytes, hex, join, NULL, text } from "../../support/raw-cbor.ts";
import {
  CHALLENGE,
  chain,
  encodePcrs,
  evidenceUnder,
  pcrOf,
  registers,
  ZERO_PCR,
} from "../../support/test-document.ts";
import { type Edit, makeChain, MODULE_ID, nameOf } from "../../support/test-pki.ts";
import { type Attack, expectedPcr0, policyWith } from "./attack.ts";
import { changed, field, pcr0, pcrs } from "./payload.ts";

const measurements = [
  field(
    "pl-pcrs-by-position",
    "pcrs",
    encodePcrs([[1, pcr0], [0, pcrOf("evil")], ...[...registers()].slice(2)]),
    "measurement-mismatch",
  ),
  pcrs("pl-pcrs-another-image", (values) => values.set(0, pcrOf("evil")), "measurement-mismatch"),
  pcrs("pl-pcrs-another-pcr2", (values) => values.set(2, pcrOf("evil")), "measurement-mismatch", {
    policy: pinned({ pcr2: pcrOf("image 2") }),
  }),
  pcrs("pl-pcrs-pinned-pcr8-zero", () => {}, "measurement-mismatch", {
    policy: pinned({ pcr8: pcrOf("signer") }),
  }),
  pcrs("pl-pcrs-pinned-pcr3-missing", (values) => values.delete(3), "measurement-mismatch", {
    policy: pinned({ pcr3: pcrOf("role") }),
  }),
  pcrs(
    "pl-pcrs-registers-of-two-sets",
    (values) => values.set(1, pcrOf("other 1")),
    "measurement-mismatch",
    {
      policy: policyWith({
        referenceValues: [
          { pcr0: hexOf(pcr0), pcr1: hexOf(pcrOf("image 1")) },
          { pcr0: hexOf(pcrOf("other 0")), pcr1: hexOf(pcrOf("other 1")) },
        ],
      }),
    },
  ),
];

const debug = [
  ...[[0, 1, 2], [0], [1], [2]].map((zeroed) =>
    pcrs(
      `pl-debug-pcr-${zeroed.join("-")}-zero`,
      (values) => zeroed.forEach((index) => values.set(index, ZERO_PCR)),
      "debug-enclave",
    ),
  ),
  pcrs(
    "pl-debug-all-zero",
    (values) => [...values.keys()].forEach((index) => values.set(index, ZERO_PCR)),
    "instance-mismatch",
  ),
  pcrs(
    "pl-debug-all-zero-binding-skipped",
    (values) => [...values.keys()].forEach((index) => values.set(index, ZERO_PCR)),
    "debug-enclave",
    { policy: policyWith({ insecureSkipInstanceBinding: true }) },
  ),
  pcrs(
    "pl-debug-any-measurement",
    (values) => [0, 1, 2].forEach((index) => values.set(index, ZERO_PCR)),
    "debug-enclave",
    { policy: () => ({ insecureAnyMeasurement: true, insecureTestRoot: chain.root.der }) },
  ),
  pcrs(
    "pl-debug-allowed-on-another-instance",
    (values) => [0, 1, 2].forEach((index) => values.set(index, ZERO_PCR)),
    "measurement-mismatch",
    { policy: pinned({ pcr4: pcrOf("i-00000000000000000") }, { insecureAllowDebug: true }) },
  ),
];

const identity = [
  pcrs(
    "pl-pcr4-of-another-instance",
    (v) => v.set(4, pcrOf("i-00000000000000000")),
    "instance-mismatch",
  ),
  pcrs("pl-pcr4-missing", (values) => values.delete(4), "instance-mismatch"),
  pcrs("pl-pcr4-zero", (values) => values.set(4, ZERO_PCR), "instance-mismatch"),
  field(
    "pl-module-id-of-another-enclave",
    "module_id",
    text(MODULE_ID.replace(/.$/, "0")),
    "instance-mismatch",
  ),
  field(
    "pl-module-id-tpm",
    "module_id",
    text("i-0123456789abcdef0-tpm0000000000000000"),
    "not-an-enclave",
  ),
  field("pl-module-id-instance-alone", "module_id", text("i-0123456789abcdef0"), "not-an-enclave"),
  field("pl-module-id-with-newline", "module_id", text(`${MODULE_ID}\n`), "not-an-enclave"),
  leafNamed("pl-leaf-name-of-another-enclave", `${MODULE_ID.replace(/.$/, "0")}.eu-west-1.aws`),
  leafNamed("pl-leaf-name-longer", `${MODULE_ID}0.eu-west-1.aws`),
  leafNamed("pl-leaf-name-without-region", `${MODULE_ID}.aws`),
  leafNamed("pl-leaf-name-with-another-end", `${MODULE_ID}.eu-west-1.com`),
  leafNamed("pl-leaf-name-in-another-domain", `${MODULE_ID}.eu-west-1.aws.example`),
  changed(
    "pl-nitrotpm-pcrs-alone",
    (fields) => {
      fields.set("nitrotpm_pcrs", fields.get("pcrs")!);
      fields.delete("pcrs");
    },
    "not-an-enclave",
  ),
  field("pl-nitrotpm-pcrs-beside", "nitrotpm_pcrs", encodePcrs(registers()), "not-an-enclave"),
];

const freshness = [
  field("pl-nonce-other", "nonce", bytes(new Uint8Array(32)), "challenge-mismatch"),
  field("pl-nonce-null", "nonce", NULL, "challenge-mismatch"),
  changed("pl-nonce-absent", (fields) => fields.delete("nonce"), "challenge-mismatch"),
  field("pl-nonce-empty", "nonce", bytes(new Uint8Array()), "challenge-mismatch"),
  field("pl-nonce-prefix", "nonce", bytes(CHALLENGE.slice(0, 31)), "challenge-mismatch"),
  field("pl-nonce-padded", "nonce", bytes(join(CHALLENGE, hex("00"))), "challenge-mismatch"),
  field(
    "pl-nonce-hex",
    "nonce",
    bytes(new TextEncoder().encode(hexOf(CHALLENGE))),
    "challenge-mismatch",
  ),
  changed(
    "pl-nonce-in-user-data",
    (fields) => {
      fields.set("user_data", bytes(CHALLENGE));
      fields.set("nonce", NULL);
    },
    "challenge-mismatch",
  ),
  field("pl-user-data-other", "user_data", bytes(Uint8Array.of(1)), "binding-mismatch", {
    userData: Uint8Array.of(2),
  }),
  field("pl-user-data-null", "user_data", NULL, "binding-mismatch", { userData: Uint8Array.of(2) }),
  field("pl-user-data-null-for-empty", "user_data", NULL, "binding-mismatch", {
    userData: new Uint8Array(),
  }),
];

export const claims: readonly Attack[] = [...measurements, ...debug, ...identity, ...freshness];

function leafNamed(name: string, commonName: string): Attack {
  return {
    name,
    verdict: "instance-mismatch",
    evidence: () => {
      const leaf: Edit = (template) => (template.subject = nameOf(commonName));
      return evidenceUnder(makeChain({ leaf }, chain));
    },
  };
}

function hexOf(value: Uint8Array): string {
  return Buffer.from(value).toString("hex");
}

/** The policy that pins these registers besides PCR0. */
function pinned(
  values: { readonly [key in keyof ReferenceValues]: Uint8Array },
  more: PolicyOptions = {},
): () => PolicyOptions {
  const digits = Object.entries(values).map(([key, value]) => [key, hexOf(value)]);
  const set = { pcr0: expectedPcr0, ...Object.fromEntries(digits) } as ReferenceValues;
  return policyWith({ referenceValues: [set], ...more });
}
