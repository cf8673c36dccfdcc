import { setImmediate as turn } from "node:timers/promises";

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";

import {
  BehaviorService,
  PayloadSchema,
  UnaryRequestSchema,
  UnaryResponseSchema,
} from "#gen/behavior/v1/behavior_pb.js";
import type { Payload } from "#gen/behavior/v1/behavior_pb.js";
import type { RequestHeader } from "../../channel/call-message.ts";
import { Dispatcher } from "../../services/enclave/dispatcher.ts";
import type { CallSettings } from "../../services/enclave/base-call.ts";
import type { Handlers } from "../../services/enclave/handlers.ts";
import { serviceDefinition } from "../../services/grpc/service-definition.ts";
import { FakeCall } from "./fake-call.ts";

/** What the calls of a session share unless a test says otherwise. */
export const SETTINGS: CallSettings = {
  maxReceiveMessageBytes: 4 << 20,
  maxSendMessageBytes: -1,
  interceptors: [],
  authContext: { transportSecurityType: "sealrpc", evidence: undefined },
  onHandlerError: () => {},
};

/** A dispatcher for the behaviour service, calls of which are made by hand. */
export class Dispatch {
  readonly errors: unknown[] = [];
  readonly #dispatcher = new Dispatcher();
  readonly #settings: CallSettings;

  constructor(handlers: Handlers<typeof BehaviorService>, settings: Partial<CallSettings> = {}) {
    this.#dispatcher.add(serviceDefinition(BehaviorService), handlers);
    this.#settings = {
      ...SETTINGS,
      onHandlerError: (error) => this.errors.push(error),
      ...settings,
    };
  }

  /** Opens a call of a method, as a session does for an OPEN that may run. */
  open(
    method: string,
    header: Partial<RequestHeader> = {},
    call: FakeCall = new FakeCall(),
  ): FakeCall {
    const events = this.#dispatcher.open(
      call,
      {
        method: `/behavior.v1.BehaviorService/${method}`,
        metadata: [],
        sentMs: 0,
        timeoutMs: 0,
        encoding: "",
        authority: "",
        ...header,
      },
      this.#settings,
    );
    return call.attach(events);
  }
}

/** A request with this text; all requests of the behaviour service have one shape. */
export function request(text: string): Uint8Array {
  return toBinary(UnaryRequestSchema, create(UnaryRequestSchema, { payload: { text } }));
}

/** A response with this text, as handlers return it. */
export function response(text: string): { payload: Payload } {
  return { payload: create(PayloadSchema, { text }) };
}

/** The texts of what a call was answered with. */
export function textsOf(call: FakeCall): (string | undefined)[] {
  return call.messages.map((bytes) => fromBinary(UnaryResponseSchema, bytes).payload?.text);
}

/** Lets streams and promises do what is due. */
export async function settle(): Promise<void> {
  for (let turns = 0; turns < 4; turns++) await turn();
}
