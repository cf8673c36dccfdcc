import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import { CallLedger } from "../../services/client/call-ledger.ts";
import { SessionSource } from "../../services/client/session-source.ts";
import { awaitSession } from "../../services/client/session-waiter.ts";
import { TransportError } from "../../transport/errors.ts";
import type { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import { FakeConnector } from "../support/fake-session.ts";

const EVIDENCE = {} as VerifiedEvidence;

function setUp() {
  const holds: boolean[] = [];
  const connector = new FakeConnector();
  const source = new SessionSource(connector.connect, 1);
  const ledger = new CallLedger({ onHold: (isHeld) => holds.push(isHeld), onEnded: () => {} });
  return { connector, source, ledger, holds };
}

describe("awaitSession", () => {
  it("makes a session, gives its evidence, and puts no call on it", async () => {
    const { connector, source, ledger, holds } = setUp();
    const waiting = awaitSession(source, ledger, 1000);
    assert.deepEqual(holds, [true]);
    const session = connector.last.succeed((made) => (made.evidence = EVIDENCE));
    assert.equal(await waiting, EVIDENCE);
    assert.equal(session.opened.length, 0);
    assert.equal(await awaitSession(source, ledger, 1000), EVIDENCE);
    assert.equal(connector.attempts.length, 1);
  });

  it("rejects with why there is none", async () => {
    const { connector, source, ledger } = setUp();
    const waiting = awaitSession(source, ledger, 1000);
    const error = new TransportError("unreachable", "away");
    connector.last.fail(error);
    await assert.rejects(waiting, error);
  });

  it("rejects when it takes too long, and then waits no more", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    const { connector, source, ledger } = setUp();
    const waiting = awaitSession(source, ledger, 1000);
    mock.timers.tick(1000);
    await assert.rejects(waiting, { code: "timeout" });
    mock.timers.reset();
    connector.last.succeed();
  });
});
