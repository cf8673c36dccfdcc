import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";

import { connectivityState as State } from "@grpc/grpc-js";

import { AttestationError } from "../../attestation/errors.ts";
import { ChannelError } from "../../channel/errors.ts";
import type { LiveSession } from "../../services/client/live-session.ts";
import { SessionSource } from "../../services/client/session-source.ts";
import type { WaitingCall } from "../../services/client/session-source.ts";
import { TransportError } from "../../transport/errors.ts";
import { FakeConnector } from "../support/fake-session.ts";
import type { FakeSession } from "../support/fake-session.ts";

const AWAY = new TransportError("unreachable", "away");
const WRONG_IMAGE = new AttestationError("measurement-mismatch", "pcr0");

/** A call that only wants to know where it would go. */
class Waiter implements WaitingCall {
  readonly waitForReady: boolean;
  readonly refuses: LiveSession[] = [];
  live: LiveSession | undefined;
  error: Error | undefined;

  constructor(waitForReady = false) {
    this.waitForReady = waitForReady;
  }

  mayUse(live: LiveSession): boolean {
    return !this.refuses.includes(live);
  }

  onSession(live: LiveSession): void {
    this.live = live;
    // It takes its place there.
    live.session.open(
      { method: "/a.B/C", metadata: [], authority: "", encoding: "", deadlineMs: Infinity },
      IDLE,
    );
  }

  onNoSession(error: Error): void {
    this.error = error;
  }
}

const IDLE = { onHeaders: () => {}, onMessage: () => {}, onEnd: () => {} };

function setUp(sessions = 1) {
  const connector = new FakeConnector();
  const source = new SessionSource(connector.connect, sessions);
  const wait = (waitForReady = false): Waiter => {
    const waiter = new Waiter(waitForReady);
    source.enqueue(waiter);
    return waiter;
  };
  const state = (): State => source.connectivity.state;
  return { connector, source, wait, state };
}

function endCalls(session: FakeSession): void {
  for (const call of session.calls) {
    call.end({ kind: "status", status: { code: 0, message: "", trailers: [] } });
  }
}

beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
afterEach(() => mock.timers.reset());

describe("a source of sessions", () => {
  it("makes nothing before the first call", () => {
    const { connector, state } = setUp();
    assert.equal(connector.attempts.length, 0);
    assert.equal(state(), State.IDLE);
  });

  it("is READY only after the handshake", () => {
    const { connector, wait, state } = setUp();
    const call = wait();
    assert.equal(state(), State.CONNECTING);
    const session = connector.last.succeed();
    assert.equal(state(), State.READY);
    assert.equal(call.live, session);
  });

  it("makes one session for all calls that wait", () => {
    const { connector, wait } = setUp();
    const calls = [wait(), wait(), wait()];
    assert.equal(connector.attempts.length, 1);
    const session = connector.last.succeed();
    for (const call of calls) assert.equal(call.live, session);
  });

  it("makes a session unasked when told to", () => {
    const { connector, source, state } = setUp();
    source.fill();
    source.fill();
    assert.equal(connector.attempts.length, 1);
    connector.last.succeed();
    assert.equal(state(), State.READY);
  });

  it("is IDLE again when its session has ended, until the next call", () => {
    const { connector, wait, state } = setUp();
    wait();
    connector.last.succeed().lose();
    assert.equal(state(), State.IDLE);
    assert.equal(connector.attempts.length, 1);
    wait();
    assert.equal(connector.attempts.length, 2);
  });
});

describe("when no session can be made", () => {
  it("calls end with the reason, then and until the back-off is over", () => {
    const { connector, wait, state } = setUp();
    const first = wait();
    connector.last.fail(AWAY);
    assert.equal(first.error, AWAY);
    assert.equal(state(), State.TRANSIENT_FAILURE);
    assert.equal(wait().error, AWAY);
    assert.equal(connector.attempts.length, 1);
    mock.timers.tick(120);
    assert.equal(state(), State.IDLE);
    assert.equal(wait().error, undefined);
    assert.equal(connector.attempts.length, 2);
  });

  it("calls that wait for it go on waiting, through every attempt", () => {
    const { connector, wait } = setUp();
    const call = wait(true);
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      assert.equal(connector.attempts.length, attempt);
      connector.last.fail(AWAY);
      assert.equal(call.error, undefined);
      mock.timers.tick(1_000);
    }
    const session = connector.last.succeed();
    assert.equal(call.live, session);
  });

  it("attempts grow apart, up to 30 s", () => {
    const { connector, wait } = setUp();
    wait(true);
    for (let failure = 0; failure < 20; failure += 1) {
      connector.last.fail(AWAY);
      mock.timers.tick(30_000);
    }
    assert.equal(connector.attempts.length, 21);
    connector.last.fail(AWAY);
    mock.timers.tick(23_999);
    assert.equal(connector.attempts.length, 21);
  });

  it("a session that is asked for during the back-off is made after it", () => {
    const { connector, source, wait, state } = setUp();
    // Two that live too short for it to be a coincidence.
    wait();
    connector.last.succeed().lose();
    wait();
    connector.last.succeed().lose();
    assert.equal(state(), State.IDLE);
    source.fill();
    assert.equal(state(), State.CONNECTING);
    assert.equal(connector.attempts.length, 2);
    mock.timers.tick(120);
    assert.equal(connector.attempts.length, 3);
    connector.last.succeed();
    assert.equal(state(), State.READY);
  });

  it("success makes the next failure the first", () => {
    const { connector, wait } = setUp();
    wait(true);
    for (let failure = 0; failure < 10; failure += 1) {
      connector.last.fail(AWAY);
      mock.timers.tick(30_000);
    }
    connector.last.succeed().lose();
    wait(true);
    connector.last.fail(AWAY);
    const before = connector.attempts.length;
    mock.timers.tick(120);
    assert.equal(connector.attempts.length, before + 1);
  });

  for (const error of [
    WRONG_IMAGE,
    new ChannelError("no-common-suite", "none"),
    new ChannelError("unsupported-version", "2"),
    new ChannelError("caller-refused", "no"),
  ]) {
    it(`calls end at once, also those that wait for it, after ${error.message}`, () => {
      const { connector, wait } = setUp();
      const call = wait(true);
      connector.last.fail(error);
      assert.equal(call.error, error);
      assert.equal(wait(true).error, error);
      // Nobody tries again unasked; a later call may.
      mock.timers.tick(60_000);
      assert.equal(connector.attempts.length, 1);
      wait();
      assert.equal(connector.attempts.length, 2);
    });
  }

  it("a busy NSM of the enclave is a failure like others", () => {
    const { connector, wait } = setUp();
    const call = wait(true);
    connector.last.fail(new AttestationError("nsm-unavailable", "busy"));
    assert.equal(call.error, undefined);
  });

  it("waits for another attempt that is still under way", () => {
    const { connector, wait } = setUp(2);
    const call = wait();
    const [one, two] = connector.attempts;
    one?.fail(AWAY);
    assert.equal(call.error, undefined);
    const session = two?.succeed();
    assert.equal(call.live, session);
  });
});

describe("several sessions", () => {
  it("are made together and take calls by their load", () => {
    const { connector, wait } = setUp(2);
    wait();
    assert.equal(connector.attempts.length, 2);
    const sessions = connector.attempts.map((attempt) => attempt.succeed());
    for (let call = 0; call < 9; call += 1) wait();
    assert.deepEqual(
      sessions.map(({ openCalls }) => openCalls),
      [5, 5],
    );
  });

  it("are joined by another when all are full, and lose it to nobody", () => {
    const { connector, wait } = setUp();
    wait();
    connector.last.succeed((session) => {
      session.maxConcurrentCalls = 1;
    });
    const second = wait();
    assert.equal(second.live, undefined);
    assert.equal(connector.attempts.length, 2);
    const extra = connector.last.succeed();
    assert.equal(second.live, extra);
  });

  it("are not joined without end: calls then wait for room", () => {
    const { connector, source, wait } = setUp();
    const sessions: FakeSession[] = [];
    for (let call = 0; call < 9; call += 1) {
      wait();
      const session = connector.last.succeed((fake) => {
        fake.maxConcurrentCalls = 1;
      });
      sessions.push(session);
    }
    const late = wait();
    assert.equal(connector.attempts.length, 9);
    endCalls(sessions[4]!);
    source.callEnded();
    assert.equal(late.live, sessions[4]);
  });

  it("keep a call that waits for room although no other session can be made", () => {
    const { connector, source, wait, state } = setUp();
    wait();
    const session = connector.last.succeed((fake) => {
      fake.maxConcurrentCalls = 1;
    });
    session.maxConcurrentCalls = 2;
    const waiting = new Waiter();
    waiting.refuses.push(session);
    source.enqueue(waiting);
    connector.last.fail(AWAY);
    assert.equal(waiting.error, undefined);
    assert.equal(state(), State.READY);
    mock.timers.tick(120);
    const another = connector.last.succeed();
    assert.equal(waiting.live, another);
  });

  it("serve a call that waits for room when another ends", () => {
    const { connector, source, wait } = setUp();
    wait();
    const session = connector.last.succeed((fake) => {
      fake.maxConcurrentCalls = 1;
    });
    const waiting = wait();
    endCalls(session);
    source.callEnded();
    assert.equal(waiting.live, session);
  });

  it("make one for a call that has been on each", () => {
    const { connector, source, wait } = setUp();
    wait();
    const session = connector.last.succeed();
    const call = new Waiter();
    call.refuses.push(session);
    source.enqueue(call);
    assert.equal(connector.attempts.length, 2);
    assert.equal(call.live, undefined);
    const another = connector.last.succeed();
    assert.equal(call.live, another);
  });
});

describe("the replacement of a session", () => {
  it("is made at GOAWAY, and old calls go on", () => {
    const { connector, wait, state } = setUp();
    wait();
    const old = connector.last.succeed();
    old.drain();
    assert.equal(connector.attempts.length, 2);
    assert.equal(state(), State.CONNECTING);
    const next = connector.last.succeed();
    assert.equal(wait().live, next);
    assert.equal(old.openCalls, 1);
    assert.ok(old.isClosing);
    assert.ok(!old.isAborted);
  });

  it("is there before the old one goes", () => {
    const { connector, wait, state } = setUp();
    wait();
    const old = connector.last.succeed();
    old.age();
    assert.equal(state(), State.READY);
    assert.equal(wait().live, old);
    assert.ok(!old.isClosing);
    const next = connector.last.succeed();
    assert.ok(old.isClosing);
    assert.equal(wait().live, next);
  });

  it("is waited for when GOAWAY comes to a session that is due to be replaced", () => {
    const { connector, wait } = setUp();
    wait();
    const old = connector.last.succeed();
    old.age();
    assert.equal(wait().live, old);
    old.hasGoneAway = true;
    const call = wait();
    assert.equal(call.live, undefined);
    const next = connector.last.succeed();
    assert.equal(call.live, next);
  });

  it("is tried again while the old one takes calls, even after failed attestation", () => {
    const { connector, wait, state } = setUp();
    wait();
    const old = connector.last.succeed();
    old.age();
    connector.last.fail(WRONG_IMAGE);
    assert.equal(state(), State.READY);
    assert.equal(wait().live, old);
    mock.timers.tick(120);
    assert.equal(connector.attempts.length, 3);
    connector.last.fail(WRONG_IMAGE);
    // Too old at last: then, and only then, calls fail.
    old.maxAgeMs = 0;
    mock.timers.tick(1_000);
    const call = wait();
    connector.last.fail(WRONG_IMAGE);
    assert.equal(call.error, WRONG_IMAGE);
    assert.equal(state(), State.TRANSIENT_FAILURE);
  });

  it("is left for the next call when the channel is not in use", () => {
    const { connector, source, state } = setUp();
    source.fill();
    const session = connector.last.succeed();
    session.drain();
    assert.equal(connector.attempts.length, 1);
    assert.ok(session.isClosing);
    assert.equal(state(), State.IDLE);
  });

  it("is not waited for when there are sessions enough", () => {
    const { connector, wait } = setUp();
    wait();
    const first = connector.last.succeed((session) => {
      session.maxConcurrentCalls = 1;
    });
    wait();
    const extra = connector.last.succeed();
    first.age();
    assert.equal(connector.attempts.length, 2);
    assert.ok(first.isClosing);
    assert.ok(!extra.isClosing);
  });

  it("is made when one of several is lost while the channel is in use", () => {
    const { connector, wait } = setUp(2);
    wait();
    const [one, two] = connector.attempts;
    one!.succeed();
    two!.succeed().lose();
    assert.equal(connector.attempts.length, 3);
  });

  it("is not asked of a session that is only idle", () => {
    const { connector, wait } = setUp();
    wait();
    const idle = connector.last.succeed();
    endCalls(idle);
    idle.isFresh = false;
    const call = wait();
    assert.equal(connector.attempts.length, 2);
    assert.equal(call.live, undefined);
    const next = connector.last.succeed();
    assert.equal(call.live, next);
  });

  it("waits when sessions end again and again soon after they began", () => {
    const { connector, wait } = setUp();
    wait();
    connector.last.succeed().lose();
    const call = wait();
    assert.equal(connector.attempts.length, 2);
    connector.last.succeed().lose();
    const again = wait();
    assert.equal(connector.attempts.length, 2);
    assert.equal(call.error, undefined);
    assert.equal(again.error, undefined);
    mock.timers.tick(120);
    assert.equal(connector.attempts.length, 3);
    const session = connector.last.succeed();
    assert.equal(again.live, session);
  });
});

describe("a change of policy", () => {
  it("ends what is not admitted, sessions that drain included", () => {
    const { connector, source, wait } = setUp();
    wait();
    const old = connector.last.succeed();
    old.drain();
    const next = connector.last.succeed();
    source.reappraise((live) => live !== old);
    assert.ok(old.isAborted);
    assert.ok(!next.isAborted);
    source.reappraise(() => false);
    assert.ok(next.isAborted);
  });
});

describe("a closed source", () => {
  it("ends what waits, lets calls go on, and makes nothing more", () => {
    const { connector, source, wait, state } = setUp();
    wait();
    const session = connector.last.succeed((fake) => {
      fake.maxConcurrentCalls = 1;
    });
    const waiting = wait(true);
    const attempt = connector.last;
    source.close();
    assert.ok(attempt.isAbandoned);
    assert.equal((waiting.error as TransportError).code, "closed");
    assert.ok(session.isClosing);
    assert.equal(session.openCalls, 1);
    assert.equal(state(), State.SHUTDOWN);
    assert.equal((wait(true).error as TransportError).code, "closed");
    session.lose();
    mock.timers.tick(60_000);
    assert.equal(connector.attempts.length, 2);
    assert.equal(state(), State.SHUTDOWN);
  });
});

describe("those who watch the state", () => {
  it("are told once, when it is another", () => {
    const { connector, source } = setUp();
    const told: (Error | undefined)[] = [];
    source.connectivity.watch(State.IDLE, Infinity, (error) => told.push(error));
    source.fill();
    connector.last.succeed();
    assert.deepEqual(told, [undefined]);
  });

  it("are told on the next tick when it already is another", async () => {
    const { source } = setUp();
    await new Promise<void>((resolve, reject) => {
      source.connectivity.watch(State.READY, Infinity, (error) => {
        if (error === undefined) resolve();
        else reject(error);
      });
    });
  });

  it("are told of their deadline", () => {
    const { source } = setUp();
    const told: (Error | undefined)[] = [];
    source.connectivity.watch(State.IDLE, Date.now() + 1_000, (error) => told.push(error));
    mock.timers.tick(1_000);
    assert.match(String(told[0]), /Deadline passed/);
    source.fill();
    assert.equal(told.length, 1);
  });

  it("may watch again, and change the state, from their callbacks", () => {
    const { connector, source } = setUp();
    const states: State[] = [];
    const watch = (): void => {
      source.connectivity.watch(source.connectivity.state, Infinity, () => {
        states.push(source.connectivity.state);
        source.fill();
        watch();
      });
    };
    watch();
    source.fill();
    connector.last.fail(AWAY);
    mock.timers.tick(120);
    connector.last.succeed();
    assert.equal(states.at(-1), State.READY);
    assert.ok(states.length < 10);
  });
});
