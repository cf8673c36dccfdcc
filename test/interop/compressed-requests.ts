/**
 * Learns which requests came compressed. Handlers are told nothing of it, here as in grpc-js, and
 * the suite has cases that ask for it.
 */
import type { ServiceDefinition } from "@grpc/grpc-js";
import { BaseCall } from "../../services/enclave/base-call.ts";

/** Whether a decoded request came compressed; undefined for one that was never seen. */
export class CompressedRequests {
  readonly #seen = new WeakMap<object, boolean>();
  #current = false;

  /** From here on, the calls of this process's enclave servers are watched. */
  constructor() {
    const flags = new WeakMap<BaseCall, boolean>();
    const note = (compressed: boolean): void => {
      this.#current = compressed;
    };
    const { prototype } = BaseCall;
    const unwatched = Object.create(null, Object.getOwnPropertyDescriptors(prototype)) as BaseCall;
    // A streamed request is decoded in this one, a single one, which waits, in the other.
    prototype.onMessage = function (this: BaseCall, bytes, compressed) {
      flags.set(this, compressed);
      note(compressed);
      unwatched.onMessage.call(this, bytes, compressed);
    };
    prototype.startRead = function (this: BaseCall) {
      note(flags.get(this) ?? false);
      unwatched.startRead.call(this);
    };
  }

  cameCompressed(request: object): boolean | undefined {
    return this.#seen.get(request);
  }

  /** The definition whose requests are told apart. */
  watch(definition: ServiceDefinition): ServiceDefinition {
    const watched = Object.entries(definition).map(([name, method]) => [
      name,
      {
        ...method,
        requestDeserialize: (bytes: Buffer) => {
          const request = method.requestDeserialize(bytes) as object;
          this.#seen.set(request, this.#current);
          return request;
        },
      },
    ]);
    return Object.fromEntries(watched) as ServiceDefinition;
  }
}
