/**
 * Frames: the units of calls inside a record (docs/protocol.md §8). This file knows their layout
 * and every rule that one frame alone can break; rules over several frames are the calls' and the
 * session's.
 */
import { MAX_HEADER_BYTES } from "./call-message.ts";
import { ALERT, Violation, malformed } from "./violation.ts";

export const OPEN = 1;
export const HEADERS = 2;
export const MESSAGE = 3;
export const END = 4;
export const CANCEL = 5;
export const CREDIT = 6;
export const PING = 7;
export const PONG = 8;
export const GOAWAY = 9;
export const REFUSED = 10;

/** MESSAGE: pieces of the same message follow. */
export const MORE = 1;
/** MESSAGE, first piece: compressed with the header's encoding. */
export const COMPRESSED = 2;
/** REFUSED: the call may be sent on another session. */
export const ELSEWHERE = 1;

/** u8 type ‖ u8 flags ‖ u32 call_id ‖ u32 length. */
export const FRAME_HEADER_BYTES = 10;
/** What a MESSAGE frame costs beside its body, so that empty messages cost too. */
export const MESSAGE_COST = 64;

export type Role = "client" | "enclave";

interface Rule {
  /** Who may send it. */
  readonly from: Role | "both";
  /** The flag bits that it may carry. */
  readonly flags: number;
  /** Whether it belongs to a call, so has a call_id other than 0. */
  readonly call: boolean;
  /** The exact length of its body where it is fixed. */
  readonly length?: number;
}

const RULES: readonly (Rule | undefined)[] = [
  undefined,
  { from: "client", flags: 0, call: true },
  { from: "enclave", flags: 0, call: true },
  { from: "both", flags: MORE | COMPRESSED, call: true },
  { from: "both", flags: 0, call: true },
  { from: "client", flags: 0, call: true, length: 0 },
  { from: "both", flags: 0, call: true, length: 4 },
  { from: "both", flags: 0, call: false, length: 8 },
  { from: "both", flags: 0, call: false, length: 8 },
  { from: "enclave", flags: 0, call: false, length: 4 },
  { from: "enclave", flags: ELSEWHERE, call: true },
];

/** Takes one frame; `body` is a view on the record. */
export type FrameVisitor = (type: number, flags: number, callId: number, body: Uint8Array) => void;

/**
 * Visits the frames of a record in order, at most so many, and gives what is left of it. Frames before a
 * bad one have been visited when it throws; types from 0x80 are passed over.
 *
 * @throws Violation `malformed` or `state`
 */
export function visitFrames(
  content: Uint8Array,
  sender: Role,
  visit: FrameVisitor,
  maxFrames: number = Infinity,
): Uint8Array {
  let at = 0;
  for (let count = 0; count < maxFrames && at < content.length; count += 1) {
    if (content.length - at < FRAME_HEADER_BYTES) throw malformed("a frame header is cut short");
    const type = content[at] ?? 0;
    const flags = content[at + 1] ?? 0;
    const callId = readU32(content, at + 2);
    const length = readU32(content, at + 6);
    const start = at + FRAME_HEADER_BYTES;
    if (length > content.length - start) throw malformed("a frame goes beyond its record");
    at = start + length;
    if (type >= 0x80) continue;
    demand(RULES[type], type, flags, callId, length, sender);
    visit(type, flags, callId, content.subarray(start, at));
  }
  return content.subarray(at);
}

function demand(
  rule: Rule | undefined,
  type: number,
  flags: number,
  callId: number,
  length: number,
  sender: Role,
): void {
  if (rule === undefined) throw malformed(`frame type ${type} is unknown`);
  if (rule.from !== "both" && rule.from !== sender) {
    throw new Violation(
      ALERT.state,
      "malformed-frame",
      `frame type ${type} came from the ${sender}`,
    );
  }
  if ((flags & ~rule.flags) !== 0) throw malformed(`frame type ${type} has flags ${flags}`);
  if ((callId !== 0) !== rule.call) throw malformed(`frame type ${type} has call_id ${callId}`);
  if (rule.length !== undefined && rule.length !== length) {
    throw malformed(`frame type ${type} has a body of ${length} bytes, expected ${rule.length}`);
  }
  if (length > MAX_HEADER_BYTES && type !== MESSAGE) {
    throw new Violation(ALERT.limit, "malformed-frame", `frame type ${type} has ${length} bytes`);
  }
  if (type === END && sender === "client" && length !== 0) {
    throw malformed(`END of the client has a body of ${length} bytes, expected 0`);
  }
}

/** Writes a frame's header at `at` and gives the position of its body. */
export function writeFrameHeader(
  out: Uint8Array,
  at: number,
  type: number,
  flags: number,
  callId: number,
  length: number,
): number {
  out[at] = type;
  out[at + 1] = flags;
  writeU32(out, at + 2, callId);
  writeU32(out, at + 6, length);
  return at + FRAME_HEADER_BYTES;
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] ?? 0) * 0x1000000 +
    (((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0))
  );
}

export function writeU32(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
}
