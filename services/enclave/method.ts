/** The methods that a server offers, and the handlers behind them. */
import type {
  ServerInterceptingCallInterface,
  ServerMethodDefinition,
  ServiceDefinition,
} from "@grpc/grpc-js";

import type { BaseCall } from "./base-call.ts";
import { listenBidi } from "./bidi.ts";
import { listenClientStream } from "./client-stream.ts";
import { listenServerStream } from "./server-stream.ts";
import { listenUnary } from "./unary.ts";

/** A handler of any kind; the compiler checked it against its service before. */
type Handler = (call: unknown, callback?: unknown) => unknown;

/** What grpc-js's interceptors and our own calls tell of a call's events. */
export type Listener = Parameters<ServerInterceptingCallInterface["start"]>[0];

export interface Method {
  readonly definition: ServerMethodDefinition<unknown, unknown>;
  readonly handler: Handler;
  /** The end of the chain of listeners: the call object of this kind and its handler. */
  readonly listen: (call: ServerInterceptingCallInterface, base: BaseCall) => Listener;
}

/**
 * The methods of `service` that `handlers` has something for, by their name or their original
 * name.
 *
 * @throws TypeError for an empty service or a handler that is no function.
 */
export function methodsOf(service: ServiceDefinition, handlers: object): Method[] {
  const definitions: [string, ServerMethodDefinition<unknown, unknown>][] = Object.entries(service);
  if (definitions.length === 0) throw new TypeError("the service has no methods");
  const methods: Method[] = [];
  for (const [name, definition] of definitions) {
    const handler = handlerOf(handlers as Record<string, unknown>, name, definition);
    if (handler !== undefined) methods.push({ definition, handler, listen: kindOf(definition) });
  }
  return methods;
}

function handlerOf(
  handlers: Record<string, unknown>,
  name: string,
  { originalName, path }: ServerMethodDefinition<unknown, unknown>,
): Handler | undefined {
  const found = handlers[name] ?? (originalName === undefined ? undefined : handlers[originalName]);
  if (found === undefined || found === null) return undefined;
  if (typeof found !== "function") throw new TypeError(`the handler of ${path} is not a function`);
  return (found as Handler).bind(handlers);
}

function kindOf(definition: ServerMethodDefinition<unknown, unknown>): Method["listen"] {
  if (definition.requestStream) return definition.responseStream ? listenBidi : listenClientStream;
  return definition.responseStream ? listenServerStream : listenUnary;
}
