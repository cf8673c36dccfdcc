/** The methods that a server offers, and the handlers behind them. */
import type { ServerMethodDefinition, ServiceDefinition } from "@grpc/grpc-js";

import type { Method } from "./base-call.ts";
import { listenBidi } from "./bidi.ts";
import { listenClientStream } from "./client-stream.ts";
import { listenServerStream } from "./server-stream.ts";
import { listenUnary } from "./unary.ts";

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
): Method["handler"] | undefined {
  const found = handlers[name] ?? (originalName === undefined ? undefined : handlers[originalName]);
  if (found === undefined || found === null) return undefined;
  if (typeof found !== "function") throw new TypeError(`the handler of ${path} is not a function`);
  return (found as Method["handler"]).bind(handlers);
}

function kindOf(definition: ServerMethodDefinition<unknown, unknown>): Method["listen"] {
  if (definition.requestStream) return definition.responseStream ? listenBidi : listenClientStream;
  return definition.responseStream ? listenServerStream : listenUnary;
}
