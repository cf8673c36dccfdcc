/** The attack catalogue, group by group. */
import { anchors } from "./anchor.ts";
import type { Attack } from "./attack.ts";
import { certificateKeys } from "./certificate-key.ts";
import { certificateSignatures } from "./certificate-signature.ts";
import { certificates } from "./certificate.ts";
import { chains } from "./chain.ts";
import { claims } from "./claims.ts";
import { controls } from "./controls.ts";
import { emulators } from "./emulator.ts";
import { envelope } from "./envelope.ts";
import { genuine } from "./genuine.ts";
import { header } from "./header.ts";
import { payload } from "./payload.ts";
import { signature } from "./signature.ts";

/** What can be made anywhere. */
export const made: Readonly<Record<string, readonly Attack[]>> = {
  controls,
  envelope,
  header,
  signature,
  payload,
  claims,
  chains,
  certificates,
  certificateSignatures,
  certificateKeys,
  anchors,
  emulators,
};

/** Needs genuine evidence: empty where that is absent. */
export { genuine };
