import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { CallCredentials, Metadata, status as Code } from "@grpc/grpc-js";
import type { Deadline, InterceptingListener, StatusObject } from "@grpc/grpc-js";

import { outcomeOf } from "../../services/client/status.ts";
import { FakeChannel, lastCall } from "../support/fake-channel.ts";

type Options = Parameters<CallCredentials["generateMetadata"]>[0];

function bearer(token: string, seen: Options[] = []): CallCredentials {
  return CallCredentials.createFromMetadataGenerator((options, callback) => {
    seen.push(options);
    const metadata = new Metadata();
    metadata.add("authorization", token);
    callback(null, metadata);
  });
}

function failing(error: unknown): CallCredentials {
  return CallCredentials.createFromMetadataGenerator((_options, callback) => {
    callback(error as Error);
  });
}

/** Starts a call with credentials of its own; resolves when the generator is through. */
async function start(
  channel: FakeChannel,
  credentials: CallCredentials | undefined,
  deadline: Deadline = Infinity,
) {
  const statuses: StatusObject[] = [];
  const listener: InterceptingListener = {
    onReceiveMetadata: () => {},
    onReceiveMessage: () => {},
    onReceiveStatus: (status) => {
      statuses.push(status);
    },
  };
  const call = channel.createCall("/pkg.Svc/Method", deadline, null, null, null);
  if (credentials !== undefined) call.setCredentials(credentials);
  const metadata = new Metadata();
  metadata.set("own", "1");
  call.start(metadata, listener);
  call.sendMessageWithContext({}, Buffer.from("request"));
  call.halfClose();
  await sleep(1);
  return { call, statuses };
}

describe("call credentials", () => {
  it("are asked with the method and the service, and join the sealed metadata", async () => {
    const channel = new FakeChannel();
    const session = channel.open();
    const seen: Options[] = [];
    await start(channel, bearer("token", seen));
    assert.deepEqual(seen, [
      { method_name: "/pkg.Svc/Method", service_url: "https://target/pkg.Svc" },
    ]);
    const fake = lastCall(session);
    const entries = fake.options.metadata.map(({ key, value }) => `${key}=${String(value)}`);
    assert.deepEqual(entries, ["own=1", "authorization=token", "user-agent=agent/1"]);
    assert.deepEqual(fake.messages, ["request"]);
    assert.ok(fake.isHalfClosed);
  });

  it("of the channel apply to every call, before the call's own", async () => {
    const channel = new FakeChannel({ callCredentials: bearer("channel") });
    const session = channel.open();
    await start(channel, undefined);
    const value = lastCall(session).options.metadata.find(({ key }) => key === "authorization");
    assert.equal(String(value?.value), "channel");
  });

  it("that give two authorizations end the call INTERNAL", async () => {
    const channel = new FakeChannel({ callCredentials: bearer("channel") });
    const session = channel.open();
    const { statuses } = await start(channel, bearer("call"));
    assert.equal(statuses[0]?.code, Code.INTERNAL);
    assert.equal(session.opened.length, 0);
  });

  it("that are empty cost nothing", async () => {
    const channel = new FakeChannel();
    const session = channel.open();
    const call = channel.createCall("/pkg.Svc/Method", Infinity, null, null, null);
    call.setCredentials(CallCredentials.createEmpty());
    call.start(new Metadata(), {
      onReceiveMetadata: () => {},
      onReceiveMessage: () => {},
      onReceiveStatus: () => {},
    });
    assert.equal(session.opened.length, 1);
  });

  const failures: [string, unknown, Code][] = [
    ["an error without a code", new Error("no token"), Code.UNKNOWN],
    [
      "a numeric code",
      Object.assign(new Error("no"), { code: Code.PERMISSION_DENIED }),
      Code.PERMISSION_DENIED,
    ],
    ["a code of the system", Object.assign(new Error("no"), { code: "ENOENT" }), Code.UNKNOWN],
    ["nothing", undefined, Code.UNKNOWN],
    ...[0, 3, 5, 6, 9, 10, 11, 15].map((code): [string, unknown, Code] => [
      `code ${code}`,
      Object.assign(new Error("no"), { code }),
      Code.INTERNAL,
    ]),
  ];
  for (const [what, error, code] of failures) {
    it(`that fail with ${what} end the call ${Code[code]}, unsealed`, async () => {
      const channel = new FakeChannel();
      const session = channel.open();
      const { statuses } = await start(channel, failing(error));
      assert.equal(statuses[0]?.code, code);
      assert.equal(outcomeOf(statuses[0]), "not-executed");
      assert.equal(session.opened.length, 0);
    });
  }

  it("that never answer end with the call's deadline", async () => {
    const channel = new FakeChannel();
    channel.open();
    const silent = CallCredentials.createFromMetadataGenerator(() => {});
    const { statuses } = await start(channel, silent, Date.now() + 20);
    while (statuses.length === 0) await sleep(5);
    assert.equal(statuses[0]?.code, Code.DEADLINE_EXCEEDED);
    assert.equal(outcomeOf(statuses[0]), "not-executed");
  });

  it("are not asked for a call that was cancelled before", async () => {
    const seen: Options[] = [];
    const channel = new FakeChannel({ callCredentials: bearer("token", seen) });
    const call = channel.createCall("/pkg.Svc/Method", Infinity, null, null, null);
    call.cancelWithStatus(Code.ABORTED, "enough");
    const statuses: StatusObject[] = [];
    call.start(new Metadata(), {
      onReceiveMetadata: () => {},
      onReceiveMessage: () => {},
      onReceiveStatus: (status) => {
        statuses.push(status);
      },
    });
    await sleep(1);
    assert.equal(statuses[0]?.code, Code.ABORTED);
    assert.deepEqual(seen, []);
  });

  it("that answer after a cancel start nothing", async () => {
    const channel = new FakeChannel();
    const session = channel.open();
    let answer: (() => void) | undefined;
    const slow = CallCredentials.createFromMetadataGenerator((_options, callback) => {
      answer = () => callback(null, new Metadata());
    });
    const { call, statuses } = await start(channel, slow);
    call.cancelWithStatus(Code.CANCELLED, "enough");
    answer?.();
    await sleep(1);
    assert.equal(statuses.length, 1);
    assert.equal(statuses[0]?.code, Code.CANCELLED);
    assert.equal(session.opened.length, 0);
  });
});
