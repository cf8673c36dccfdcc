/** Public subpath `sealrpc/nsm`: attesters, on the device of an enclave or simulated. */
export { type AttestationRequest, type Attester, guardedAttester } from "./attester.ts";
export { type NsmDeviceOptions, openNsmDevice } from "./device.ts";
export type { Nsm } from "./nsm.ts";
export type { NsmDescription, Pcr } from "./response.ts";
export {
  type SimulatedPcrIndex,
  Simulator,
  type SimulatorOptions,
  type SimulatorPolicyOptions,
} from "./simulator.ts";
