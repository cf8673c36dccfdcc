/** Group ch, first part: times, order and roles of the certificates over an honest document. */
import * as x509 from "@peculiar/asn1-x509";
import { array, bytes, hex, uint } from "../../support/raw-cbor.ts";
import { chain, evidenceUnder, TIMESTAMP } from "../../support/test-document.ts";
import {
  basicConstraints,
  type Chain,
  DAY,
  type Edit,
  extension,
  HOUR,
  issue,
  type Issued,
  keyPair,
  keyUsage,
  type Level,
  LEVELS,
  makeChain,
  MINUTE,
  MODULE_ID,
  nameOf,
  NOW,
  SECOND,
  signedBy,
  withExtension,
  withoutExtension,
} from "../../support/test-pki.ts";
import { type Attack, policyWith } from "./attack.ts";

export type Verdict = Attack["verdict"];
/** One certificate that signs certificates, and the one that signs documents. */
export const BOTH: readonly Level[] = ["zonal", "leaf"];

type Edits = { readonly [level in Level]?: Edit };

/** Evidence under the test chain with some levels issued otherwise, and all below them. */
export function under(
  name: string,
  edits: Edits,
  verdict: Verdict = "untrusted-chain",
  more: Partial<Attack> = {},
): Attack {
  const other = makeChain(edits, chain);
  return {
    name,
    verdict,
    evidence: () => evidenceUnder(other),
    policy: policyWith({ insecureTestRoot: other.root.der }),
    ...more,
  };
}

/** The same edit at each of the levels. */
export function at(
  levels: readonly Level[],
  name: string,
  edit: Edit,
  verdict: Verdict = "untrusted-chain",
): Attack[] {
  return levels.map((level) => under(`ch-${level}-${name}`, { [level]: edit }, verdict));
}

/** Evidence of the leaf, with the certificates that a case puts above it. */
function bundled(
  name: string,
  cabundle: readonly Issued[],
  leaf: Issued = chain.leaf,
  verdict: Verdict = "untrusted-chain",
): Attack {
  const evidence = () =>
    evidenceUnder({ ...chain, leaf }, (fields) => {
      fields.set("cabundle", array(cabundle.map(({ der }) => bytes(der))));
    });
  return { name, verdict, evidence };
}

/** Honest evidence with another timestamp, verified at another time. */
function timed(
  name: string,
  { timestamp = TIMESTAMP, now = NOW }: { timestamp?: number; now?: number },
  verdict: Verdict,
  leaf?: Edit,
): Attack {
  const other: Chain = leaf ? makeChain({ leaf }, chain) : chain;
  const evidence = () => evidenceUnder(other, (fields) => fields.set("timestamp", uint(timestamp)));
  return { name, verdict, evidence, now };
}

const lasting =
  (fromMs: number, untilMs: number): Edit =>
  (template) => {
    template.notBefore = new x509.Time(fromMs);
    template.notAfter = new x509.Time(untilMs);
  };
const leafStart = NOW - HOUR - 3 * SECOND;
const leafEnd = NOW + 2 * HOUR;

const times: readonly Attack[] = [
  timed("ch-control", {}, "accepted"),
  ...at(LEVELS, "expired", lasting(NOW - 11 * DAY, NOW - SECOND), "certificate-expired"),
  ...at(
    LEVELS,
    "not-yet-valid",
    lasting(NOW + 61 * SECOND, NOW + 11 * DAY),
    "certificate-not-yet-valid",
  ),
  timed("ch-leaf-last-second", { timestamp: leafEnd - 1, now: leafEnd }, "accepted"),
  timed("ch-leaf-over", { timestamp: leafEnd - 1, now: leafEnd + 1 }, "certificate-expired"),
  timed(
    "ch-leaf-first-second-by-a-slow-clock",
    { timestamp: leafStart, now: leafStart - MINUTE },
    "accepted",
  ),
  timed(
    "ch-leaf-before-its-first-second",
    { timestamp: leafStart, now: leafStart - MINUTE - 1 },
    "certificate-not-yet-valid",
  ),
  timed(
    "ch-authorities-over-after-they-were-verified",
    { timestamp: NOW + 3 * DAY + HOUR, now: NOW + 3 * DAY + HOUR },
    "certificate-expired",
    lasting(NOW + 3 * DAY, NOW + 3 * DAY + 3 * HOUR),
  ),
  timed("ch-document-of-max-age", { timestamp: NOW - 5 * MINUTE }, "accepted"),
  timed("ch-document-over-max-age", { timestamp: NOW - 5 * MINUTE - 1 }, "stale-evidence"),
  timed("ch-document-ahead-within-skew", { timestamp: NOW + 5 * MINUTE }, "accepted"),
  timed("ch-document-from-the-future", { timestamp: NOW + 5 * MINUTE + 1 }, "stale-evidence"),
  timed(
    "ch-document-before-its-leaf",
    { timestamp: NOW - 2 * MINUTE },
    "instance-mismatch",
    lasting(NOW - MINUTE, leafEnd),
  ),
  timed(
    "ch-document-after-its-leaf",
    { timestamp: NOW + 2 * MINUTE },
    "instance-mismatch",
    lasting(leafStart, NOW + MINUTE),
  ),
];

const foreign = keyPair().privateKey;

const unrelated = makeChain();
const unlimited = withExtension(basicConstraints({ cA: true }));
/** A chain whose upper levels allow any number of authorities, and one whose instance does too. */
const long = makeChain({ regional: unlimited, zonal: unlimited }, chain);
const longer = makeChain({ regional: unlimited, zonal: unlimited, instance: unlimited }, chain);
const subordinate = issue("instance", long.instance, (template) => {
  template.subject = nameOf("another.eu-west-1.aws.nitro-enclaves");
});
const second = issue("leaf", longer.leaf, (template) => {
  template.subject = nameOf(`${MODULE_ID}.eu-west-2.aws`);
});

const order: readonly Attack[] = [
  bundled("ch-cabundle-reversed", authoritiesOf(chain).reverse()),
  bundled("ch-cabundle-shuffled", [chain.root, chain.zonal, chain.regional, chain.instance]),
  bundled("ch-cabundle-without-root", authoritiesOf(chain).slice(1)),
  bundled("ch-cabundle-root-twice", [chain.root, ...authoritiesOf(chain)]),
  bundled("ch-cabundle-instance-twice", [...authoritiesOf(longer), longer.instance], longer.leaf),
  bundled("ch-cabundle-without-zonal", [chain.root, chain.regional, chain.instance]),
  bundled("ch-cabundle-without-instance", authoritiesOf(chain).slice(0, 3)),
  bundled("ch-cabundle-root-only", [chain.root]),
  bundled(
    "ch-cabundle-unrelated-at-the-end",
    [...authoritiesOf(longer), unrelated.regional],
    longer.leaf,
  ),
  bundled(
    "ch-cabundle-unrelated-after-root",
    [chain.root, unrelated.regional, ...authoritiesOf(longer).slice(1)],
    longer.leaf,
  ),
  bundled("ch-cabundle-with-its-leaf", [...authoritiesOf(longer), longer.leaf], longer.leaf),
  bundled("ch-chain-without-path-lengths", authoritiesOf(longer), longer.leaf, "accepted"),
  bundled(
    "ch-authority-below-the-instance",
    [...authoritiesOf(long), subordinate],
    issue("leaf", subordinate),
  ),
  bundled("ch-leaf-signs-a-leaf", [...authoritiesOf(longer), longer.leaf], second),
  bundled("ch-leaf-signs-a-leaf-and-is-left-out", authoritiesOf(longer), second),
  bundled(
    "ch-leaf-of-the-zonal-authority",
    [chain.root, chain.regional, chain.zonal],
    issue("leaf", chain.zonal),
    "accepted",
  ),
];

function authoritiesOf({ root, regional, zonal, instance }: Chain): Issued[] {
  return [root, regional, zonal, instance];
}

const BELOW_ROOT: readonly Level[] = ["regional", "zonal", "instance"];
const { digitalSignature, nonRepudiation, cRLSign } = x509.KeyUsageFlags;

/** basicConstraints whose value is written by hand. */
const rawConstraints = (value: string) =>
  withExtension(extension(x509.id_ce_basicConstraints, true, hex(value)));

const roles: readonly Attack[] = [
  under("ch-leaf-is-an-authority", { leaf: withExtension(basicConstraints({ cA: true })) }),
  under("ch-leaf-with-path-length", {
    leaf: withExtension(basicConstraints({ cA: false, pathLenConstraint: 0 })),
  }),
  under("ch-leaf-without-key-usage", { leaf: withoutExtension(x509.id_ce_keyUsage) }),
  under("ch-leaf-without-digital-signature", { leaf: withExtension(keyUsage(nonRepudiation)) }),
  under(
    "ch-leaf-without-basic-constraints",
    { leaf: withoutExtension(x509.id_ce_basicConstraints) },
    "accepted",
  ),

  ...at(BELOW_ROOT, "is-no-authority", withExtension(basicConstraints({ cA: false }))),
  ...at(BELOW_ROOT, "without-basic-constraints", withoutExtension(x509.id_ce_basicConstraints)),
  ...at(
    ["root", ...BELOW_ROOT],
    "basic-constraints-not-critical",
    withExtension(basicConstraints({ cA: true }, false)),
  ),
  ...at(BELOW_ROOT, "without-cert-sign", withExtension(keyUsage(digitalSignature | cRLSign))),
  ...at(BELOW_ROOT, "without-key-usage", withoutExtension(x509.id_ce_keyUsage)),

  ...[0, 1, 2].map((length) =>
    under(`ch-root-path-length-${length}-with-three-below`, { root: pathLength(length) }),
  ),
  under("ch-root-path-length-3-with-three-below", { root: pathLength(3) }, "accepted"),
  under("ch-regional-path-length-1-with-two-below", { regional: pathLength(1) }),
  under("ch-regional-path-length-0-with-two-below", { regional: pathLength(0) }),
  under("ch-zonal-path-length-0-with-one-below", { zonal: pathLength(0) }),
  under("ch-path-length-negative", { zonal: rawConstraints("3006 0101ff 0201ff") }),
  under("ch-path-length-2^32", { zonal: rawConstraints("300a 0101ff 02050100000000") }),
  under("ch-path-length-long-form", { zonal: rawConstraints("3007 0101ff 02020001") }),

  ...at(
    ["regional", "zonal", "instance", "leaf"],
    "of-another-issuer",
    (template) => (template.issuer = nameOf("somebody else")),
  ),
  under("ch-leaf-issuer-in-another-encoding", {
    leaf: (template) => {
      const commonName = "i-0123456789abcdef0.eu-west-1.aws.nitro-enclaves";
      template.issuer = nameOf(commonName, "printableString");
    },
  }),
  ...at(
    ["regional", "zonal", "instance", "leaf"],
    "signed-by-a-foreign-key",
    (template) => (template.sign = signedBy(foreign)),
  ),
  under("ch-leaf-signed-by-the-zonal-authority", {
    leaf: (template) => (template.sign = signedBy(chain.zonal.privateKey)),
  }),
  under("ch-leaf-signed-by-itself", {
    leaf: (template) => (template.sign = signedBy(chain.leaf.privateKey)),
  }),
];

function pathLength(pathLenConstraint: number): Edit {
  return withExtension(basicConstraints({ cA: true, pathLenConstraint }));
}

export const chains: readonly Attack[] = [...times, ...order, ...roles];
