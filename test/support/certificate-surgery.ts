/** Edits of a certificate's bytes, before and after it is signed. */
import { children, der, SEQUENCE } from "./raw-der.ts";
import type { Edit } from "./test-pki.ts";

/** Places of the parts inside the part that is signed. */
const PART = { version: 0, serial: 1, algorithm: 2, issuer: 3, validity: 4, subject: 5, key: 6 };

/** Writes a part of what is signed by hand; the certificate is signed afterwards. */
export function part(name: keyof typeof PART, change: (element: Uint8Array) => Uint8Array): Edit {
  return (template) => {
    template.editTbs = (tbs) => {
      const parts = children(tbs);
      const index = PART[name];
      parts[index] = change(parts[index]!);
      return der(SEQUENCE, ...parts);
    };
  };
}

/** Changes the whole certificate, after it is signed. */
export const certificateBytes =
  (change: (certificate: Uint8Array) => Uint8Array): Edit =>
  (template) => {
    template.editCertificate = change;
  };
/** Changes what is signed. */
export const tbsBytes =
  (change: (tbs: Uint8Array) => Uint8Array): Edit =>
  (template) => {
    template.editTbs = change;
  };
