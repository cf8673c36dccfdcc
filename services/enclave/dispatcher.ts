/** From the OPEN of a session to the handler of its method (docs/protocol.md §9). */
import { status as Code } from "@grpc/grpc-js";
import type { Metadata, ServiceDefinition } from "@grpc/grpc-js";

import type { EnclaveCallEvents } from "../../channel/call-events.ts";
import type { RequestHeader } from "../../channel/call-message.ts";
import type { OpenCall } from "./open-call.ts";
import { metadataOf } from "../grpc/metadata.ts";
import { BaseCall } from "./base-call.ts";
import type { CallSettings, Method } from "./base-call.ts";
import { methodsOf } from "./method.ts";
import type { RawHandler } from "./raw-handler.ts";

/** Longest part of an unknown method's name that its refusal repeats. */
const MAX_NAMED = 200;

/** For a call that was refused: nothing of it is of interest any more. */
const REFUSED: EnclaveCallEvents = {
  onMessage() {},
  onHalfClose() {},
  onCancel() {},
};

/** All methods of a server, by path. */
export class Dispatcher {
  readonly #methods = new Map<string, Method>();
  readonly #declared = new Set<string>();
  readonly #rawHandler: RawHandler | undefined;

  /** `rawHandler` gets the calls of all methods that were not added. */
  constructor(rawHandler?: RawHandler) {
    this.#rawHandler = rawHandler;
  }

  /**
   * Adds the methods of `service`. Those without a handler answer UNIMPLEMENTED.
   *
   * @throws TypeError for an empty service, a path that is already there, or a handler that is no
   *   function; then nothing was added.
   */
  add(service: ServiceDefinition, handlers: object): void {
    const methods = methodsOf(service, handlers);
    const paths = new Set<string>();
    for (const { path } of Object.values(service)) {
      if (paths.has(path) || this.#declared.has(path)) {
        throw new TypeError(`${path} was already added`);
      }
      paths.add(path);
    }
    for (const path of paths) this.#declared.add(path);
    for (const method of methods) this.#methods.set(method.definition.path, method);
  }

  has(path: string): boolean {
    return this.#declared.has(path);
  }

  /** Starts, or refuses, a call that a session has just opened. Never throws. */
  open(call: OpenCall, header: RequestHeader, settings: CallSettings): EnclaveCallEvents {
    const method = this.#methods.get(header.method);
    if (method === undefined && this.#rawHandler !== undefined) {
      return this.#rawHandler(call, header, settings.authContext.evidence);
    }
    if (method === undefined) {
      const name = header.method.slice(0, MAX_NAMED);
      return refuse(call, `The server does not implement the method ${name}`);
    }
    let metadata: Metadata;
    try {
      metadata = metadataOf(header.metadata);
    } catch {
      return refuse(call, "the call has metadata that gRPC does not allow");
    }
    const base = new BaseCall(call, header, metadata, method, settings);
    base.open();
    return base;
  }
}

function refuse(call: OpenCall, message: string): EnclaveCallEvents {
  call.refuse({ code: Code.UNIMPLEMENTED, message, trailers: [] });
  return REFUSED;
}
