import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CallEnd } from "../../channel/call-events.ts";
import type { ChannelErrorCode } from "../../channel/errors.ts";
import * as frame from "../../channel/frame.ts";
import {
  headerBody,
  HEADERS_BODY,
  OK_BODY,
  openFrame,
  rawFrame,
  RawPeer,
  u32,
} from "../support/raw-peer.ts";

const { OPEN, HEADERS, MESSAGE, END, CANCEL, CREDIT, PING, PONG, GOAWAY, REFUSED } = frame;
const MALFORMED = 1;
const STATE = 2;
const CREDIT_ALERT = 3;
const LIMIT = 4;

type Rule = readonly [
  what: string,
  frames: readonly Uint8Array[],
  alert: number,
  code: ChannelErrorCode,
];

const data = [1, 2, 3];
const both: readonly Rule[] = [
  ["a frame type that is not known", [rawFrame(11, 1)], MALFORMED, "malformed-frame"],
  ["frame type 0", [rawFrame(0, 1)], MALFORMED, "malformed-frame"],
  [
    "a frame header that is cut short",
    [Uint8Array.of(MESSAGE, 0, 0)],
    MALFORMED,
    "malformed-frame",
  ],
  [
    "a frame that goes beyond its record",
    [Uint8Array.of(MESSAGE, 0, 0, 0, 0, 1, 0, 0, 0, 9, 1)],
    MALFORMED,
    "malformed-frame",
  ],
  ["call_id 0 on a call's frame", [rawFrame(CREDIT, 0, u32(1))], MALFORMED, "malformed-frame"],
  ["a call_id on PING", [rawFrame(PING, 1, new Uint8Array(8))], MALFORMED, "malformed-frame"],
  ["PING of 7 bytes", [rawFrame(PING, 0, new Uint8Array(7))], MALFORMED, "malformed-frame"],
  ["flags on PING", [rawFrame(PING, 0, new Uint8Array(8), 1)], MALFORMED, "malformed-frame"],
  [
    "a second PING before the PONG",
    [rawFrame(PING, 0, new Uint8Array(8)), rawFrame(PING, 0, new Uint8Array(8))],
    STATE,
    "malformed-frame",
  ],
  ["PONG without PING", [rawFrame(PONG, 0, new Uint8Array(8))], STATE, "malformed-frame"],
  ["a frame for an id never opened", [rawFrame(CREDIT, 9, u32(1))], STATE, "malformed-frame"],
];

const toEnclave: readonly Rule[] = [
  ["an OPEN out of order", [openFrame(2)], STATE, "malformed-frame"],
  ["the same OPEN twice", [openFrame(1), openFrame(1)], STATE, "malformed-frame"],
  ["flags on OPEN", [rawFrame(OPEN, 1, [], 1)], MALFORMED, "malformed-frame"],
  ["an OPEN that does not parse", [rawFrame(OPEN, 1, [0x0b])], MALFORMED, "malformed-frame"],
  ["an OPEN beyond 64 KiB", [rawFrame(OPEN, 1, new Uint8Array(65_537))], LIMIT, "malformed-frame"],
  [
    "a frame of the enclave: HEADERS",
    [openFrame(1), rawFrame(HEADERS, 1, HEADERS_BODY)],
    STATE,
    "malformed-frame",
  ],
  ["a frame of the enclave: GOAWAY", [rawFrame(GOAWAY, 0, u32(1))], STATE, "malformed-frame"],
  [
    "a frame of the enclave: REFUSED",
    [openFrame(1), rawFrame(REFUSED, 1, OK_BODY)],
    STATE,
    "malformed-frame",
  ],
  ["a half-close with a body", [openFrame(1), rawFrame(END, 1, [1])], MALFORMED, "malformed-frame"],
  ["a CANCEL with a body", [openFrame(1), rawFrame(CANCEL, 1, [1])], MALFORMED, "malformed-frame"],
  [
    "MESSAGE after END",
    [openFrame(1), rawFrame(END, 1), rawFrame(MESSAGE, 1, data)],
    STATE,
    "malformed-frame",
  ],
  ["END after END", [openFrame(1), rawFrame(END, 1), rawFrame(END, 1)], STATE, "malformed-frame"],
  [
    "END inside a message",
    [openFrame(1), rawFrame(MESSAGE, 1, [...u32(9), 1], frame.MORE), rawFrame(END, 1)],
    MALFORMED,
    "malformed-frame",
  ],
  [
    "unknown flags on MESSAGE",
    [openFrame(1), rawFrame(MESSAGE, 1, data, 4)],
    MALFORMED,
    "malformed-frame",
  ],
  [
    "an empty first piece",
    [openFrame(1), rawFrame(MESSAGE, 1, u32(5), frame.MORE)],
    MALFORMED,
    "malformed-frame",
  ],
  [
    "an empty later piece",
    [
      openFrame(1),
      rawFrame(MESSAGE, 1, [...u32(5), 1], frame.MORE),
      rawFrame(MESSAGE, 1, [], frame.MORE),
    ],
    MALFORMED,
    "malformed-frame",
  ],
  [
    "a later piece flagged as compressed",
    [
      openFrame(1),
      rawFrame(MESSAGE, 1, [...u32(5), 1], frame.MORE),
      rawFrame(MESSAGE, 1, [1, 2, 3, 4], frame.COMPRESSED),
    ],
    MALFORMED,
    "malformed-frame",
  ],
  [
    "a message longer than announced",
    [openFrame(1), rawFrame(MESSAGE, 1, [...u32(3), 1], frame.MORE), rawFrame(MESSAGE, 1, data)],
    MALFORMED,
    "malformed-frame",
  ],
  [
    "a message shorter than announced",
    [openFrame(1), rawFrame(MESSAGE, 1, [...u32(9), 1], frame.MORE), rawFrame(MESSAGE, 1, data)],
    MALFORMED,
    "malformed-frame",
  ],
  [
    "a first piece that is already whole",
    [openFrame(1), rawFrame(MESSAGE, 1, [...u32(3), ...data], frame.MORE)],
    MALFORMED,
    "malformed-frame",
  ],
  ["CREDIT of 0", [openFrame(1), rawFrame(CREDIT, 1, u32(0))], CREDIT_ALERT, "credit-overrun"],
  [
    "CREDIT beyond 2^31 - 1 in sum",
    [openFrame(1), rawFrame(CREDIT, 1, u32(0x7fffffff))],
    CREDIT_ALERT,
    "credit-overrun",
  ],
  ["CREDIT of 3 bytes", [openFrame(1), rawFrame(CREDIT, 1, data)], MALFORMED, "malformed-frame"],
  [
    "more than was granted",
    [
      openFrame(1),
      rawFrame(MESSAGE, 1, new Uint8Array(200_000)),
      rawFrame(MESSAGE, 1, new Uint8Array(62_017)),
    ],
    CREDIT_ALERT,
    "credit-overrun",
  ],
];

const toClient: readonly Rule[] = [
  ["a frame of the client: OPEN", [openFrame(1)], STATE, "malformed-frame"],
  ["a frame of the client: CANCEL", [rawFrame(CANCEL, 1)], STATE, "malformed-frame"],
  [
    "HEADERS twice",
    [rawFrame(HEADERS, 1, HEADERS_BODY), rawFrame(HEADERS, 1, HEADERS_BODY)],
    STATE,
    "malformed-frame",
  ],
  ["MESSAGE before HEADERS", [rawFrame(MESSAGE, 1, data)], STATE, "malformed-frame"],
  [
    "REFUSED after HEADERS",
    [rawFrame(HEADERS, 1, HEADERS_BODY), rawFrame(REFUSED, 1, OK_BODY)],
    STATE,
    "malformed-frame",
  ],
  ["unknown flags on REFUSED", [rawFrame(REFUSED, 1, OK_BODY, 2)], MALFORMED, "malformed-frame"],
  ["a status that does not parse", [rawFrame(END, 1, [0x0b])], MALFORMED, "malformed-frame"],
  ["a status beyond 64 KiB", [rawFrame(END, 1, new Uint8Array(65_537))], LIMIT, "malformed-frame"],
  [
    "a second GOAWAY",
    [rawFrame(GOAWAY, 0, u32(5)), rawFrame(GOAWAY, 0, u32(5))],
    STATE,
    "malformed-frame",
  ],
  [
    "GOAWAY below an id that was answered",
    [rawFrame(HEADERS, 1, HEADERS_BODY), rawFrame(GOAWAY, 0, u32(0))],
    STATE,
    "malformed-frame",
  ],
  [
    "GOAWAY below an id that was refused",
    [rawFrame(REFUSED, 1, OK_BODY), rawFrame(GOAWAY, 0, u32(0))],
    STATE,
    "malformed-frame",
  ],
  [
    "OK inside a message",
    [
      rawFrame(HEADERS, 1, HEADERS_BODY),
      rawFrame(MESSAGE, 1, [...u32(9), 1], frame.MORE),
      rawFrame(END, 1, OK_BODY),
    ],
    MALFORMED,
    "malformed-frame",
  ],
];

describe("a session that is sent what the protocol forbids", () => {
  for (const [what, frames, alert, code] of [...both, ...toEnclave]) {
    it(`alerts, in the enclave: ${what}`, () => {
      const peer = new RawPeer("enclave");
      peer.send(...frames);
      assert.equal(peer.closed?.error?.code, code);
      assert.equal(peer.alert(), alert);
    });
  }

  for (const [what, frames, alert, code] of [...both, ...toClient]) {
    it(`alerts, at the client: ${what}`, () => {
      const peer = new RawPeer("client");
      const call = peer.openCall();
      const other = peer.openCall();
      peer.frames();
      peer.send(...frames);
      assert.equal(peer.closed?.error?.code, code);
      assert.equal(peer.alert(), alert);
      // What was not yet answered may have run.
      const ends: (CallEnd["kind"] | undefined)[] = [call.ended?.kind, other.ended?.kind];
      assert.ok(ends.includes("lost"), ends.join());
    });
  }

  it("passes over frame types from 0x80", () => {
    const peer = new RawPeer("enclave");
    peer.send(rawFrame(0x80, 5, data, 255));
    assert.equal(peer.closed, undefined);
  });

  it("drops frames for a call that is over", () => {
    const peer = new RawPeer("enclave");
    peer.send(openFrame(1), rawFrame(CANCEL, 1), rawFrame(MESSAGE, 1, data), rawFrame(END, 1));
    peer.send(rawFrame(CREDIT, 1, u32(1)), rawFrame(CANCEL, 1));
    assert.equal(peer.closed, undefined);
  });

  it("has handled the frames before a bad one", () => {
    const opened: string[] = [];
    const peer = new RawPeer("enclave", {
      onCall: (_call, { method }) => {
        opened.push(method);
        return {
          onMessage: () => undefined,
          onHalfClose: () => undefined,
          onCancel: (r) => void opened.push(r),
        };
      },
    });
    peer.send(openFrame(1, { method: "/a/B" }), rawFrame(11, 1));
    assert.deepEqual(opened, ["/a/B", "truncated"]);
  });

  it("ends with the code of the peer's alert, and sends none back", () => {
    const peer = new RawPeer("client");
    peer.sendRecord("alert", Uint8Array.of(0, 6));
    assert.equal(peer.closed?.error?.code, "peer-alert");
    assert.match(peer.closed?.error?.message ?? "", /alert 6/);
    assert.deepEqual(peer.frames(), []);
  });

  it("says nothing to a peer whose record does not open, and takes no further record", () => {
    const peer = new RawPeer("client");
    const call = peer.openCall();
    peer.frames();
    peer.session.receive(new Uint8Array(300), 0);
    assert.equal(peer.closed?.error?.code, "authentication-failed");
    assert.deepEqual(peer.frames(), []);
    assert.equal(call.ended?.kind, "lost");
    peer.send(rawFrame(END, 1, OK_BODY));
  });

  it("closes when a peer provokes more than 1 MiB of frames and reads none", () => {
    const peer = new RawPeer("enclave", { terms: { maxConcurrentCalls: 1 } });
    const method = "/x/Y";
    for (let id = 1; id <= 20_000 && peer.closed === undefined; id++)
      peer.send(openFrame(id, { method }));
    assert.equal(peer.closed?.error?.code, "credit-overrun");
    assert.equal(peer.alert(), LIMIT);
  });

  it("keeps a status text of the enclave out of nothing: trailers arrive whole", () => {
    const peer = new RawPeer("client");
    const call = peer.openCall();
    peer.frames();
    const status = {
      code: 5,
      message: "müßig %",
      trailers: [{ key: "k-bin", value: Uint8Array.of(0, 255) }],
    };
    peer.send(rawFrame(END, 1, headerBody(status)));
    assert.deepEqual(call.ended, { kind: "status", status });
  });
});
