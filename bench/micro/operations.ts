/** The operations of each load that runs in one process; ratios are against the first. */
import { handshakeCpu } from "./handshake-cpu.ts";
import type { Operation } from "./operation.ts";

export const OPERATIONS: Readonly<Record<string, readonly Operation[]>> = {
  "handshake-cpu": handshakeCpu,
};
