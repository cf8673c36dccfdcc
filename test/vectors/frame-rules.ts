/** What a peer may not send, one rule a case (docs/protocol.md §7, §8): the source of frame-rules.json. */
import * as frame from "../../channel/frame.ts";
import { toHex } from "../support/hex.ts";
import { HEADERS_BODY, OK_BODY, openFrame, rawFrame, u32 } from "../support/raw-peer.ts";

const { OPEN, HEADERS, MESSAGE, END, CANCEL, CREDIT, PING, PONG, GOAWAY, REFUSED } = frame;
const MALFORMED = 1;
const STATE = 2;
const CREDIT_ALERT = 3;

type Rule = readonly [what: string, frames: readonly Uint8Array[], alert: number];

const data = [1, 2, 3];
/** What a call may cost before more is granted, in these vectors. */
const RULE_CREDIT = 256;

const both: readonly Rule[] = [
  ["a frame type that is not known", [rawFrame(11, 1)], MALFORMED],
  ["frame type 0", [rawFrame(0, 1)], MALFORMED],
  ["a frame header that is cut short", [Uint8Array.of(MESSAGE, 0, 0)], MALFORMED],
  [
    "a frame that goes beyond its record",
    [Uint8Array.of(MESSAGE, 0, 0, 0, 0, 1, 0, 0, 0, 9, 1)],
    MALFORMED,
  ],
  ["call_id 0 on a call's frame", [rawFrame(CREDIT, 0, u32(1))], MALFORMED],
  ["a call_id on PING", [rawFrame(PING, 1, new Uint8Array(8))], MALFORMED],
  ["PING of 7 bytes", [rawFrame(PING, 0, new Uint8Array(7))], MALFORMED],
  ["flags on PING", [rawFrame(PING, 0, new Uint8Array(8), 1)], MALFORMED],
  [
    "a second PING before the PONG",
    [rawFrame(PING, 0, new Uint8Array(8)), rawFrame(PING, 0, new Uint8Array(8))],
    STATE,
  ],
  ["PONG without PING", [rawFrame(PONG, 0, new Uint8Array(8))], STATE],
  ["a frame for an id never opened", [rawFrame(CREDIT, 9, u32(1))], STATE],
];

const toEnclave: readonly Rule[] = [
  ["an OPEN out of order", [openFrame(2)], STATE],
  ["the same OPEN twice", [openFrame(1), openFrame(1)], STATE],
  ["flags on OPEN", [rawFrame(OPEN, 1, [], 1)], MALFORMED],
  ["an OPEN that does not parse", [rawFrame(OPEN, 1, [0x0b])], MALFORMED],
  ["a frame of the enclave: HEADERS", [openFrame(1), rawFrame(HEADERS, 1, HEADERS_BODY)], STATE],
  ["a frame of the enclave: GOAWAY", [rawFrame(GOAWAY, 0, u32(1))], STATE],
  ["a frame of the enclave: REFUSED", [openFrame(1), rawFrame(REFUSED, 1, OK_BODY)], STATE],
  ["a half-close with a body", [openFrame(1), rawFrame(END, 1, [1])], MALFORMED],
  ["a CANCEL with a body", [openFrame(1), rawFrame(CANCEL, 1, [1])], MALFORMED],
  ["MESSAGE after END", [openFrame(1), rawFrame(END, 1), rawFrame(MESSAGE, 1, data)], STATE],
  ["END after END", [openFrame(1), rawFrame(END, 1), rawFrame(END, 1)], STATE],
  [
    "END inside a message",
    [openFrame(1), rawFrame(MESSAGE, 1, [...u32(9), 1], frame.MORE), rawFrame(END, 1)],
    MALFORMED,
  ],
  ["unknown flags on MESSAGE", [openFrame(1), rawFrame(MESSAGE, 1, data, 4)], MALFORMED],
  ["an empty first piece", [openFrame(1), rawFrame(MESSAGE, 1, u32(5), frame.MORE)], MALFORMED],
  [
    "an empty later piece",
    [
      openFrame(1),
      rawFrame(MESSAGE, 1, [...u32(5), 1], frame.MORE),
      rawFrame(MESSAGE, 1, [], frame.MORE),
    ],
    MALFORMED,
  ],
  [
    "a later piece flagged as compressed",
    [
      openFrame(1),
      rawFrame(MESSAGE, 1, [...u32(5), 1], frame.MORE),
      rawFrame(MESSAGE, 1, [1, 2, 3, 4], frame.COMPRESSED),
    ],
    MALFORMED,
  ],
  [
    "a message longer than announced",
    [openFrame(1), rawFrame(MESSAGE, 1, [...u32(3), 1], frame.MORE), rawFrame(MESSAGE, 1, data)],
    MALFORMED,
  ],
  [
    "a message shorter than announced",
    [openFrame(1), rawFrame(MESSAGE, 1, [...u32(9), 1], frame.MORE), rawFrame(MESSAGE, 1, data)],
    MALFORMED,
  ],
  [
    "a first piece that is already whole",
    [openFrame(1), rawFrame(MESSAGE, 1, [...u32(3), ...data], frame.MORE)],
    MALFORMED,
  ],
  ["CREDIT of 0", [openFrame(1), rawFrame(CREDIT, 1, u32(0))], CREDIT_ALERT],
  [
    "CREDIT beyond 2^31 - 1 in sum",
    [openFrame(1), rawFrame(CREDIT, 1, u32(0x7fffffff))],
    CREDIT_ALERT,
  ],
  ["CREDIT of 3 bytes", [openFrame(1), rawFrame(CREDIT, 1, data)], MALFORMED],
  [
    "more than was granted",
    [openFrame(1), rawFrame(MESSAGE, 1, new Uint8Array(200))],
    CREDIT_ALERT,
  ],
];

const toClient: readonly Rule[] = [
  ["a frame of the client: OPEN", [openFrame(1)], STATE],
  ["a frame of the client: CANCEL", [rawFrame(CANCEL, 1)], STATE],
  [
    "HEADERS twice",
    [rawFrame(HEADERS, 1, HEADERS_BODY), rawFrame(HEADERS, 1, HEADERS_BODY)],
    STATE,
  ],
  ["MESSAGE before HEADERS", [rawFrame(MESSAGE, 1, data)], STATE],
  [
    "REFUSED after HEADERS",
    [rawFrame(HEADERS, 1, HEADERS_BODY), rawFrame(REFUSED, 1, OK_BODY)],
    STATE,
  ],
  ["REFUSED with OK", [rawFrame(REFUSED, 1, OK_BODY)], MALFORMED],
  [
    "REFUSED elsewhere with UNIMPLEMENTED",
    [rawFrame(REFUSED, 1, [8, 12], frame.ELSEWHERE)],
    MALFORMED,
  ],
  ["unknown flags on REFUSED", [rawFrame(REFUSED, 1, OK_BODY, 2)], MALFORMED],
  ["a status that does not parse", [rawFrame(END, 1, [0x0b])], MALFORMED],
  ["a second GOAWAY", [rawFrame(GOAWAY, 0, u32(5)), rawFrame(GOAWAY, 0, u32(5))], STATE],
  [
    "GOAWAY below an id that was answered",
    [rawFrame(HEADERS, 1, HEADERS_BODY), rawFrame(GOAWAY, 0, u32(0))],
    STATE,
  ],
  [
    "GOAWAY below an id that was refused",
    [rawFrame(REFUSED, 1, [8, 14]), rawFrame(GOAWAY, 0, u32(0))],
    STATE,
  ],
  [
    "OK inside a message",
    [
      rawFrame(HEADERS, 1, HEADERS_BODY),
      rawFrame(MESSAGE, 1, [...u32(9), 1], frame.MORE),
      rawFrame(END, 1, OK_BODY),
    ],
    MALFORMED,
  ],
];

interface RuleCase {
  readonly name: string;
  /** Who receives the frames. A client has opened calls 1 and 2, with nothing answered yet. */
  readonly receiver: "client" | "enclave";
  readonly frames: readonly string[];
  readonly expect: "credit-overrun" | "malformed-frame";
  readonly alert: number;
}

/** The content of frame-rules.json. */
export function frameRules(): {
  readonly description: string;
  readonly spec: string;
  readonly credit: number;
  readonly cases: readonly RuleCase[];
} {
  const casesOf = (receiver: RuleCase["receiver"], rules: readonly Rule[]): readonly RuleCase[] =>
    rules.map(([name, frames, alert]) => ({
      name,
      receiver,
      frames: frames.map(toHex),
      expect: alert === CREDIT_ALERT ? "credit-overrun" : "malformed-frame",
      alert,
    }));
  return {
    description:
      "Frames that a peer may not send, after which the receiver ends the session with this alert. " +
      "Frames of one case may come in one record or one record each.",
    spec: "§8",
    credit: RULE_CREDIT,
    cases: [
      ...casesOf("enclave", [...both, ...toEnclave]),
      ...casesOf("client", [...both, ...toClient]),
    ],
  };
}
