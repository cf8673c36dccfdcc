import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { BehaviorService } from "#gen/behavior/v1/behavior_pb.js";
import type { EnclaveServer } from "../../services/enclave/server.ts";
import { request, response, settle } from "../support/dispatch.ts";
import { TestEnclave } from "../support/enclave.ts";
import type { RawSession } from "../support/raw-client.ts";

/** A server whose unary calls wait for `finish`. */
async function waiting(): Promise<{ enclave: TestEnclave; finish: () => void }> {
  const answers: (() => void)[] = [];
  const enclave = await TestEnclave.start((server: EnclaveServer) =>
    server.addService(BehaviorService, {
      unary: (_call, callback) => void answers.push(() => callback(null, response("late"))),
    }),
  );
  return { enclave, finish: () => answers.forEach((answer) => answer()) };
}

async function openCall(session: RawSession): Promise<ReturnType<RawSession["open"]>> {
  const opened = session.open("Unary");
  opened.call.sendMessage(request("x"));
  opened.call.halfClose();
  while (opened.call.id === 0) await settle();
  await settle();
  return opened;
}

describe("the shutdown of an enclave", () => {
  it("lets running calls finish, and takes no new sessions and no new calls", async () => {
    const { enclave, finish } = await waiting();
    const client = await enclave.dial();
    const session = await client.session({ verify: enclave.verify });
    const { answer } = await openCall(session);
    const idle = await enclave.session();
    const stopped = enclave.server.shutdown(5_000);
    assert.equal(await idle.closed, undefined);
    assert.equal((await idle.stream.ended).status, 0);
    await assert.rejects(enclave.dial().then((late) => late.stream().next()));
    await assert.rejects(enclave.server.listen("127.0.0.1:0"), /shut down/);
    assert.equal(session.draining, true);
    assert.equal((await client.stream().ended).status, 14);
    finish();
    const { end } = await answer;
    assert.equal(end.kind === "status" && end.status.code, 0);
    assert.equal(await session.closed, undefined);
    assert.equal((await session.stream.ended).status, 0);
    await stopped;
  });

  it("ends what runs beyond the grace with UNAVAILABLE, sealed, and the session in order", async () => {
    const { enclave } = await waiting();
    const session = await enclave.session();
    const { answer } = await openCall(session);
    await enclave.server.shutdown(50);
    const { end } = await answer;
    assert.equal(end.kind === "status" && end.status.code, 14);
    assert.equal(await session.closed, undefined);
  });

  it("is at once with close, also while it waits", async () => {
    const { enclave } = await waiting();
    const session = await enclave.session();
    await openCall(session);
    const stopped = enclave.server.shutdown(60_000);
    await settle();
    await enclave.server.close();
    await stopped;
  });

  it("ends handshakes that are under way", async () => {
    const { enclave } = await waiting();
    const client = await enclave.dial();
    const stream = client.stream();
    await new Promise((resolve) => client.connection.ping(resolve));
    await enclave.server.close();
    assert.equal((await stream.ended).status, 14);
  });

  it("does nothing to a server that never listened", async () => {
    const { enclave } = await waiting();
    await enclave.stop();
    await enclave.stop();
  });
});
