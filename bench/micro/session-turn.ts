/**
 * A turn of a session, both ends: calls opened, carried, answered and ended, without gRPC's library
 * and without a socket; against node:crypto's cost of sealing and opening the same records.
 */
import { createCipheriv, createDecipheriv, createSecretKey } from "node:crypto";
import type { EnclaveCallEvents } from "../../channel/call-events.ts";
import type { EnclaveCall } from "../../channel/enclave-call.ts";
import type { Established } from "../../channel/established.ts";
import { RECORD_HEADROOM } from "../../channel/outer-message.ts";
import { Session } from "../../channel/session.ts";
import { nodeBackend as backend } from "../../crypto/node.ts";
import { type Operation, timed } from "./operation.ts";

const BODY_BYTES = 100;
const CREDIT = 262_144;
const KEY = createSecretKey(new Uint8Array(32).fill(1));
const IV = new Uint8Array(12).fill(2);
const TAG_BYTES = 16;
const request = new Uint8Array(BODY_BYTES).fill(0x5a);
const terms = {
  maxAgeMs: 3_600_000,
  maxIdleMs: 600_000,
  maxConcurrentCalls: 1024,
  maxDelayMs: 30_000,
  initialCredit: CREDIT,
};

/** With so many calls in one turn. */
export function sessionTurn(calls: number): readonly Operation[] {
  return [
    {
      name: "aead",
      title: "node:crypto: the bare AEAD, sealing and opening",
      prepare: async () => {
        const records = new Pair().turn(calls).map((length) => new Uint8Array(length - TAG_BYTES));
        return timed(() => {
          for (const record of records) sealAndOpen(record);
        });
      },
    },
    {
      name: "sealrpc",
      title: `sealrpc: ${calls} ${calls === 1 ? "call" : "calls"} of 100 B`,
      prepare: async () => {
        const pair = new Pair();
        return timed(() => pair.turn(calls));
      },
    },
  ];
}

function sealAndOpen(content: Uint8Array): void {
  const cipher = createCipheriv("aes-256-gcm", KEY, IV);
  const sealed = cipher.update(content);
  cipher.final();
  const decipher = createDecipheriv("aes-256-gcm", KEY, IV);
  decipher.setAuthTag(cipher.getAuthTag());
  decipher.update(sealed);
  decipher.final();
}

/** Two ends of one session. Time stands still: no key grows old here. */
class Pair {
  readonly #client: Session;
  readonly #enclave: Session;

  constructor() {
    const common = { backend, nowMs: 0, events: { onOutput() {}, onClosed() {} } };
    this.#client = new Session({ ...common, role: "client", established: established(1, 2) });
    this.#enclave = new Session({
      ...common,
      role: "enclave",
      established: established(2, 1),
      onCall: echo,
    });
  }

  /** Carries so many calls from start to end; gives the lengths of the records that it took. */
  turn(calls: number): number[] {
    let open = calls;
    for (let i = 0; i < calls; i++) {
      const call = this.#client.open(
        { method: "/bench.Echo/Unary", metadata: [] },
        {
          onHeaders() {},
          onMessage: () => call.read(),
          onEnd: () => {
            open -= 1;
          },
        },
      );
      call.read();
      call.sendMessage(request);
      call.halfClose();
    }
    const lengths: number[] = [];
    for (let before = -1; lengths.length > before;) {
      before = lengths.length;
      this.#carry(this.#client, this.#enclave, lengths);
      this.#carry(this.#enclave, this.#client, lengths);
    }
    if (open > 0) throw new Error("the session stands still");
    return lengths;
  }

  #carry(from: Session, to: Session, lengths: number[]): void {
    for (let record = from.takeRecord(0); record !== undefined; record = from.takeRecord(0)) {
      lengths.push(record.length - RECORD_HEADROOM);
      to.receive(record.subarray(RECORD_HEADROOM), 0);
    }
  }
}

function established(send: number, receive: number): Established {
  return {
    suite: 1,
    sendSecret: new Uint8Array(32).fill(send),
    receiveSecret: new Uint8Array(32).fill(receive),
    exporterSecret: new Uint8Array(32),
    terms,
    sendCredit: CREDIT,
    receiveCredit: CREDIT,
    evidence: undefined,
  };
}

function echo(call: EnclaveCall): EnclaveCallEvents {
  let received = new Uint8Array(0);
  call.read();
  return {
    onMessage: (message) => {
      received = Uint8Array.from(message);
      call.read();
    },
    onHalfClose: () => {
      call.start(true, 0);
      call.sendHeaders({ metadata: [], encoding: "" });
      call.sendMessage(received);
      call.end({ code: 0, message: "", trailers: [] });
      call.release();
    },
    onCancel: () => call.release(),
  };
}
