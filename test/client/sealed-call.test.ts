import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";

import { status as Code } from "@grpc/grpc-js";

import { ChannelError } from "../../channel/errors.ts";
import { CallLedger } from "../../services/client/call-ledger.ts";
import { SealedCall } from "../../services/client/sealed-call.ts";
import type { CallStatus } from "../../services/client/status.ts";
import { SessionSource } from "../../services/client/session-source.ts";
import { TransportError } from "../../transport/errors.ts";
import { FakeConnector } from "../support/fake-session.ts";
import type { FakeCall, FakeSession } from "../support/fake-session.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);
const trailers = [] as const;
const OK = { kind: "status", status: { code: 0, message: "", trailers } } as const;
const refused = (code: Code) =>
  ({ kind: "refused", status: { code, message: "refused", trailers }, elsewhere: true }) as const;
const lost = { kind: "lost", error: new ChannelError("truncated", "cut") } as const;

/** One call on sessions that the test plays. */
function setUp(options: { idempotent?: boolean; deadlineMs?: number; sessions?: number } = {}) {
  const connector = new FakeConnector();
  const source = new SessionSource(connector.connect, options.sessions ?? 1);
  const ledger = new CallLedger({ onHold: () => undefined, onEnded: () => source.callEnded() });
  const seen = {
    messages: [] as string[],
    headers: 0,
    statuses: [] as CallStatus[],
    get status(): CallStatus {
      assert.equal(this.statuses.length, 1);
      return this.statuses[0] as CallStatus;
    },
  };
  const create = (): SealedCall =>
    new SealedCall(
      source,
      ledger,
      {
        onHeaders: () => {
          seen.headers += 1;
        },
        onMessage: (message) => {
          seen.messages.push(Buffer.from(message).toString());
        },
        onStatus: (status) => {
          seen.statuses.push(status);
        },
      },
      {
        method: "/a.B/C",
        authority: "host",
        encoding: "",
        deadlineMs: options.deadlineMs ?? Infinity,
        idempotent: options.idempotent ?? false,
      },
    );
  const call = create();
  return { connector, source, ledger, seen, call, create };
}

/** A unary call, as a stub makes it. */
function unary(call: SealedCall, waitForReady = false): void {
  call.start([], waitForReady);
  call.read();
  call.send(bytes("request"), false);
  call.halfClose();
}

/** The only call of the session, whole. */
function whole(session: FakeSession): FakeCall {
  const [call, ...more] = session.calls;
  assert.ok(call !== undefined && more.length === 0);
  assert.deepEqual(call.messages, ["request"]);
  assert.equal(call.reads, 1);
  assert.ok(call.isHalfClosed);
  return call;
}

beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
afterEach(() => mock.timers.reset());

describe("a sealed call", () => {
  it("waits for the first session and then goes out whole", () => {
    const { connector, seen, call } = setUp();
    unary(call);
    assert.equal(connector.attempts.length, 1);
    const fake = whole(connector.last.succeed());
    fake.answer("reply");
    fake.end(OK);
    assert.deepEqual(seen.messages, ["reply"]);
    assert.equal(seen.status.code, Code.OK);
    assert.equal(seen.status.outcome, "executed");
  });

  it("goes out at once on a session that is there", () => {
    const { connector, source, call } = setUp();
    source.fill();
    const session = connector.last.succeed();
    unary(call);
    whole(session);
    assert.equal(connector.attempts.length, 1);
  });

  it("shows a sealed status whatever the outer one says", () => {
    const { connector, seen, call } = setUp();
    unary(call);
    const session = connector.last.succeed();
    session.outerError = new TransportError("closed", "outside the seal: status 0");
    const status = { code: Code.NOT_FOUND, message: "no such", trailers };
    whole(session).end({ kind: "status", status });
    assert.equal(seen.status.code, Code.NOT_FOUND);
    assert.equal(seen.status.details, "no such");
    assert.equal(seen.status.outcome, "executed");
  });

  it("quotes the outer status when its session is lost", () => {
    const { connector, seen, call } = setUp();
    unary(call);
    const session = connector.last.succeed();
    session.outerError = new TransportError("closed", 'outside the seal: status 0, "ran"');
    session.lose();
    assert.equal(seen.status.code, Code.UNAVAILABLE);
    assert.equal(seen.status.outcome, "unknown");
    assert.match(seen.status.details, /outside the seal: status 0, "ran"/);
  });

  it("ends not-executed when its header does not fit", () => {
    const { connector, seen, call } = setUp();
    unary(call);
    connector.last.succeed((session) => {
      session.open = () => {
        throw new RangeError("too long");
      };
    });
    assert.equal(seen.status.code, Code.RESOURCE_EXHAUSTED);
    assert.equal(seen.status.outcome, "not-executed");
  });

  it("ends, and leaves its session alone, when opening it fails as it should not", () => {
    const { connector, seen, call } = setUp();
    unary(call);
    const session = connector.last.succeed((opened) => {
      opened.open = () => {
        throw new TypeError("cannot read what is no entry");
      };
    });
    assert.equal(seen.status.code, Code.INTERNAL);
    assert.equal(seen.status.outcome, "not-executed");
    assert.equal(connector.attempts.length, 1);
    assert.ok(!session.isClosing);
  });

  it("goes elsewhere from a session that drains while it is opened", () => {
    const { connector, call } = setUp();
    unary(call);
    const first = connector.last.succeed((session) => {
      session.hasGoneAway = true;
      session.canOpen = () => !session.isClosing;
    });
    assert.equal(connector.attempts.length, 2);
    assert.ok(first.isClosing);
    whole(connector.last.succeed());
  });
});

describe("a call that is sent again", () => {
  for (const [what, end] of [
    ["that was not sealed", { kind: "unsealed" }],
    ["above GOAWAY's last", { kind: "goaway" }],
    ["refused for drain", refused(Code.UNAVAILABLE)],
    ["refused for delay", refused(Code.DEADLINE_EXCEEDED)],
  ] as const) {
    it(`goes, whole, to another session: one ${what}`, () => {
      const { connector, seen, call } = setUp();
      unary(call);
      const first = connector.last.succeed();
      const fake = whole(first);
      first.hasGoneAway = true;
      fake.end(end);
      assert.equal(connector.attempts.length, 2);
      const second = connector.last.succeed();
      whole(second).end(OK);
      assert.equal(seen.status.outcome, "executed");
      assert.equal(first.opened.length, 1);
    });
  }

  it("retires a session that refused it for delay, whose clock may be behind", () => {
    const { connector, call } = setUp();
    unary(call);
    const first = connector.last.succeed();
    whole(first).end(refused(Code.DEADLINE_EXCEEDED));
    assert.ok(first.isClosing);
  });

  it("retires such a session also when the call itself cannot be sent again", () => {
    const { connector, seen, call } = setUp();
    call.start([], false);
    call.send(new Uint8Array(256 * 1024 + 1), false);
    const session = connector.last.succeed();
    session.opened[0]?.end(refused(Code.DEADLINE_EXCEEDED));
    assert.ok(session.isClosing);
    assert.equal(seen.status.code, Code.DEADLINE_EXCEEDED);
    assert.equal(seen.status.outcome, "not-executed");
  });

  it("goes to a session that is open when refused for capacity, after 100 ms", () => {
    const { connector, seen, call } = setUp({ sessions: 2 });
    unary(call);
    const [one, two] = connector.attempts;
    const first = one!.succeed();
    const second = two!.succeed();
    whole(first).end(refused(Code.RESOURCE_EXHAUSTED));
    mock.timers.tick(99);
    assert.equal(second.opened.length, 0);
    mock.timers.tick(1);
    whole(second).end(OK);
    assert.equal(seen.status.outcome, "executed");
    assert.ok(!first.isClosing);
  });

  it("never opens a session when refused for capacity", () => {
    const { connector, seen, call } = setUp();
    unary(call);
    whole(connector.last.succeed()).end(refused(Code.RESOURCE_EXHAUSTED));
    mock.timers.tick(100);
    assert.equal(connector.attempts.length, 1);
    assert.equal(seen.status.code, Code.RESOURCE_EXHAUSTED);
    assert.equal(seen.status.outcome, "not-executed");
  });

  it("does not return to a session on which it was sealed", () => {
    const { connector, call } = setUp();
    unary(call);
    const first = connector.last.succeed();
    whole(first).end({ kind: "goaway" });
    // The session still says that it takes calls.
    assert.equal(first.opened.length, 1);
    assert.equal(connector.attempts.length, 2);
  });

  it("is sealed three times at most", () => {
    const { connector, seen, call } = setUp();
    unary(call);
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      assert.equal(connector.attempts.length, attempt);
      const session = connector.last.succeed();
      session.hasGoneAway = true;
      whole(session).end({ kind: "goaway" });
    }
    assert.equal(connector.attempts.length, 3);
    assert.equal(seen.status.code, Code.UNAVAILABLE);
    assert.equal(seen.status.outcome, "not-executed");
    assert.equal(seen.status.errorCode, "draining");
  });

  it("stays with the application when it was lost", () => {
    const { connector, seen, call } = setUp();
    unary(call);
    connector.last.succeed().lose();
    mock.timers.tick(60_000);
    assert.equal(connector.attempts.length, 1);
    assert.equal(seen.status.code, Code.UNAVAILABLE);
    assert.equal(seen.status.outcome, "unknown");
  });

  it("is repeated after a back-off when it was lost and its method is idempotent", () => {
    const { connector, seen, call } = setUp({ idempotent: true });
    unary(call);
    connector.last.succeed().lose();
    assert.equal(connector.attempts.length, 1);
    mock.timers.tick(120);
    assert.equal(connector.attempts.length, 2);
    whole(connector.last.succeed()).end(OK);
    assert.equal(seen.status.code, Code.OK);
    assert.equal(seen.status.outcome, "executed");
  });

  it("stays unknown once it was lost, whatever a later attempt says", () => {
    const { connector, seen, call } = setUp({ idempotent: true });
    unary(call);
    connector.last.succeed().lose();
    mock.timers.tick(120);
    const status = { code: Code.UNAVAILABLE, message: "away", trailers };
    whole(connector.last.succeed()).end({ kind: "refused", status, elsewhere: false });
    assert.equal(seen.status.outcome, "unknown");
  });

  it("stays unknown when no session can be made for the next attempt", () => {
    const { connector, seen, call } = setUp({ idempotent: true });
    unary(call);
    connector.last.succeed().lose();
    mock.timers.tick(120);
    connector.last.fail(new TransportError("unreachable", "away"));
    assert.equal(seen.status.code, Code.UNAVAILABLE);
    assert.equal(seen.status.outcome, "unknown");
  });

  it("is not repeated when its deadline comes before the back-off ends", () => {
    const deadlineMs = performance.now() + 50;
    const { connector, seen, call } = setUp({ idempotent: true, deadlineMs });
    unary(call);
    connector.last.succeed().lose();
    assert.equal(connector.attempts.length, 1);
    assert.equal(seen.status.outcome, "unknown");
  });

  for (const [what, answer] of [
    ["headers", (fake: FakeCall) => fake.answer()],
    ["a message", (fake: FakeCall) => fake.answer("part")],
  ] as const) {
    it(`is committed once the application has ${what}`, () => {
      const { connector, seen, call } = setUp({ idempotent: true });
      unary(call);
      const session = connector.last.succeed();
      answer(whole(session));
      session.lose();
      mock.timers.tick(1_000);
      assert.equal(connector.attempts.length, 1);
      assert.equal(seen.status.outcome, "unknown");
    });
  }

  it("is committed when its request is longer than 256 KiB", () => {
    const { connector, seen, call, ledger } = setUp();
    call.start([], false);
    call.send(new Uint8Array(256 * 1024), false);
    const session = connector.last.succeed();
    assert.equal(ledger.keptBytes, 256 * 1024);
    call.send(new Uint8Array(1), false);
    assert.equal(ledger.keptBytes, 0);
    session.hasGoneAway = true;
    session.opened[0]?.end({ kind: "goaway" });
    assert.equal(seen.status.code, Code.UNAVAILABLE);
    assert.equal(seen.status.outcome, "not-executed");
  });

  it("is committed when the channel keeps more than 16 MiB", () => {
    const { connector, seen, call, ledger } = setUp();
    ledger.keptBytes = 16 * 1024 * 1024;
    unary(call);
    const session = connector.last.succeed();
    assert.equal(ledger.keptBytes, 16 * 1024 * 1024);
    session.hasGoneAway = true;
    session.opened[0]?.end({ kind: "goaway" });
    assert.equal(seen.status.outcome, "not-executed");
  });

  it("gives back what it kept when it ends", () => {
    const { connector, call, ledger } = setUp();
    unary(call);
    const fake = whole(connector.last.succeed());
    assert.equal(ledger.keptBytes, "request".length);
    fake.end(OK);
    assert.equal(ledger.keptBytes, 0);
  });

  it("counts nothing as kept before it is started", () => {
    const { connector, call, ledger } = setUp();
    call.send(bytes("early"), false);
    assert.equal(ledger.keptBytes, 0);
    call.start([], false);
    assert.equal(ledger.keptBytes, "early".length);
    connector.last.succeed().opened[0]?.end(OK);
    assert.equal(ledger.keptBytes, 0);
  });

  it("sends what the application adds while it is put on a session, once and in order", () => {
    const { connector, call } = setUp();
    call.start([], false);
    call.send(bytes("one"), false, () => {
      call.send(bytes("two"), false);
      call.read();
      call.halfClose();
    });
    const session = connector.last.succeed();
    const [fake] = session.opened;
    assert.deepEqual(fake?.messages, ["one", "two"]);
    assert.equal(fake?.reads, 1);
    assert.ok(fake?.isHalfClosed);
  });
});

describe("what a call promises for each message", () => {
  it("is one callback, when the session has taken it", () => {
    const { connector, call } = setUp();
    let taken = 0;
    call.start([], false);
    call.send(bytes("one"), false, () => (taken += 1));
    assert.equal(taken, 0);
    const session = connector.last.succeed((fake) => {
      fake.takes = false;
    });
    assert.equal(taken, 0);
    session.opened[0]?.untaken.shift()?.();
    assert.equal(taken, 1);
    session.opened[0]?.end(OK);
    assert.equal(taken, 1);
  });

  it("is one callback, also when the call is sent again", () => {
    const { connector, call } = setUp();
    let taken = 0;
    call.start([], false);
    call.send(bytes("one"), false, () => (taken += 1));
    const first = connector.last.succeed();
    assert.equal(taken, 1);
    first.hasGoneAway = true;
    first.opened[0]?.end({ kind: "goaway" });
    const second = connector.last.succeed();
    assert.deepEqual(second.opened[0]?.messages, ["one"]);
    assert.equal(taken, 1);
  });

  it("is one callback, also when no session ever comes", () => {
    const { connector, call } = setUp();
    let taken = 0;
    call.start([], false);
    call.send(bytes("one"), false, () => (taken += 1));
    connector.last.fail(new TransportError("unreachable", "away"));
    assert.equal(taken, 1);
  });

  it("is one callback, also on a call that is over", () => {
    const { call } = setUp();
    call.start([], false);
    call.cancel(Code.CANCELLED, "enough");
    let taken = 0;
    call.send(bytes("late"), false, () => (taken += 1));
    assert.equal(taken, 1);
  });
});

describe("a call that is ended here", () => {
  it("is not-executed when it was still waiting", () => {
    const { connector, seen, call } = setUp();
    unary(call);
    call.cancel(Code.CANCELLED, "enough");
    assert.equal(seen.status.code, Code.CANCELLED);
    assert.equal(seen.status.details, "enough");
    assert.equal(seen.status.outcome, "not-executed");
    // It waits no more: the session that comes does not get it.
    assert.equal(connector.last.succeed().opened.length, 0);
  });

  it("is unknown once it was sealed, and cancels in the session", () => {
    const { connector, seen, call } = setUp();
    unary(call);
    const fake = whole(connector.last.succeed());
    call.cancel(Code.INTERNAL, "cannot be parsed");
    assert.ok(fake.isCancelled);
    assert.equal(seen.status.code, Code.INTERNAL);
    assert.equal(seen.status.outcome, "unknown");
  });

  it("is not-executed when it was on a session and not sealed", () => {
    const { connector, seen, call } = setUp();
    unary(call);
    const fake = whole(connector.last.succeed());
    fake.isSealed = false;
    call.cancel(Code.CANCELLED, "enough");
    assert.equal(seen.status.outcome, "not-executed");
  });

  it("ends as soon as it is started, when it was ended before", () => {
    const { connector, seen, call } = setUp();
    call.cancel(Code.CANCELLED, "enough");
    assert.equal(seen.statuses.length, 0);
    call.start([], false);
    assert.equal(seen.status.code, Code.CANCELLED);
    assert.equal(connector.attempts.length, 0);
  });

  it("brings nothing more, and ends once", () => {
    const { connector, seen, call } = setUp();
    unary(call);
    const fake = whole(connector.last.succeed());
    fake.cancel = () => undefined;
    call.cancel(Code.CANCELLED, "enough");
    call.cancel(Code.INTERNAL, "again");
    fake.answer("late");
    fake.end(lost);
    assert.equal(seen.headers, 0);
    assert.deepEqual(seen.messages, []);
    assert.equal(seen.status.code, Code.CANCELLED);
  });

  it("does not take the place of an end that was there first", () => {
    const { connector, seen, call } = setUp();
    unary(call);
    whole(connector.last.succeed()).end(OK);
    call.cancel(Code.CANCELLED, "late");
    assert.equal(seen.status.code, Code.OK);
  });
});

describe("the deadline of a call", () => {
  it("ends one that waits for a session, not-executed", () => {
    const { seen, call } = setUp({ deadlineMs: performance.now() + 1_000 });
    unary(call, true);
    mock.timers.tick(1_000);
    assert.equal(seen.status.code, Code.DEADLINE_EXCEEDED);
    assert.equal(seen.status.outcome, "not-executed");
  });

  it("ends one that has passed before it waits", () => {
    const { connector, seen, call } = setUp({ deadlineMs: performance.now() - 1 });
    unary(call);
    assert.equal(seen.status.code, Code.DEADLINE_EXCEEDED);
    assert.equal(connector.attempts.length, 0);
  });

  it("is the session's to watch once it has the call", () => {
    const deadlineMs = performance.now() + 1_000;
    const { connector, seen, call } = setUp({ deadlineMs });
    unary(call);
    const fake = whole(connector.last.succeed());
    assert.equal(fake.options.deadlineMs, deadlineMs);
    mock.timers.tick(2_000);
    assert.equal(seen.statuses.length, 0);
    fake.end({ kind: "deadline", sealed: true });
    assert.equal(seen.status.code, Code.DEADLINE_EXCEEDED);
    assert.equal(seen.status.outcome, "unknown");
  });

  it("is none when it is beyond what a timer can hold", () => {
    const { seen, call } = setUp({ deadlineMs: performance.now() + 2 ** 40 });
    unary(call);
    mock.timers.tick(1_000);
    assert.equal(seen.statuses.length, 0);
  });
});
