/** How a call ends at the client, by what the enclave or the host does (docs/protocol.md §9): the source of call-ends.json. */
import * as frame from "../../channel/frame.ts";
import { toHex } from "../support/hex.ts";
import { headerBody, HEADERS_BODY, OK_BODY, rawFrame, u32 } from "../support/raw-peer.ts";

/** What happens to the session, one after the other. */
export type Step =
  /** The enclave sends a record of these frames, or of this type and content. */
  | { readonly frames: string }
  | { readonly record: "alert" | "end"; readonly content: string }
  /** Bytes come that are no record of this session. */
  | { readonly garbage: string }
  | { readonly stream: "end" }
  /** The session's clock reaches this. */
  | { readonly clockMs: number }
  /** The application, or its policy. */
  | { readonly application: "cancels" | "abandons the session" };

export interface CallEnds {
  readonly description: string;
  readonly spec: string;
  readonly cases: readonly {
    readonly name: string;
    /** Whether OPEN was sealed before the steps. */
    readonly sealed: boolean;
    readonly deadlineMs?: number;
    readonly steps: readonly Step[];
    /** The error's code; "ok" for a status of the enclave or the caller. */
    readonly expect: string;
    readonly status: number;
    readonly outcome: "executed" | "not-executed" | "unknown";
  }[];
}

const frames = (...parts: readonly Uint8Array[]): Step => ({
  frames: parts.map(toHex).join(""),
});
const status = (code: number): Uint8Array => headerBody({ code, message: "", trailers: [] });

/** The content of call-ends.json. */
export function callEnds(): CallEnds {
  const executed = { sealed: true, expect: "ok", outcome: "executed" } as const;
  const refused = { sealed: true, expect: "refused", outcome: "not-executed" } as const;
  const unknown = { sealed: true, outcome: "unknown" } as const;
  return {
    description:
      "One call, the first of its session. What a handshake ends with is in " +
      "handshake-client.json; its time limit, handshake-timeout, is the driver's.",
    spec: "§9",
    cases: [
      {
        ...executed,
        name: "a sealed OK",
        steps: [frames(rawFrame(frame.HEADERS, 1, HEADERS_BODY), rawFrame(frame.END, 1, OK_BODY))],
        status: 0,
      },
      {
        ...executed,
        name: "a sealed error",
        steps: [frames(rawFrame(frame.END, 1, status(9)))],
        status: 9,
      },
      {
        ...executed,
        name: "a sealed OK, then a cut",
        steps: [frames(rawFrame(frame.END, 1, OK_BODY)), { stream: "end" }],
        status: 0,
      },
      {
        ...refused,
        name: "a sealed REFUSED: no such method",
        steps: [frames(rawFrame(frame.REFUSED, 1, status(12)))],
        status: 12,
      },
      {
        ...refused,
        name: "a sealed REFUSED: no room here",
        steps: [frames(rawFrame(frame.REFUSED, 1, status(8), frame.ELSEWHERE))],
        status: 8,
      },
      {
        name: "GOAWAY below the call",
        sealed: true,
        steps: [frames(rawFrame(frame.GOAWAY, 0, u32(0)))],
        expect: "draining",
        status: 14,
        outcome: "not-executed",
      },
      {
        name: "a cut before OPEN was sealed",
        sealed: false,
        steps: [{ stream: "end" }],
        expect: "session-expired",
        status: 14,
        outcome: "not-executed",
      },
      {
        ...unknown,
        name: "a cut behind OPEN",
        steps: [{ stream: "end" }],
        expect: "truncated",
        status: 14,
      },
      {
        ...unknown,
        name: "an orderly end with the call open",
        steps: [{ record: "end", content: "" }],
        expect: "truncated",
        status: 14,
      },
      {
        ...unknown,
        name: "silence, PING without an answer",
        steps: [{ clockMs: 20_000 }, { clockMs: 40_000 }],
        expect: "truncated",
        status: 14,
      },
      {
        ...unknown,
        name: "an alert",
        steps: [{ record: "alert", content: "0006" }],
        expect: "peer-alert",
        status: 14,
      },
      {
        ...unknown,
        name: "a record that does not open",
        steps: [{ garbage: "00".repeat(40) }],
        expect: "authentication-failed",
        status: 15,
      },
      {
        ...unknown,
        name: "a frame that is not allowed",
        steps: [frames(rawFrame(frame.MESSAGE, 1, [1]))],
        expect: "malformed-frame",
        status: 13,
      },
      {
        ...unknown,
        name: "the session is abandoned by policy",
        steps: [{ application: "abandons the session" }],
        expect: "session-expired",
        status: 14,
      },
      {
        ...unknown,
        name: "the deadline, sealed",
        deadlineMs: 50,
        steps: [{ clockMs: 50 }],
        expect: "ok",
        status: 4,
      },
      {
        name: "the deadline, unsealed",
        sealed: false,
        deadlineMs: 50,
        steps: [{ clockMs: 50 }],
        expect: "ok",
        status: 4,
        outcome: "not-executed",
      },
      {
        ...unknown,
        name: "the caller cancels",
        steps: [{ application: "cancels" }],
        expect: "ok",
        status: 1,
      },
    ],
  };
}
