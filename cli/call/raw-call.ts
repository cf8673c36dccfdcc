/**
 * One call of a method that is known by its path only: serialized messages in and out, over an
 * attested channel.
 */
import { type Metadata, status as Code, type StatusObject } from "@grpc/grpc-js";
import type {
  AttestedChannel,
  CallReceiver,
  CallStatus,
  ResponseHeader,
  SealedCall,
  VerifiedEvidence,
} from "../../services/client/index.ts";
import { statusObject } from "../../services/client/status.ts";
import { inflate } from "../../services/grpc/inflate.ts";
import { entriesOf, metadataOf } from "../../services/grpc/metadata.ts";

/** Bytes of answers that wait to be printed before no more is asked for. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;

export interface RawCallOptions {
  /** "/package.Service/Method" */
  readonly path: string;
  readonly metadata: Metadata;
  /** On the clock of performance.now(); Infinity: none. */
  readonly deadlineMs: number;
  /** Bytes, after inflating. */
  readonly maxMessageBytes: number;
  /** Sent one by one, as fast as the enclave takes them. */
  readonly requests: AsyncIterable<Uint8Array>;
  readonly onEvidence: (evidence: VerifiedEvidence) => void;
  readonly onMetadata: (metadata: Metadata) => void;
  /** The next message follows when it has resolved. A rejection cancels the call. */
  readonly onMessage: (message: Uint8Array) => Promise<void>;
}

/**
 * Resolves when the call is over, with its status, which may be any.
 *
 * @throws what `requests` or `onMessage` threw, after cancelling the call.
 */
export async function runRawCall(
  channel: AttestedChannel,
  options: RawCallOptions,
): Promise<StatusObject> {
  const { path: method, deadlineMs, metadata, requests, onMessage } = options;
  const answers = new Answers(options);
  const call = channel.createRawCall({ method, deadlineMs }, answers);
  answers.call = call;
  call.start(entriesOf(metadata), false);
  call.read();
  sendAll(call, requests, () => answers.isOver).catch((error: unknown) => answers.fail(error));
  for (;;) {
    const message = await answers.next();
    if (message === undefined) return answers.end();
    try {
      await onMessage(message);
    } catch (error) {
      answers.fail(error);
    }
  }
}

/**
 * What the call brings, until it is printed. It asks for more inside `onMessage`: an end that is not
 * OK drops what nobody asked for, and what came before it should be seen.
 */
class Answers implements CallReceiver {
  call: SealedCall | undefined;
  readonly #options: RawCallOptions;
  #messages: Uint8Array[] = [];
  #waitingBytes = 0;
  #asks = true;
  #encoding = "";
  #status: CallStatus | undefined;
  #failure: { readonly error: unknown } | undefined;
  #evidenceShown = false;
  #wake = (): void => {};

  constructor(options: RawCallOptions) {
    this.#options = options;
  }

  get isOver(): boolean {
    return this.#status !== undefined;
  }

  /** The next message; undefined when there is none any more. */
  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) {
        this.#waitingBytes -= message.length;
        if (!this.#asks) this.#ask();
        return message;
      }
      if (this.#status !== undefined) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** How the call ended. @throws what it failed of here. */
  end(): StatusObject {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#status === undefined) throw new Error("unreachable");
    return statusObject(this.#status);
  }

  /** Cancels the call for an error that is not the call's. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#cancel(Code.CANCELLED, "Cancelled on client");
  }

  onHeaders(header: ResponseHeader): void {
    this.#encoding = header.encoding;
    this.#showEvidence();
    this.#guard(() => this.#options.onMetadata(metadataOf(header.metadata)));
  }

  onMessage(message: Uint8Array, compressed: boolean): void {
    const { maxMessageBytes } = this.#options;
    const plain = compressed ? inflate(message, this.#encoding, maxMessageBytes) : message;
    if (!(plain instanceof Uint8Array)) {
      this.#cancel(plain.code, plain.details);
      return;
    }
    this.#messages.push(plain);
    this.#waitingBytes += plain.length;
    this.#asks = false;
    if (this.#waitingBytes < MAX_WAITING_BYTES) this.#ask();
    this.#wake();
  }

  onStatus(status: CallStatus): void {
    this.#status = status;
    if (status.outcome !== "not-executed") this.#showEvidence();
    this.#wake();
  }

  #ask(): void {
    this.#asks = true;
    this.call?.read();
  }

  #cancel(code: Code, details: string): void {
    this.#messages = [];
    this.call?.cancel(code, details);
  }

  #showEvidence(): void {
    const evidence = this.call?.evidence;
    if (evidence === undefined || this.#evidenceShown) return;
    this.#evidenceShown = true;
    this.#guard(() => this.#options.onEvidence(evidence));
  }

  /** What is thrown here is not the session's business. */
  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.fail(error);
    }
  }
}

async function sendAll(
  call: SealedCall,
  requests: AsyncIterable<Uint8Array>,
  isOver: () => boolean,
): Promise<void> {
  for await (const request of requests) {
    if (isOver()) return;
    await new Promise<void>((resolve) => {
      call.send(request, false, resolve);
    });
  }
  call.halfClose();
}
