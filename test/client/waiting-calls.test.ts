import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";

import { ChannelError } from "../../channel/errors.ts";
import { CallLedger } from "../../services/client/call-ledger.ts";
import { SealedCall } from "../../services/client/sealed-call.ts";
import { SessionSource } from "../../services/client/session-source.ts";
import type { WaitingCall } from "../../services/client/session-source.ts";
import type { CallStatus } from "../../services/client/status.ts";
import { FakeConnector } from "../support/fake-session.ts";

const trailers = [] as const;
const OK = { kind: "status", status: { code: 0, message: "", trailers } } as const;

describe("a call that was sent again after a back-off", () => {
  beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
  afterEach(() => mock.timers.reset());

  it("leaves no timer behind when it has ended", () => {
    const connector = new FakeConnector();
    const source = new SessionSource(connector.connect, 1);
    const ledger = new CallLedger({ onHold: () => undefined, onEnded: () => undefined });
    const statuses: CallStatus[] = [];
    const running = new Set<unknown>();
    const set = mock.method(globalThis, "setTimeout", trackedSet(running));
    const clear = mock.method(globalThis, "clearTimeout", trackedClear(running));
    const call = new SealedCall(
      source,
      ledger,
      {
        onHeaders: () => undefined,
        onMessage: () => undefined,
        onStatus: (status) => statuses.push(status),
      },
      {
        method: "/a.B/C",
        authority: "",
        encoding: "",
        deadlineMs: performance.now() + 3_600_000,
        idempotent: true,
      },
    );
    call.start([], false);
    connector.last.succeed().lose(new ChannelError("truncated", "cut"));
    mock.timers.tick(60_000);
    const [second] = connector.last.succeed().opened;
    second?.end(OK);
    mock.timers.tick(60_000);
    assert.equal(statuses.length, 1);
    assert.equal(running.size, 0);
    set.mock.restore();
    clear.mock.restore();
  });
});

describe("many calls that wait for a session", () => {
  it("are not all asked again whenever one call ends", () => {
    const connector = new FakeConnector();
    const source = new SessionSource(connector.connect, 1);
    let asked = 0;
    const waiter: () => WaitingCall = () => ({
      waitForReady: false,
      mayUse: () => {
        asked += 1;
        return true;
      },
      onSession: ({ session }) => {
        session.open(
          { method: "/a.B/C", metadata: [], authority: "", encoding: "", deadlineMs: Infinity },
          { onHeaders: () => undefined, onMessage: () => undefined, onEnd: () => undefined },
        );
      },
      onNoSession: () => undefined,
    });
    for (let i = 0; i < 5000; i++) source.enqueue(waiter());
    const session = connector.last.succeed((live) => {
      live.maxConcurrentCalls = 10;
    });
    let looked = 0;
    Object.defineProperty(session, "maxConcurrentCalls", {
      get: () => {
        looked += 1;
        return 10;
      },
    });
    for (let i = 0; i < 100; i++) {
      session.opened[i]?.end(OK);
      source.callEnded();
    }
    assert.equal(session.opened.length, 110);
    assert.ok(asked < 1000, `${asked} were asked`);
    assert.ok(looked < 5000, `the session was looked at ${looked} times`);
  });
});

function trackedSet(running: Set<unknown>): typeof setTimeout {
  const set = globalThis.setTimeout;
  return ((callback: () => void, ms?: number) => {
    const timer = set(() => {
      running.delete(timer);
      callback();
    }, ms);
    running.add(timer);
    return timer;
  }) as typeof setTimeout;
}

function trackedClear(running: Set<unknown>): typeof clearTimeout {
  const clear = globalThis.clearTimeout;
  return (timer) => {
    running.delete(timer);
    clear(timer);
  };
}
