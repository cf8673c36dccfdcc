/** Public subpath `sealrpc/bridge`: sealed in, plain gRPC out, inside the enclave. */
export { type Bridge, type BridgeOptions, startBridge } from "./bridge.ts";
