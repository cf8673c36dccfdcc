/** Evidence of one simulated enclave whose document says what a test wants it to, signed. */
import { SimulatedChain } from "../../attestation/nsm/simulated-chain.ts";
import { type DocumentContent, signDocument } from "../../attestation/nsm/simulated-document.ts";
import { extendedOnce } from "../../attestation/nsm/pcr-bank.ts";

export const instanceId = "i-0123456789abcdef0";
export const moduleId: string = `${instanceId}-enc0123456789abcdef`;
export const region = "eu-west-1";
/** When the evidence is made; the chain is valid then. */
export const signedAtMs: number = Date.UTC(2026, 2, 14, 15, 9, 26, 535);

const chain = new SimulatedChain({ moduleId, region }, signedAtMs);

/** When the leaf's validity begins. */
export const leafNotBeforeMs: number = chain.at(signedAtMs).leaf.notBeforeMs;

/** DER of the chain's root. */
export const rootOfSignedEvidence: Uint8Array = chain.root.certificate;

/** The same as text. */
export const rootPemOfSignedEvidence: string = `-----BEGIN CERTIFICATE-----
${Buffer.from(rootOfSignedEvidence).toString("base64")}
-----END CERTIFICATE-----
`;

/** Every register that hardware reports: PCR0 to 2 filled with 1, 2, 3; PCR4 of the instance. */
export function registersWith(
  changes: Readonly<Record<number, Uint8Array>> = {},
): [number, Uint8Array][] {
  const ofInstance = extendedOnce(new TextEncoder().encode(instanceId));
  return Array.from({ length: 16 }, (_, i) => {
    const value = i === 4 ? ofInstance : new Uint8Array(48).fill(i < 3 ? i + 1 : 0);
    return [i, changes[i] ?? value];
  });
}

/** Evidence under the chain's certificates, with changes to its document. */
export function signedEvidence(changes: Partial<DocumentContent> = {}): Uint8Array {
  const { leaf, cabundle } = chain.at(signedAtMs);
  const content: DocumentContent = {
    moduleId,
    timestampMs: signedAtMs,
    pcrs: registersWith(),
    certificate: leaf.certificate,
    cabundle,
    publicKey: undefined,
    userData: undefined,
    nonce: undefined,
    ...changes,
  };
  return signDocument(content, leaf.privateKey, "indefinite");
}
