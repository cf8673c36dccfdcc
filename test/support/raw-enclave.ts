/** An enclave whose calls, of any method, a test answers by hand. */
import { EventEmitter, once } from "node:events";
import type { CancelReason, EnclaveCallEvents } from "../../channel/call-events.ts";
import type { RequestHeader } from "../../channel/call-message.ts";
import { Simulator } from "../../attestation/nsm/simulator.ts";
import {
  EnclaveServer,
  type EnclaveServerOptions,
  type OpenCall,
} from "../../services/enclave/index.ts";
import { SILENT } from "./enclave.ts";

/** One call, as the enclave has it. */
export class RawCall implements EnclaveCallEvents {
  readonly call: OpenCall;
  readonly header: RequestHeader;
  readonly messages: { readonly message: Buffer; readonly compressed: boolean }[] = [];
  halfClosed = false;
  cancelReason: CancelReason | undefined;
  readonly #changes = new EventEmitter();

  constructor(call: OpenCall, header: RequestHeader) {
    this.call = call;
    this.header = header;
  }

  /** The text values of a metadata key. */
  metadata(key: string): readonly string[] {
    return this.header.metadata
      .filter((entry) => entry.key === key)
      .map(({ value }) => Buffer.from(value).toString("latin1"));
  }

  onMessage(message: Uint8Array, compressed: boolean): void {
    this.messages.push({ message: Buffer.from(message), compressed });
    this.call.read();
    this.#changes.emit("change");
  }

  onHalfClose(): void {
    this.halfClosed = true;
    this.#changes.emit("change");
  }

  onCancel(reason: CancelReason): void {
    this.cancelReason = reason;
    this.call.release();
    this.#changes.emit("change");
  }

  async until(condition: (call: this) => boolean): Promise<void> {
    while (!condition(this)) await once(this.#changes, "change");
  }

  /** Answers with these messages and this status. */
  answer(messages: readonly string[], code: number = 0, message: string = ""): void {
    this.call.sendHeaders({ metadata: [], encoding: "" });
    for (const text of messages) this.call.sendMessage(Buffer.from(text));
    this.end(code, message);
  }

  end(code: number, message: string = "", trailers: RequestHeader["metadata"] = []): void {
    this.call.end({ code, message, trailers });
    this.call.release();
  }
}

export class RawEnclave {
  readonly simulator: Simulator;
  readonly server: EnclaveServer;
  readonly address: string;
  readonly calls: RawCall[];
  readonly #opened: EventEmitter;

  private constructor(
    simulator: Simulator,
    server: EnclaveServer,
    address: string,
    calls: RawCall[],
    opened: EventEmitter,
  ) {
    this.simulator = simulator;
    this.server = server;
    this.address = address;
    this.calls = calls;
    this.#opened = opened;
  }

  /** Calls start and are read at once; `onCall` may answer them, or refuse those it is asked about first. */
  static async start(
    onCall: (call: RawCall) => void = () => {},
    options: EnclaveServerOptions & { readonly refuses?: (call: RawCall) => boolean } = {},
  ): Promise<RawEnclave> {
    const { refuses = () => false, ...serverOptions } = options;
    const simulator = await Simulator.create();
    const calls: RawCall[] = [];
    const opened = new EventEmitter();
    const server = new EnclaveServer({
      attester: simulator,
      logger: SILENT,
      ...serverOptions,
      rawHandler: (open, header) => {
        const call = new RawCall(open, header);
        if (refuses(call) || !open.start(false, performance.now())) return call;
        calls.push(call);
        open.read();
        onCall(call);
        opened.emit("open");
        return call;
      },
    });
    return new RawEnclave(simulator, server, await server.listen("127.0.0.1:0"), calls, opened);
  }

  /** The newest call; waits until there are `count`. */
  async call(count: number = 1): Promise<RawCall> {
    while (this.calls.length < count) await once(this.#opened, "open");
    const call = this.calls[count - 1];
    if (call === undefined) throw new Error("no call");
    return call;
  }

  async stop(): Promise<void> {
    await this.server.close();
  }
}
