/**
 * Two sessions of one handshake's worth of keys, with a wire between them that a test controls
 * record by record. Time is the test's.
 */
import assert from "node:assert/strict";
import type { ClientCallEvents, EnclaveCallEvents, CallEnd } from "../../channel/call-events.ts";
import type { RequestHeader, ResponseHeader } from "../../channel/call-message.ts";
import type { ClientCall } from "../../channel/client-call.ts";
import type { EnclaveCall } from "../../channel/enclave-call.ts";
import type { ChannelError } from "../../channel/errors.ts";
import type { SessionTerms } from "../../channel/established.ts";
import { RECORD_HEADROOM } from "../../channel/outer-message.ts";
import type { Padding } from "../../channel/padding.ts";
import { Session } from "../../channel/session.ts";
import type { Budget } from "../../channel/budget.ts";
import type { CryptoBackend } from "../../crypto/backend.ts";
import { nodeBackend } from "../../crypto/node.ts";

export interface PairOptions {
  readonly terms?: Partial<SessionTerms>;
  readonly clientCredit?: number;
  readonly padding?: Padding;
  readonly maxReceiveMessageBytes?: number;
  readonly budget?: Budget;
  readonly clientBudget?: Budget;
  readonly backend?: CryptoBackend;
  readonly keyLimitBytes?: number;
  readonly keyLimitMs?: number;
  /** Another seed is another handshake: other keys. */
  readonly seed?: number;
  readonly onCall?: (call: EnclaveCall, header: RequestHeader) => EnclaveCallEvents;
  /** Called when the enclave has something to send. */
  readonly onOutput?: () => void;
}

/** What one end told of itself. */
interface End {
  readonly session: Session;
  closed: { error: ChannelError | undefined } | undefined;
  draining: number;
  /** Whether `onOutput` was called since nothing was left to take. */
  wasAnnounced: boolean;
}

/** A server call that records what it is told. */
export interface ServedCall {
  readonly call: EnclaveCall;
  readonly header: RequestHeader;
  readonly messages: Uint8Array[];
  halfClosed: boolean;
  cancelled: string | undefined;
}

export interface Pair {
  readonly client: End;
  readonly enclave: End;
  /** Calls that reached the enclave, in order; made by the default `onCall`. */
  readonly served: ServedCall[];
  nowMs: number;
  /** Carries records both ways until nothing is left; gives how many. */
  flush(): number;
  /** Takes all records of one end without delivering them. */
  take(from: "client" | "enclave"): Uint8Array[];
  deliver(to: "client" | "enclave", records: readonly Uint8Array[]): void;
  /** Lets time pass in steps at which both ends are ticked, carrying records. */
  advance(ms: number, stepMs?: number): void;
}

export const TERMS: SessionTerms = {
  maxAgeMs: 3_600_000,
  maxIdleMs: 600_000,
  maxConcurrentCalls: 1024,
  maxDelayMs: 30_000,
  initialCredit: 262_144,
};

export function createPair(options: PairOptions = {}): Pair {
  const terms = { ...TERMS, ...options.terms };
  const clientCredit = options.clientCredit ?? 262_144;
  const secret = (fill: number): Uint8Array => new Uint8Array(32).fill(fill + (options.seed ?? 0));
  const served: ServedCall[] = [];
  const ends = {} as Record<"client" | "enclave", End>;
  const create = (role: "client" | "enclave"): End => {
    const end: { -readonly [K in keyof End]?: End[K] } = {
      closed: undefined,
      draining: 0,
      wasAnnounced: false,
    };
    const isClient = role === "client";
    const common = {
      backend: options.backend ?? nodeBackend,
      established: {
        suite: 1 as const,
        sendSecret: secret(isClient ? 1 : 2),
        receiveSecret: secret(isClient ? 2 : 1),
        exporterSecret: secret(3),
        terms,
        sendCredit: isClient ? terms.initialCredit : clientCredit,
        receiveCredit: isClient ? clientCredit : terms.initialCredit,
        evidence: undefined,
      },
      events: {
        onOutput: () => {
          end.wasAnnounced = true;
          if (!isClient) options.onOutput?.();
        },
        onDraining: () => {
          end.draining = (end.draining ?? 0) + 1;
        },
        onClosed: (error: ChannelError | undefined) => {
          end.closed = { error };
        },
      },
      nowMs: 0,
      padding: options.padding ?? "padme",
      ...(options.maxReceiveMessageBytes === undefined
        ? {}
        : { maxReceiveMessageBytes: options.maxReceiveMessageBytes }),
      ...budgetOf(isClient ? options.clientBudget : options.budget),
      ...(options.keyLimitBytes === undefined ? {} : { keyLimitBytes: options.keyLimitBytes }),
      ...(options.keyLimitMs === undefined ? {} : { keyLimitMs: options.keyLimitMs }),
    };
    end.session = isClient
      ? new Session({ ...common, role: "client" })
      : new Session({
          ...common,
          role: "enclave",
          onCall: options.onCall ?? ((call, header) => serve(call, header, served)),
        });
    return end as End;
  };
  ends.client = create("client");
  ends.enclave = create("enclave");
  const pair: Pair = {
    client: ends.client,
    enclave: ends.enclave,
    served,
    nowMs: 0,
    take: (from) => {
      const records: Uint8Array[] = [];
      for (;;) {
        const record = ends[from].session.takeRecord(pair.nowMs);
        if (record === undefined) {
          ends[from].wasAnnounced = false;
          return records;
        }
        // A driver takes nothing that it was not told of.
        assert.ok(ends[from].wasAnnounced, "output that was not announced");
        records.push(record.subarray(RECORD_HEADROOM));
      }
    },
    deliver: (to, records) => {
      for (const record of records) ends[to].session.receive(record, pair.nowMs);
    },
    flush: () => {
      let count = 0;
      for (;;) {
        const up = pair.take("client");
        pair.deliver("enclave", up);
        const down = pair.take("enclave");
        pair.deliver("client", down);
        if (up.length + down.length === 0) return count;
        count += up.length + down.length;
      }
    },
    advance: (ms, stepMs = ms) => {
      for (let at = 0; at < ms; at += stepMs) {
        pair.nowMs += stepMs;
        ends.client.session.tick(pair.nowMs);
        ends.enclave.session.tick(pair.nowMs);
        pair.flush();
      }
    },
  };
  return pair;
}

function budgetOf(budget: Budget | undefined): { budget?: Budget } {
  return budget === undefined ? {} : { budget };
}

/** The default handler: starts at once, reads all, answers nothing. */
function serve(call: EnclaveCall, header: RequestHeader, served: ServedCall[]): EnclaveCallEvents {
  const record: ServedCall = {
    call,
    header,
    messages: [],
    halfClosed: false,
    cancelled: undefined,
  };
  served.push(record);
  call.read();
  return {
    onMessage: (message) => {
      record.messages.push(message);
      call.read();
    },
    onHalfClose: () => {
      record.halfClosed = true;
    },
    onCancel: (reason) => {
      record.cancelled = reason;
    },
  };
}

/** What a client saw of a call. */
export interface SeenCall {
  readonly call: ClientCall;
  headers: ResponseHeader | undefined;
  readonly messages: Uint8Array[];
  end: CallEnd | undefined;
}

/** Opens a call that reads all that comes; `requests` are sent at once, then half-close. */
export function openCall(
  pair: Pair,
  requests: readonly Uint8Array[] = [],
  options: { method?: string; deadlineMs?: number; halfClose?: boolean; read?: boolean } = {},
): SeenCall {
  const seen: { -readonly [K in keyof SeenCall]?: SeenCall[K] } = { messages: [] };
  const read = options.read ?? true;
  const events: ClientCallEvents = {
    onHeaders: (header) => {
      seen.headers = header;
    },
    onMessage: (message) => {
      seen.messages?.push(message);
      if (read) seen.call?.read();
    },
    onEnd: (end) => {
      seen.end = end;
    },
  };
  const { method = "/test.Service/Method", deadlineMs } = options;
  const call = pair.client.session.open(
    { method, metadata: [], ...(deadlineMs === undefined ? {} : { deadlineMs }) },
    events,
  );
  seen.call = call;
  if (read) call.read();
  for (const request of requests) call.sendMessage(request);
  if (options.halfClose ?? true) call.halfClose();
  return seen as SeenCall;
}

export const OK = { code: 0, message: "", trailers: [] } as const;
