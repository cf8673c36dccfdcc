/**
 * An enclave behind a host, both played by a test: the handshake and the session are real, what the
 * outer stream says and which records it carries is the test's.
 */
import type { Metadata, ServerDuplexStream } from "@grpc/grpc-js";

import { Simulator } from "../../attestation/nsm/simulator.ts";
import type { PolicyOptions } from "../../attestation/policy.ts";
import type { EnclaveCallEvents } from "../../channel/call-events.ts";
import type { RequestHeader } from "../../channel/call-message.ts";
import type { EnclaveCall } from "../../channel/enclave-call.ts";
import type { SessionTerms } from "../../channel/established.ts";
import { HelloBatcher } from "../../channel/hello-batch.ts";
import { encodeRecordMessage, parseOuter } from "../../channel/outer-message.ts";
import { Session } from "../../channel/session.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { SessionDriver } from "../../services/grpc/session-driver.ts";
import { startConnectServer } from "./connect-service.ts";
import type { ConnectServer } from "./connect-service.ts";
import { TERMS } from "./session-pair.ts";

/** What the host does with an outer message of the enclave; what it gives is sent. */
export type Meddle = (message: Buffer, index: number) => readonly Buffer[];

/** One outer stream at the enclave's end. */
export interface PlayedStream {
  readonly stream: ServerDuplexStream<Buffer, Buffer>;
  /** The metadata outside the seal. */
  readonly metadata: Metadata;
  /** Once the handshake is through. */
  session: Session | undefined;
}

export interface PlayedOptions {
  /** Given each call; without it a call is answered with its own request, when that is whole. */
  readonly onCall?: (call: EnclaveCall, header: RequestHeader) => EnclaveCallEvents;
  readonly meddle?: Meddle;
  readonly terms?: Partial<SessionTerms>;
}

const OK = { code: 0, message: "", trailers: [] } as const;

/** Ends a call with OK and its first request message. */
export function echo(call: EnclaveCall): EnclaveCallEvents {
  let request = new Uint8Array(0);
  call.read();
  return {
    onMessage: (message) => {
      request = Uint8Array.from(message);
      call.read();
    },
    onHalfClose: () => {
      call.start(true, performance.now());
      call.sendHeaders({ metadata: [], encoding: "" });
      call.sendMessage(request);
      call.end(OK);
      call.release();
    },
    onCancel: () => call.release(),
  };
}

export class PlayedEnclave {
  readonly policy: PolicyOptions;
  readonly streams: PlayedStream[] = [];
  /** Methods of the calls that reached the enclave, in order. */
  readonly ledger: string[] = [];
  onCall: (call: EnclaveCall, header: RequestHeader) => EnclaveCallEvents;
  meddle: Meddle;
  #server: ConnectServer | undefined;
  readonly #hellos: HelloBatcher;
  readonly #terms: SessionTerms;

  private constructor(simulator: Simulator, options: PlayedOptions) {
    this.policy = simulator.policyOptions();
    this.onCall = options.onCall ?? echo;
    this.meddle = options.meddle ?? ((message) => [message]);
    this.#terms = { ...TERMS, ...options.terms };
    this.#hellos = new HelloBatcher({
      backend: nodeBackend,
      suites: [1, 2],
      attest: (request) => simulator.attest(request),
    });
  }

  static async start(options: PlayedOptions = {}): Promise<PlayedEnclave> {
    const enclave = new PlayedEnclave(await Simulator.create(), options);
    enclave.#server = await startConnectServer((stream) => enclave.#accept(stream));
    return enclave;
  }

  get address(): string {
    return this.#server?.address ?? "";
  }

  /** The newest outer stream. */
  get last(): PlayedStream {
    const stream = this.streams.at(-1);
    if (stream === undefined) throw new Error("no stream was opened");
    return stream;
  }

  stop(): void {
    this.#server?.stop();
  }

  #accept(stream: ServerDuplexStream<Buffer, Buffer>): void {
    const played: PlayedStream = { stream, metadata: stream.metadata, session: undefined };
    this.streams.push(played);
    let sent = 0;
    const send = (message: Uint8Array): void => {
      const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
      for (const each of this.meddle(bytes, sent++)) stream.write(each);
    };
    const driver = new SessionDriver({
      unwrittenBytes: () => 0,
      write: (buffer) => send(encodeRecordMessage(buffer, false)),
      end: () => stream.end(),
    });
    let finish: ((message: Buffer) => void) | undefined;
    stream.on("error", () => {});
    stream.on("cancelled", () => played.session?.receiveStreamEnd(performance.now()));
    stream.on("end", () => played.session?.receiveStreamEnd(performance.now()));
    stream.on("data", (message: Buffer) => {
      if (played.session !== undefined) driver.receive(parseOuter(message).body);
      else if (finish !== undefined) finish(message);
      else
        void this.#hellos.accept(message).then((handshake) => {
          finish = (message) => {
            const { reply, established } = handshake.receiveFinish(message, this.#terms);
            if (established === undefined) return;
            send(reply);
            played.session = new Session({
              role: "enclave",
              backend: nodeBackend,
              established,
              nowMs: performance.now(),
              events: { onOutput: driver.onOutput, onClosed: () => driver.close() },
              onCall: (call, header) => {
                this.ledger.push(header.method);
                return this.onCall(call, header);
              },
            });
            driver.drive(played.session);
          };
          send(handshake.reply);
        });
    });
  }
}
