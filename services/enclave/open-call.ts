/** What serving a call takes of a session's call; tests have one without a session. */
import type { EnclaveCall } from "../../channel/enclave-call.ts";

export type OpenCall = Pick<
  EnclaveCall,
  | "deadlineMs"
  | "read"
  | "start"
  | "sendHeaders"
  | "sendMessage"
  | "end"
  | "refuse"
  | "retract"
  | "release"
>;
