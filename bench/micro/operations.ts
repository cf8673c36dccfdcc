/** The operations of each load that runs in one process; ratios are against the first. */
import { frames } from "./frames.ts";
import { handshakeCpu } from "./handshake-cpu.ts";
import type { Operation } from "./operation.ts";
import { opening, sealing } from "./record.ts";
import { sessionTurn } from "./session-turn.ts";
import { verifyCold, verifyWarm } from "./verify.ts";

const KIB = 1024;

export const OPERATIONS: Readonly<Record<string, readonly Operation[]>> = {
  "handshake-cpu": handshakeCpu,
  "verify-warm": verifyWarm,
  "verify-cold": verifyCold,
  "seal-1kib": sealing(KIB),
  "open-1kib": opening(KIB),
  "seal-64kib": sealing(64 * KIB),
  "open-64kib": opening(64 * KIB),
  frames,
  "session-turn-x1": sessionTurn(1),
  "session-turn-x64": sessionTurn(64),
};
