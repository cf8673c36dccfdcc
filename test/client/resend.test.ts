import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { status as Code } from "@grpc/grpc-js";

import type { CallEnd } from "../../channel/call-events.ts";
import { ChannelError } from "../../channel/errors.ts";
import {
  combineOutcomes,
  outcomeOfAttempt,
  resendRule,
  wasSealed,
} from "../../services/client/resend.ts";

const refused = (code: Code, elsewhere: boolean): CallEnd => ({
  kind: "refused",
  status: { code, message: "", trailers: [] },
  elsewhere,
});
const lost: CallEnd = { kind: "lost", error: new ChannelError("truncated", "cut") };
const ended: CallEnd = { kind: "status", status: { code: 0, message: "", trailers: [] } };
const local = { kind: "local", code: 8, message: "" } as const;

describe("the resend rule", () => {
  const rows: [string, CallEnd, string, string][] = [
    ["a call that was not sealed", { kind: "unsealed" }, "at-once", "at-once"],
    ["GOAWAY below its id", { kind: "goaway" }, "at-once", "at-once"],
    ["REFUSED elsewhere for drain", refused(Code.UNAVAILABLE, true), "at-once", "at-once"],
    ["REFUSED elsewhere for delay", refused(Code.DEADLINE_EXCEEDED, true), "at-once", "at-once"],
    [
      "REFUSED elsewhere for capacity",
      refused(Code.RESOURCE_EXHAUSTED, true),
      "on-open-session",
      "on-open-session",
    ],
    ["REFUSED here", refused(Code.UNAVAILABLE, false), "no", "no"],
    ["a lost session", lost, "no", "after-back-off"],
    ["a sealed END", ended, "no", "no"],
    ["the own deadline", { kind: "deadline", sealed: true }, "no", "no"],
    ["the own cancel", { kind: "cancelled", sealed: false }, "no", "no"],
    ["an own limit", { ...local, sealed: false }, "no", "no"],
  ];
  for (const [what, end, once, idempotent] of rows) {
    it(`is "${once}" after ${what}, and "${idempotent}" for an idempotent method`, () => {
      assert.equal(resendRule(end, false), once);
      assert.equal(resendRule(end, true), idempotent);
    });
  }
});

describe("what an attempt tells", () => {
  const rows: [string, CallEnd, string, boolean][] = [
    ["a sealed END", ended, "executed", true],
    ["REFUSED", refused(Code.UNAVAILABLE, true), "not-executed", true],
    ["GOAWAY", { kind: "goaway" }, "not-executed", true],
    ["never sealed", { kind: "unsealed" }, "not-executed", false],
    ["a lost session", lost, "unknown", true],
    ["a deadline after it left", { kind: "deadline", sealed: true }, "unknown", true],
    ["a deadline before it left", { kind: "deadline", sealed: false }, "not-executed", false],
    ["a cancel after it left", { kind: "cancelled", sealed: true }, "unknown", true],
    ["a cancel before it left", { kind: "cancelled", sealed: false }, "not-executed", false],
    ["a limit after it left", { ...local, sealed: true }, "unknown", true],
    ["a limit before it left", { ...local, sealed: false }, "not-executed", false],
  ];
  for (const [what, end, outcome, sealed] of rows) {
    it(`is ${outcome} after ${what}`, () => {
      assert.equal(outcomeOfAttempt(end), outcome);
      assert.equal(wasSealed(end), sealed);
    });
  }

  it("stays unknown whatever follows, unless the enclave ends the call", () => {
    assert.equal(combineOutcomes("unknown", "not-executed"), "unknown");
    assert.equal(combineOutcomes("unknown", "unknown"), "unknown");
    assert.equal(combineOutcomes("unknown", "executed"), "executed");
    assert.equal(combineOutcomes("not-executed", "unknown"), "unknown");
    assert.equal(combineOutcomes("not-executed", "not-executed"), "not-executed");
  });
});
