import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";

import { Client, Metadata, credentials, status as Code } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";

import type { EnclaveCallEvents } from "../../channel/call-events.ts";
import type { EnclaveCall } from "../../channel/enclave-call.ts";
import { AttestedChannel } from "../../services/client/attested-channel.ts";
import type { AttestedChannelOptions } from "../../services/client/channel-options.ts";
import { codeOf, outcomeOf } from "../../services/client/status.ts";
import { PlayedEnclave, echo } from "../support/played-enclave.ts";

const asIs = (value: Buffer): Buffer => value;
/** The messages of the handshake that a host passes on before the first record. */
const HANDSHAKE_MESSAGES = 2;

let enclave: PlayedEnclave;
const open: AttestedChannel[] = [];

before(async () => {
  enclave = await PlayedEnclave.start();
});
after(() => enclave.stop());
afterEach(() => {
  for (const channel of open.splice(0)) channel.close();
  enclave.ledger.length = 0;
  enclave.onCall = echo;
  enclave.meddle = (message) => [message];
});

function channelOf(options: Partial<AttestedChannelOptions> = {}): AttestedChannel {
  const channel = new AttestedChannel(enclave.address, { policy: enclave.policy, ...options });
  open.push(channel);
  return channel;
}

interface Result {
  readonly error: ServiceError | null;
  readonly value: Buffer | undefined;
}

async function unary(
  channel: AttestedChannel,
  method = "/a.B/C",
  metadata = new Metadata(),
): Promise<Result> {
  const client = new Client("", credentials.createInsecure(), { channelOverride: channel });
  return new Promise((resolve) => {
    client.makeUnaryRequest(method, asIs, asIs, Buffer.from("x"), metadata, (error, value) => {
      resolve({ error, value });
    });
  });
}

/** A handler that never answers, and what the host does once the call is there. */
function stall(then: () => void): (call: EnclaveCall) => EnclaveCallEvents {
  return (call) => {
    call.start(false, performance.now());
    setImmediate(then);
    return { onMessage: () => {}, onHalfClose: () => {}, onCancel: () => call.release() };
  };
}

function forge(code: number, details: string): void {
  enclave.last.stream.emit("error", { code, details, metadata: new Metadata() });
}

describe("a host that forges outer statuses", () => {
  for (let code = 1; code <= 16; code += 1) {
    it(`makes a call UNAVAILABLE and unknown with ${Code[code]}, and it runs once`, async () => {
      enclave.onCall = stall(() => forge(code, "forged"));
      const { error } = await unary(channelOf());
      assert.equal(error?.code, Code.UNAVAILABLE);
      assert.equal(outcomeOf(error), "unknown");
      assert.equal(codeOf(error), "truncated");
      assert.match(error.details, new RegExp(`outside the seal: status ${code}, "forged"`));
      assert.deepEqual(error.metadata.get("grpc-retry-pushback-ms"), ["-1"]);
      assert.deepEqual(enclave.ledger, ["/a.B/C"]);
    });
  }

  it("cannot make a call succeed: an outer OK without a sealed END is an error", async () => {
    enclave.onCall = stall(() => enclave.last.stream.end());
    const { error, value } = await unary(channelOf());
    assert.equal(error?.code, Code.UNAVAILABLE);
    assert.equal(outcomeOf(error), "unknown");
    assert.equal(value, undefined);
  });

  it("changes nothing once the sealed END is there", async () => {
    enclave.onCall = (call) => {
      const events = echo(call);
      return {
        ...events,
        onHalfClose: () => {
          events.onHalfClose();
          setImmediate(() => setImmediate(() => forge(Code.DATA_LOSS, "forged")));
        },
      };
    };
    const { error, value } = await unary(channelOf());
    assert.equal(error, null);
    assert.equal(String(value), "x");
  });

  it("refuses the handshake: UNAVAILABLE, and nothing ran", async () => {
    enclave.meddle = () => {
      forge(Code.UNAUTHENTICATED, "forged");
      return [];
    };
    const { error } = await unary(channelOf());
    assert.equal(error?.code, Code.UNAVAILABLE);
    assert.equal(outcomeOf(error), "not-executed");
    assert.equal(codeOf(error), "unreachable");
    assert.match(error.details, /outside the seal: status 16, "forged"/);
  });

  it("cannot have a method repeated, unless that is declared idempotent", async () => {
    const services = [
      { c: { path: "/a.B/Get", options: { idempotency_level: "NO_SIDE_EFFECTS" } } },
    ];
    const channel = channelOf({ services });
    enclave.onCall = (call, header) =>
      enclave.ledger.length > 1 && header.method === "/a.B/Get"
        ? echo(call)
        : stall(() => forge(Code.UNAVAILABLE, "forged"))(call);
    const once = await unary(channel, "/a.B/Put");
    assert.equal(outcomeOf(once.error), "unknown");
    assert.deepEqual(enclave.ledger, ["/a.B/Put"]);
    enclave.ledger.length = 0;
    const again = await unary(channel, "/a.B/Get");
    assert.equal(again.error, null);
    assert.deepEqual(enclave.ledger, ["/a.B/Get", "/a.B/Get"]);
  });

  it("has an idempotent method sent three times at most", async () => {
    const services = [{ c: { path: "/a.B/Get", options: { idempotencyLevel: "IDEMPOTENT" } } }];
    enclave.onCall = stall(() => forge(Code.UNAVAILABLE, "forged"));
    const { error } = await unary(channelOf({ services }), "/a.B/Get");
    assert.equal(error?.code, Code.UNAVAILABLE);
    assert.equal(outcomeOf(error), "unknown");
    assert.equal(enclave.ledger.length, 3);
  });
});

describe("a host that meddles with records", () => {
  const attacks: [string, (message: Buffer) => Buffer[], Code, string][] = [
    [
      "changes a bit",
      (message) => {
        const changed = Buffer.from(message);
        changed[changed.length - 1]! ^= 1;
        return [changed];
      },
      Code.DATA_LOSS,
      "authentication-failed",
    ],
    [
      "cuts one short",
      (message) => [Buffer.concat([Buffer.from([0x1a, 20]), message.subarray(4, 24)])],
      Code.DATA_LOSS,
      "authentication-failed",
    ],
    ["sends what is no record", () => [Buffer.from("no record")], Code.UNAVAILABLE, "truncated"],
    [
      "sends a message of the handshake again",
      () => [Buffer.from([0x0a, 0])],
      Code.UNAVAILABLE,
      "truncated",
    ],
    ["sends nothing at all", () => [Buffer.alloc(0)], Code.UNAVAILABLE, "truncated"],
  ];
  for (const [what, attack, status, code] of attacks) {
    it(`and ${what} ends the call ${Code[status]}, unknown`, async () => {
      enclave.meddle = (message, index) =>
        index < HANDSHAKE_MESSAGES ? [message] : attack(message);
      const { error } = await unary(channelOf());
      assert.equal(error?.code, status);
      assert.equal(codeOf(error), code);
      assert.equal(outcomeOf(error), "unknown");
      if (code === "truncated") assert.match(error.details, /a message that is no record/);
      assert.deepEqual(enclave.ledger, ["/a.B/C"]);
    });
  }

  it("and repeats one ends the session: the next call gets another", async () => {
    enclave.meddle = (message, index) =>
      index < HANDSHAKE_MESSAGES ? [message] : [message, message];
    const channel = channelOf();
    const streams = enclave.streams.length;
    assert.equal((await unary(channel)).error, null);
    enclave.meddle = (message) => [message];
    assert.equal((await unary(channel)).error, null);
    assert.equal(enclave.streams.length, streams + 2);
  });

  it("and drops one does not get the one after it opened", async () => {
    enclave.meddle = (message, index) => (index === HANDSHAKE_MESSAGES ? [] : [message]);
    const channel = channelOf();
    const lost = unary(channel);
    while (enclave.ledger.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const { error } = await unary(channel);
    assert.equal(error?.code, Code.DATA_LOSS);
    assert.equal((await lost).error?.code, Code.DATA_LOSS);
    assert.equal(outcomeOf((await lost).error), "unknown");
  });
});

describe("a host that meddles with the handshake", () => {
  const attacks: [string, (message: Buffer) => Buffer[], Code, string][] = [
    ["garbage", () => [Buffer.from("garbage")], Code.INTERNAL, "malformed-handshake"],
    ["a record", () => [Buffer.from([0x1a, 1, 1])], Code.INTERNAL, "malformed-handshake"],
    ["the answer twice", (message) => [message, message], Code.INTERNAL, "malformed-handshake"],
  ];
  for (const [what, attack, status, code] of attacks) {
    it(`and sends ${what} ends the call ${Code[status]}, not-executed`, async () => {
      enclave.meddle = (message, index) => (index === 0 ? attack(message) : [message]);
      const { error } = await unary(channelOf());
      assert.equal(error?.code, status);
      assert.equal(codeOf(error), code);
      assert.equal(outcomeOf(error), "not-executed");
      assert.deepEqual(enclave.ledger, []);
    });
  }

  it("and plays back another handshake's evidence is refused", async () => {
    let kept: Buffer | undefined;
    enclave.meddle = (message, index) => {
      if (index === 0) kept = message;
      return [message];
    };
    assert.equal((await unary(channelOf())).error, null);
    enclave.meddle = (message, index) => [index === 0 ? (kept ?? message) : message];
    const { error } = await unary(channelOf());
    assert.equal(error?.code, Code.UNAUTHENTICATED);
    assert.equal(codeOf(error), "challenge-mismatch");
    assert.equal(outcomeOf(error), "not-executed");
  });
});

describe("what the host sees", () => {
  it("is no metadata of a call", async () => {
    const metadata = new Metadata();
    metadata.set("authorization", "secret");
    await unary(channelOf(), "/a.B/C", metadata);
    assert.deepEqual(enclave.last.metadata.get("authorization"), []);
  });

  it("is what the channel allows, and nothing else of a call", async () => {
    const metadata = new Metadata();
    metadata.set("x-route", "blue");
    metadata.set("authorization", "secret");
    const { value } = await unary(
      channelOf({ allowOuterMetadata: ["X-Route"] }),
      "/a.B/C",
      metadata,
    );
    assert.equal(String(value), "x");
    assert.deepEqual(enclave.last.metadata.get("x-route"), ["blue"]);
    assert.deepEqual(enclave.last.metadata.get("authorization"), []);
  });
});
