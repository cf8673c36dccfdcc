/** Waits for a session without a call, for whoever wants to know what a call would meet. */
import type { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import { TransportError } from "../../transport/errors.ts";
import type { CallLedger } from "./call-ledger.ts";
import type { LiveSession } from "./live-session.ts";
import type { SessionSource, WaitingCall } from "./session-source.ts";

/**
 * Gives the evidence of the session that a call would be put on now. The process goes on meanwhile,
 * as for a call.
 *
 * @throws why there is none, as `SessionSource` tells calls; TransportError `timeout`.
 */
export async function awaitSession(
  source: SessionSource,
  ledger: CallLedger,
  timeoutMs: number,
): Promise<VerifiedEvidence> {
  ledger.opened();
  try {
    return await new Promise<VerifiedEvidence>((resolve, reject) => {
      const timer = setTimeout(() => {
        source.dequeue(waiter);
        reject(new TransportError("timeout", `no session within ${timeoutMs} ms`));
      }, timeoutMs);
      const waiter: WaitingCall = {
        waitForReady: false,
        mayUse: () => true,
        onSession: ({ session }: LiveSession) => {
          clearTimeout(timer);
          const { evidence } = session;
          if (evidence === undefined) reject(new TransportError("closed", "no evidence"));
          else resolve(evidence);
        },
        onNoSession: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      source.enqueue(waiter);
    });
  } finally {
    ledger.ended();
  }
}
