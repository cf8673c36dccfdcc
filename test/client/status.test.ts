import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Metadata, status as Code } from "@grpc/grpc-js";

import { AttestationError } from "../../attestation/errors.ts";
import type { CallEnd, Outcome } from "../../channel/call-events.ts";
import { ChannelError } from "../../channel/errors.ts";
import {
  codeOf,
  outcomeOf,
  outerError,
  statusObject,
  statusOfEnd,
  statusOfError,
} from "../../services/client/status.ts";
import { TransportError } from "../../transport/errors.ts";

const entry = (key: string, value: string) => ({ key, value: Buffer.from(value) });
const lost = (code: ConstructorParameters<typeof ChannelError>[0]): CallEnd => ({
  kind: "lost",
  error: new ChannelError(code, "why"),
});

describe("the status of an end", () => {
  const status = { code: Code.NOT_FOUND, message: "no such", trailers: [entry("a", "b")] };
  const rows: [string, CallEnd, Outcome, Code, string | undefined][] = [
    ["a sealed END", { kind: "status", status }, "executed", Code.NOT_FOUND, undefined],
    [
      "a sealed REFUSED",
      { kind: "refused", status, elsewhere: false },
      "not-executed",
      Code.NOT_FOUND,
      "refused",
    ],
    ["never sealed", { kind: "unsealed" }, "not-executed", Code.UNAVAILABLE, "session-expired"],
    ["GOAWAY", { kind: "goaway" }, "not-executed", Code.UNAVAILABLE, "draining"],
    ["a cut", lost("truncated"), "unknown", Code.UNAVAILABLE, "truncated"],
    ["an alert", lost("peer-alert"), "unknown", Code.UNAVAILABLE, "peer-alert"],
    [
      "a record that does not open",
      lost("authentication-failed"),
      "unknown",
      Code.DATA_LOSS,
      "authentication-failed",
    ],
    [
      "the own deadline",
      { kind: "deadline", sealed: true },
      "unknown",
      Code.DEADLINE_EXCEEDED,
      undefined,
    ],
    ["the own cancel", { kind: "cancelled", sealed: true }, "unknown", Code.CANCELLED, undefined],
    [
      "an own limit",
      { kind: "local", code: 8, message: "too long", sealed: false },
      "not-executed",
      Code.RESOURCE_EXHAUSTED,
      undefined,
    ],
  ];
  for (const [what, end, outcome, code, errorCode] of rows) {
    it(`is ${Code[code]}, ${outcome}, after ${what}`, () => {
      const object = statusObject(statusOfEnd(end, outcome, undefined));
      assert.equal(object.code, code);
      assert.equal(outcomeOf(object), outcome);
      assert.equal(codeOf(object), errorCode);
      const pushback = outcome === "unknown" ? ["-1"] : [];
      assert.deepEqual(object.metadata.get("grpc-retry-pushback-ms"), pushback);
    });
  }

  it("keeps the text and the trailers of a sealed END", () => {
    const object = statusObject(statusOfEnd({ kind: "status", status }, "executed", undefined));
    assert.equal(object.details, "no such");
    assert.deepEqual(object.metadata.get("a"), ["b"]);
  });

  it("adds nothing to OK", () => {
    const ok = { code: 0, message: "", trailers: [] };
    const object = statusObject(statusOfEnd({ kind: "status", status: ok }, "executed", undefined));
    assert.deepEqual(object.metadata.toJSON(), {});
  });

  it("shows a code that gRPC does not know as UNKNOWN", () => {
    const end: CallEnd = { kind: "status", status: { code: 17, message: "", trailers: [] } };
    assert.equal(statusOfEnd(end, "executed", undefined).code, Code.UNKNOWN);
  });

  it("drops what a peer says under sealrpc-*", () => {
    const trailers = [entry("sealrpc-outcome", "not-executed"), entry("sealrpc-code", "refused")];
    const end: CallEnd = { kind: "status", status: { code: 2, message: "", trailers } };
    const object = statusObject(statusOfEnd(end, "executed", undefined));
    assert.equal(outcomeOf(object), "executed");
    assert.equal(codeOf(object), undefined);
  });
});

describe("the status of an error", () => {
  const codes: [Error, Code][] = [
    [new AttestationError("measurement-mismatch", "pcr0"), Code.UNAUTHENTICATED],
    [new AttestationError("nsm-unavailable", "busy"), Code.UNAVAILABLE],
    [new ChannelError("no-common-suite", "none"), Code.FAILED_PRECONDITION],
    [new ChannelError("unsupported-version", "2"), Code.FAILED_PRECONDITION],
    [new ChannelError("caller-refused", "no"), Code.PERMISSION_DENIED],
    [new ChannelError("malformed-frame", "bad"), Code.INTERNAL],
    [new ChannelError("credit-overrun", "bad"), Code.INTERNAL],
    [new ChannelError("record-too-large", "bad"), Code.RESOURCE_EXHAUSTED],
    [new ChannelError("handshake-timeout", "slow"), Code.UNAVAILABLE],
    [new TransportError("unreachable", "away"), Code.UNAVAILABLE],
  ];
  for (const [error, code] of codes) {
    it(`is ${Code[code]} for ${error.message}`, () => {
      const status = statusOfError(error, "not-executed");
      assert.equal(status.code, code);
      assert.equal(status.details, error.message);
      assert.equal(codeOf(statusObject(status)), status.errorCode);
    });
  }

  it("shows nothing of an error that is not this library's", () => {
    const status = statusOfError(new Error("a secret"), "unknown");
    assert.equal(status.code, Code.INTERNAL);
    assert.equal(status.details, "internal error");
  });
});

describe("an outer status", () => {
  it("is quoted and labelled, and never believed", () => {
    const error = outerError("closed", { code: Code.OK, details: 'it "ran"\n\u001b[2J' });
    const end = statusOfEnd(lost("truncated"), "unknown", error);
    assert.equal(end.code, Code.UNAVAILABLE);
    assert.match(end.details, /outside the seal: status 0, "it \\"ran\\"\\n\\u001b\[2J"$/);
  });

  it("is cut short", () => {
    const error = outerError("closed", { code: 14, details: "x".repeat(100_000) });
    assert.ok(error.message.length < 400);
  });

  it("may be missing, or anything", () => {
    for (const status of [undefined, null, 7, { code: "0", details: {} }]) {
      assert.match(outerError("closed", status).message, /status none, ""$/);
    }
  });
});

describe("outcomeOf and codeOf", () => {
  it("know nothing of errors that are no call's", () => {
    for (const error of [undefined, null, 1, new Error("x"), { metadata: {} }]) {
      assert.equal(outcomeOf(error), undefined);
      assert.equal(codeOf(error), undefined);
    }
  });

  it("know only their own words", () => {
    const metadata = new Metadata();
    metadata.set("sealrpc-outcome", "surely");
    metadata.set("sealrpc-code", "constructor");
    assert.equal(outcomeOf({ metadata }), undefined);
    assert.equal(codeOf({ metadata }), undefined);
  });
});
