import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { outcomeOfAttempt } from "../../services/client/resend.ts";
import { statusOfEnd } from "../../services/client/status.ts";
import { fromHex } from "../support/hex.ts";
import { RawPeer } from "../support/raw-peer.ts";
import { readVectors } from "../support/vectors.ts";
import type { CallEnds, Step } from "../vectors/call-ends.ts";

const { cases } = readVectors("call-ends.json") as CallEnds;

function play(peer: RawPeer, cancel: () => void, step: Step): void {
  if ("frames" in step) peer.send(fromHex(step.frames));
  else if ("record" in step) peer.sendRecord(step.record, fromHex(step.content));
  else if ("garbage" in step) peer.session.receive(fromHex(step.garbage), peer.nowMs);
  else if ("stream" in step) peer.session.receiveStreamEnd(peer.nowMs);
  else if ("clockMs" in step) peer.tick(step.clockMs);
  else if (step.application === "cancels") cancel();
  else peer.session.abort();
}

describe("the end of a call at the client", () => {
  for (const { name, sealed, deadlineMs, steps, expect, status, outcome } of cases) {
    it(`${name}: ${expect}, ${outcome}`, () => {
      const peer = new RawPeer("client");
      const call = peer.openCall(deadlineMs);
      if (sealed) peer.frames();
      for (const step of steps) play(peer, call.cancel, step);
      const end = call.ended;
      assert.ok(end, "the call did not end");
      assert.equal(outcomeOfAttempt(end), outcome);
      const shown = statusOfEnd(end, outcome, undefined);
      assert.deepEqual([shown.code, shown.errorCode ?? "ok"], [status, expect]);
    });
  }
});
