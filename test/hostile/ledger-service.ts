/** A service that counts what ran: the truth that a hostile host cannot touch. */
import type { IdempotencySource } from "../../services/client/idempotency.ts";
import type { handleUnaryCall, MethodDefinition } from "@grpc/grpc-js";

const identity = (bytes: Buffer): Buffer => bytes;

function method(name: string): MethodDefinition<Buffer, Buffer> {
  return {
    path: `/ledger.Ledger/${name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
}

type Names = "run" | "runIdempotent" | "count";

export const ledgerService: Record<Names, MethodDefinition<Buffer, Buffer>> = {
  /** Counts its key, and answers with the key. */
  run: method("Run"),
  /** The same, declared idempotent to the channel. */
  runIdempotent: method("RunIdempotent"),
  /** How often a key was run. */
  count: method("Count"),
};

/** For `AttestedChannel`'s option `services`. */
export const idempotency: IdempotencySource = {
  runIdempotent: {
    path: ledgerService.runIdempotent.path,
    options: { idempotency_level: "IDEMPOTENT" },
  },
};

export function ledgerHandlers(): Record<Names, handleUnaryCall<Buffer, Buffer>> {
  const counts = new Map<string, number>();
  const run: handleUnaryCall<Buffer, Buffer> = ({ request }, callback) => {
    const key = request.toString();
    counts.set(key, (counts.get(key) ?? 0) + 1);
    callback(null, request);
  };
  return {
    run,
    runIdempotent: run,
    count: ({ request }, callback) => {
      callback(null, Buffer.from(String(counts.get(request.toString()) ?? 0)));
    },
  };
}
