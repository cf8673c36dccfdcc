import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as frame from "../../channel/frame.ts";
import { headerBody, OK_BODY, openFrame, rawFrame, RawPeer, u32 } from "../support/raw-peer.ts";
import { fromHex } from "../support/hex.ts";
import { readVectors } from "../support/vectors.ts";
import type { frameRules } from "../vectors/frame-rules.ts";

const LIMIT = 4;
const data = [1, 2, 3];
const rules = readVectors("frame-rules.json") as ReturnType<typeof frameRules>;

describe("a session that is sent what the protocol forbids", () => {
  for (const { name, receiver, frames, expect, alert } of rules.cases) {
    it(`alerts, at the ${receiver}: ${name}`, () => {
      for (const inOneRecord of [true, false]) {
        const peer = new RawPeer(receiver, { terms: { initialCredit: rules.credit } });
        const calls = receiver === "client" ? [peer.openCall(), peer.openCall()] : [];
        peer.frames();
        const bytes = frames.map(fromHex);
        if (inOneRecord) peer.send(...bytes);
        else for (const one of bytes) peer.send(one);
        assert.equal(peer.closed?.error?.code, expect);
        assert.equal(peer.alert(), alert);
        // What was not answered may have run.
        if (receiver === "client") assert.ok(calls.some(({ ended }) => ended?.kind === "lost"));
      }
    });
  }

  it("alerts when a record ends inside a frame, wherever that is", () => {
    const whole = openFrame(1);
    for (let at = 1; at < whole.length; at++) {
      const peer = new RawPeer("enclave");
      peer.send(whole.subarray(0, at));
      assert.equal(peer.closed?.error?.code, "malformed-frame");
    }
  });

  for (const [receiver, big] of [
    ["enclave", rawFrame(frame.OPEN, 1, new Uint8Array(65_537))],
    ["client", rawFrame(frame.END, 1, new Uint8Array(65_537))],
  ] as const) {
    it(`alerts, at the ${receiver}: a header beyond 64 KiB`, () => {
      const peer = new RawPeer(receiver);
      if (receiver === "client") peer.openCall();
      peer.frames();
      peer.send(big);
      assert.equal(peer.alert(), LIMIT);
    });
  }

  it("passes over frame types from 0x80", () => {
    const peer = new RawPeer("enclave");
    peer.send(rawFrame(0x80, 5, data, 255));
    assert.equal(peer.closed, undefined);
  });

  it("drops frames for a call that is over", () => {
    const peer = new RawPeer("enclave");
    peer.send(
      openFrame(1),
      rawFrame(frame.CANCEL, 1),
      rawFrame(frame.MESSAGE, 1, data),
      rawFrame(frame.END, 1),
    );
    peer.send(rawFrame(frame.CREDIT, 1, u32(1)), rawFrame(frame.CANCEL, 1));
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
    peer.send(rawFrame(frame.END, 1, OK_BODY));
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
    peer.send(rawFrame(frame.END, 1, headerBody(status)));
    assert.deepEqual(call.ended, { kind: "status", status });
  });
});
