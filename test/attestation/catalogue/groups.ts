/** The attack catalogue, group by group. */
import type { Attack } from "./attack.ts";
import { certificates } from "./certificate.ts";
import { chains } from "./chain.ts";
import { controls } from "./controls.ts";
import { envelope } from "./envelope.ts";
import { header } from "./header.ts";
import { payload } from "./payload.ts";
import { signature } from "./signature.ts";

export const groups: Readonly<Record<string, readonly Attack[]>> = {
  controls,
  envelope,
  header,
  signature,
  payload,
  chains,
  certificates,
};
