/**
 * What a sidecar tells its client of the attested session, as response metadata. Invariant: these
 * keys come from here only; what the enclave sends under `sealrpc-` is dropped.
 */
import type { OutgoingHttpHeaders } from "node:http2";

import type { VerifiedEvidence } from "../client/index.ts";
import { encodeStatusText } from "../http2/status-text.ts";

const MODULE_ID_KEY = "sealrpc-module-id";
const PCR0_KEY = "sealrpc-pcr0";

/** Adds which enclave a call went to; nothing for one that went to none. */
export function addFacts(block: OutgoingHttpHeaders, evidence: VerifiedEvidence | undefined): void {
  if (evidence === undefined) return;
  const { moduleId, pcrs } = evidence.claims;
  // A policy may skip the check of the id's form.
  block[MODULE_ID_KEY] = encodeStatusText(moduleId);
  block[PCR0_KEY] = pcrs[0];
}
