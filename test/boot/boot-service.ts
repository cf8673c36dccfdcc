/** What the program in the enclave serves for these tests: an echo, and calls that have an effect outside. */
import type { MethodDefinition } from "@grpc/grpc-js";

const identity = (bytes: Buffer): Buffer => bytes;

function method(name: string, isStream: boolean): MethodDefinition<Buffer, Buffer> {
  return {
    path: `/boot.Boot/${name}`,
    requestStream: isStream,
    responseStream: isStream,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
}

export const bootService: Record<"run" | "echo", MethodDefinition<Buffer, Buffer>> = {
  /** Has its key entered in the host's ledger, once, and answers with the key. */
  run: method("Run", false),
  /** Gives every message back. */
  echo: method("Echo", true),
};
