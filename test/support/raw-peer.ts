/** One real session against a peer that the test plays by hand, frame by frame. */
import * as frame from "../../channel/frame.ts";
import type { CallEnd } from "../../channel/call-events.ts";
import {
  writeHeader,
  type RequestHeader,
  type ResponseHeader,
  type Status,
} from "../../channel/call-message.ts";
import type { ChannelError } from "../../channel/errors.ts";
import { RECORD_HEADROOM } from "../../channel/outer-message.ts";
import { Opener, Sealer, type RecordType } from "../../channel/record.ts";
import { Session } from "../../channel/session.ts";
import type { OnCall } from "../../channel/enclave-calls.ts";
import { nodeBackend as backend } from "../../crypto/node.ts";
import type { SessionTerms } from "../../channel/established.ts";
import { TERMS } from "./session-pair.ts";

export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly body: Uint8Array;
}

export function rawFrame(
  type: number,
  id: number,
  body: Uint8Array | readonly number[] = [],
  flags = 0,
): Uint8Array {
  const bytes = new Uint8Array(frame.FRAME_HEADER_BYTES + body.length);
  frame.writeFrameHeader(bytes, 0, type, flags, id, body.length);
  bytes.set(body, frame.FRAME_HEADER_BYTES);
  return bytes;
}

export function headerBody(header: RequestHeader | ResponseHeader | Status): Uint8Array {
  const out = new Uint8Array(200_000);
  return out.slice(0, writeHeader(out, 0, header));
}

export const u32 = (value: number): number[] => [
  value >>> 24,
  (value >>> 16) & 255,
  (value >>> 8) & 255,
  value & 255,
];

export function openFrame(id: number, header: Partial<RequestHeader> = {}): Uint8Array {
  const whole = {
    method: "/test.Service/Method",
    metadata: [],
    sentMs: 0,
    timeoutMs: 0,
    encoding: "",
    authority: "",
    ...header,
  };
  return rawFrame(frame.OPEN, id, headerBody(whole));
}

export const HEADERS_BODY: Uint8Array = headerBody({ metadata: [], encoding: "" });
export const OK_BODY: Uint8Array = headerBody({ code: 0, message: "", trailers: [] });

export class RawPeer {
  readonly session: Session;
  readonly #sealer: Sealer;
  readonly #opener: Opener;
  nowMs: number = 0;
  closed: { error: ChannelError | undefined } | undefined;
  draining: number = 0;
  /** Types of the records that came. */
  readonly recordTypes: RecordType[] = [];

  /** The session under test has `role`; this peer is the other. */
  constructor(
    role: "client" | "enclave",
    options: {
      onCall?: OnCall;
      terms?: Partial<SessionTerms>;
      keyLimitMs?: number;
      maxReceiveMessageBytes?: number;
    } = {},
  ) {
    const secret = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
    const direction = { backend, suite: 1 as const, nowMs: 0 };
    const limits = options.keyLimitMs === undefined ? {} : { keyLimitMs: options.keyLimitMs };
    this.#sealer = new Sealer({ ...direction, secret: secret(2), padding: "none" });
    this.#opener = new Opener({ ...direction, secret: secret(1), ...limits });
    const common = {
      backend,
      established: {
        suite: 1 as const,
        sendSecret: secret(1),
        receiveSecret: secret(2),
        exporterSecret: secret(3),
        terms: { ...TERMS, ...options.terms },
        sendCredit: TERMS.initialCredit,
        receiveCredit: options.terms?.initialCredit ?? TERMS.initialCredit,
        evidence: undefined,
      },
      nowMs: 0,
      events: {
        onOutput: () => undefined,
        onDraining: () => {
          this.draining += 1;
        },
        onClosed: (error: ChannelError | undefined) => {
          this.closed = { error };
        },
      },
      ...limits,
      ...(options.maxReceiveMessageBytes === undefined
        ? {}
        : { maxReceiveMessageBytes: options.maxReceiveMessageBytes }),
    };
    const onCall: OnCall =
      options.onCall ??
      (() => ({
        onMessage: () => undefined,
        onHalfClose: () => undefined,
        onCancel: () => undefined,
      }));
    this.session =
      role === "client"
        ? new Session({ ...common, role })
        : new Session({ ...common, role, onCall });
  }

  /** Sends one record of these frames. */
  send(...frames: readonly Uint8Array[]): void {
    this.sendRecord("frames", concat(frames));
  }

  sendRecord(type: RecordType, content: Uint8Array): void {
    this.session.receive(this.#sealer.seal(type, content), this.nowMs);
  }

  /** Of which the session takes in so many frames; the rest waits for `takeIn`. */
  sendRecordSlowly(type: RecordType, frames: readonly Uint8Array[], maxFrames: number): void {
    this.session.receive(this.#sealer.seal(type, concat(frames)), this.nowMs, maxFrames);
  }

  /** All frames that the session has to send now. */
  frames(): RawFrame[] {
    const frames: RawFrame[] = [];
    for (;;) {
      const record = this.session.takeRecord(this.nowMs);
      if (record === undefined) return frames;
      const opened = this.#opener.open(record.subarray(RECORD_HEADROOM), this.nowMs);
      this.recordTypes.push(opened.type);
      if (opened.type === "alert") frames.push({ type: -1, flags: 0, id: 0, body: opened.content });
      else split(opened.content, frames);
    }
  }

  /** The alert that the session sent, if it did. */
  alert(): number | undefined {
    return this.frames().find(({ type }) => type === -1)?.body[1];
  }

  tick(nowMs: number): void {
    this.nowMs = nowMs;
    this.session.tick(nowMs);
  }

  /** Opens a call at a client under test, seals its OPEN, and records how it ends. */
  openCall(deadlineMs: number = Infinity): {
    ended: CallEnd | undefined;
    cancel: () => void;
    read: () => void;
  } {
    const seen: { ended: CallEnd | undefined } = { ended: undefined };
    const call = this.session.open(
      { method: "/test.Service/Method", metadata: [], deadlineMs },
      {
        onHeaders: () => undefined,
        onMessage: () => undefined,
        onEnd: (end) => {
          seen.ended = end;
        },
      },
    );
    return Object.assign(seen, { cancel: () => call.cancel(), read: () => call.read() });
  }
}

function split(content: Uint8Array, frames: RawFrame[]): void {
  for (let at = 0; at < content.length;) {
    const length = frame.readU32(content, at + 6);
    const start = at + frame.FRAME_HEADER_BYTES;
    frames.push({
      type: content[at] ?? 0,
      flags: content[at + 1] ?? 0,
      id: frame.readU32(content, at + 2),
      body: content.slice(start, start + length),
    });
    at = start + length;
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
