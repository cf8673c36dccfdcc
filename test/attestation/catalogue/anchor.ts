/** Group an: another root, or none, behind what else is in order. */
import { AsnConvert } from "@peculiar/asn1-schema";
import * as x509 from "@peculiar/asn1-x509";
import { awsRootPem } from "../../../attestation/root.ts";
import { array, bytes } from "../../support/raw-cbor.ts";
import {
  chain,
  evidenceOf,
  evidenceUnder,
  fieldsOf,
  payloadOf,
} from "../../support/test-document.ts";
import {
  type Chain,
  type Edit,
  issue,
  type Issued,
  keyPair,
  makeChain,
} from "../../support/test-pki.ts";
import { type Attack, expectedPcr0 } from "./attack.ts";

const awsRoot: Uint8Array = Uint8Array.from(
  Buffer.from(awsRootPem.replaceAll(/-----[A-Z ]+-----/g, ""), "base64"),
);

/** Name, serial number and dates of AWS's root over the test key. */
const likeAws: Edit = (template) => {
  const { tbsCertificate: genuine } = AsnConvert.parse(awsRoot, x509.Certificate);
  const { subject, serialNumber, validity, extensions } = genuine;
  Object.assign(template, {
    subject,
    issuer: subject,
    serialNumber,
    notBefore: validity.notBefore,
    notAfter: validity.notAfter,
    extensions,
  });
};

const forged = makeChain({ root: likeAws });
const aws: Issued = { ...forged.root, der: awsRoot };

/** What clients have by default: the real root. */
const awsPolicy = () => ({ referenceValues: [{ pcr0: expectedPcr0 }] });

function refused(name: string, evidence: () => Uint8Array, more: Partial<Attack> = {}): Attack {
  return { name, verdict: "untrusted-chain", evidence, ...more };
}

function bundled(name: string, cabundle: readonly Issued[], under: Chain, more?: Partial<Attack>) {
  const evidence = () =>
    evidenceUnder(under, (fields) => {
      fields.set("cabundle", array(cabundle.map(({ der }) => bytes(der))));
    });
  return refused(name, evidence, more);
}

const { root, regional, zonal, instance } = forged;
const below = [regional, zonal, instance];
const policy = awsPolicy;

/** The test root's key and name under other bytes: a root that was renewed, or stolen and reissued. */
const reissued: Issued = issue("root");
const selfSigned = issue("leaf");
const attackerKey = keyPair();

export const anchors: readonly Attack[] = [
  bundled("an-look-alike-root", [root, ...below], forged, { policy }),
  bundled("an-real-root-over-a-look-alike-chain", [aws, ...below], forged, { policy }),
  bundled("an-both-roots-real-first", [aws, root, ...below], forged, { policy }),
  bundled("an-both-roots-real-second", [root, aws, ...below], forged, { policy }),
  bundled("an-both-roots-real-last", [root, ...below, aws], forged, { policy }),
  bundled("an-no-root", below, forged, { policy }),
  bundled("an-self-signed-leaf", [aws], { ...forged, leaf: selfSigned }, { policy }),
  bundled("an-orphan-leaf", [aws], forged, { policy }),
  bundled(
    "an-test-root-under-the-real-policy",
    [chain.root, chain.regional, chain.zonal, chain.instance],
    chain,
    { policy },
  ),
  bundled("an-root-reissued", [reissued, chain.regional, chain.zonal, chain.instance], chain),
  bundled("an-regional-as-root", [chain.regional, chain.zonal, chain.instance], chain),
  refused("an-honest-authorities-attacker-leaf", () => {
    const signer = { ...chain.instance, privateKey: attackerKey.privateKey };
    return evidenceUnder({ ...chain, leaf: issue("leaf", signer) });
  }),
  refused("an-honest-authorities-self-signed-leaf", () =>
    evidenceUnder({ ...chain, leaf: selfSigned }),
  ),
  {
    name: "an-honest-leaf-attacker-signature",
    verdict: "bad-signature",
    evidence: () => evidenceOf(payloadOf(fieldsOf()), { key: attackerKey.privateKey }),
  },
];
