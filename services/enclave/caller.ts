/** The verified caller of a mutual session, as handlers read it (docs/protocol.md §12). */
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";

import { VerifiedEvidence } from "../../attestation/verified-evidence.ts";

/**
 * What `getAuthContext()` of a call returns. `evidence` is what the caller of this call's session
 * showed and the server's policy for callers admitted; undefined unless the server asks for it.
 */
export type SealedAuthContext = ReturnType<ServerInterceptingCallInterface["getAuthContext"]> & {
  readonly transportSecurityType: "sealrpc";
  readonly evidence: VerifiedEvidence | undefined;
};

/**
 * The verified evidence of the caller, from a call object of any handler type. Never taken from
 * metadata, which a caller writes itself.
 */
export function callerOf(call: { getAuthContext(): unknown }): VerifiedEvidence | undefined {
  const context = call.getAuthContext();
  if (typeof context !== "object" || context === null || !("evidence" in context)) return undefined;
  return context.evidence instanceof VerifiedEvidence ? context.evidence : undefined;
}
