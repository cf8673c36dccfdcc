/** How the answers of typed calls reach the application: one in a promise, many by iteration. */
import { status as Code } from "@grpc/grpc-js";

import { CallError } from "./call-error.ts";
import { own } from "./status.ts";
import type { ReplyReceiver } from "./typed-call.ts";

/** The part of a call that answers are taken from. */
export interface ReplySource {
  read(): void;
  cancel(code: Code, details: string, cause?: unknown): void;
}

/** Settles a promise with the only answer of a call, once the call has ended with OK. */
export class SingleReply<Message> implements ReplyReceiver<Message> {
  readonly #resolve: (message: Message) => void;
  readonly #reject: (error: Error) => void;
  #message: Message | undefined;

  constructor(resolve: (message: Message) => void, reject: (error: Error) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  onMessage(message: Message, source: ReplySource): void {
    if (this.#message !== undefined) {
      source.cancel(Code.UNIMPLEMENTED, "Too many responses received");
      return;
    }
    this.#message = message;
    // A second message would be an error, which is only seen if it is asked for.
    source.read();
  }

  onEnd(error: Error | undefined): void {
    if (error !== undefined) this.#reject(error);
    else if (this.#message !== undefined) this.#resolve(this.#message);
    else {
      const status = own(Code.UNIMPLEMENTED, "No message received", "executed", undefined);
      this.#reject(new CallError(status));
    }
  }
}

/** What a stream of answers has brought and nobody has taken yet. */
class ReplyQueue<Message> implements ReplyReceiver<Message> {
  readonly #messages: Message[] = [];
  #end: { readonly error: Error | undefined } | undefined;
  #wake: (() => void) | undefined;

  onMessage(message: Message): void {
    this.#messages.push(message);
    this.#wake?.();
  }

  onEnd(error: Error | undefined): void {
    this.#end = { error };
    this.#wake?.();
  }

  /** The next message, or undefined when there is none any more. */
  async next(): Promise<Message | undefined> {
    if (this.#messages.length === 0 && this.#end === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const message = this.#messages.shift();
    if (message === undefined && this.#end?.error !== undefined) throw this.#end.error;
    return message;
  }
}

/** The answers of the call that `open` starts when they are first asked for. */
export async function* replies<Message>(
  open: (receiver: ReplyReceiver<Message>) => ReplySource,
): AsyncGenerator<Message, void, undefined> {
  const queue = new ReplyQueue<Message>();
  const source = open(queue);
  try {
    for (;;) {
      source.read();
      const message = await queue.next();
      if (message === undefined) return;
      yield message;
    }
  } finally {
    // Without effect on a call that has ended by itself.
    source.cancel(Code.CANCELLED, "Cancelled on client");
  }
}
