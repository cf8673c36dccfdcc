/** hpke.json: export-only HPKE with the KEM of suites 1 and 2. */
import { encapsulate, HpkeContext } from "../../channel/hpke.ts";
import { suiteOf } from "../../channel/suite.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { scriptedBackend, seededBytes } from "../support/seeded-backend.ts";
import type { VectorFile } from "./vector-file.ts";

export function hpkeVectors(): VectorFile {
  const randomBytes = seededBytes(nodeBackend, "hpke");
  const suite = suiteOf(1);
  const cases = [0, 1, 60].map((infoBytes) => {
    const [skE, skR, info] = [randomBytes(32), randomBytes(32), randomBytes(infoBytes)];
    const pkR = nodeBackend.x25519(skR).publicKey;
    const { enc, sharedSecret } = encapsulate(scriptedBackend(nodeBackend, [skE]), suite, pkR);
    const hpke = new HpkeContext(nodeBackend, suite, sharedSecret.slice(), info);
    const exports = [
      [0, 32],
      [7, 44],
      [100, 1],
    ].map(([contextBytes = 0, length = 0]) => {
      const exporterContext = randomBytes(contextBytes);
      return { exporterContext, length, exported: hpke.export(exporterContext, length) };
    });
    const name = `info of ${infoBytes} bytes`;
    return { name, expect: "ok", kem: 0x0020, skE, skR, pkR, info, enc, sharedSecret, exports };
  });
  const skR = randomBytes(32);
  const zero = new Uint8Array(32);
  const one = Uint8Array.from(zero, (_, i) => (i === 0 ? 1 : 0));
  const malformed = { expect: "malformed-handshake", kem: 0x0020 };
  return {
    description: "Export-only HPKE: both sides reach the same secrets; an all-zero DH is refused",
    spec: "§2",
    cases: [
      ...cases,
      { name: "to a public key of zeros", ...malformed, pkR: zero },
      { name: "to a public key of small order", ...malformed, pkR: one },
      { name: "from an enc of zeros", ...malformed, skR, enc: zero },
      { name: "from an enc of small order", ...malformed, skR, enc: one },
    ],
  };
}
