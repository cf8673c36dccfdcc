/** What a user puts between stub and channel: interceptors and call credentials. */
import assert from "node:assert/strict";
import { it } from "./case.ts";
import { setImmediate as turn } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";
import { chat, unary } from "./calls.ts";
import type { Way } from "./harness.ts";

/** Adds metadata, and changes text both ways. */
const changing: grpc.Interceptor = (options, nextCall) =>
  new grpc.InterceptingCall(nextCall(options), {
    start(metadata, _listener, next) {
      metadata.set("intercepted", "yes");
      next(metadata, {
        onReceiveMessage(message: { payload: { text: string } }, deliver) {
          message.payload.text += " and back";
          deliver(message);
        },
      });
    },
    sendMessage(message: { payload: object }, next) {
      next({ payload: { ...message.payload, text: "changed on its way" } });
    },
  });

/** Starts a turn of the event loop later, as one that asks for a token does. */
const late: grpc.Interceptor = (options, nextCall) =>
  new grpc.InterceptingCall(nextCall(options), {
    start(metadata, listener, next) {
      void turn().then(() => {
        metadata.set("intercepted", "late");
        next(metadata, listener);
      });
    },
  });

/** Answers for the server with its own status. */
const judging: grpc.Interceptor = (options, nextCall) =>
  new grpc.InterceptingCall(nextCall(options), {
    start(metadata, _listener, next) {
      next(metadata, {
        onReceiveStatus(status, deliver) {
          deliver({ ...status, code: grpc.status.UNAUTHENTICATED, details: "judged" });
        },
      });
    },
  });

/** On the server of every harness: refuses, or marks what comes in and goes out. */
export const serverInterceptor: grpc.ServerInterceptor = (method, call) =>
  new grpc.ServerInterceptingCall(call, {
    start(next) {
      next({
        onReceiveMetadata(metadata, deliver) {
          if (metadata.get("unwelcome").length > 0) {
            const code = grpc.status.PERMISSION_DENIED;
            call.sendStatus({ code, details: "not welcome", metadata: null });
            return;
          }
          metadata.set("to-method", method.path);
          deliver(metadata);
        },
      });
    },
    sendMetadata(metadata, next) {
      metadata.set("from-method", method.path);
      next(metadata);
    },
  });

export function interceptorCases(way: Way): void {
  it("lets an interceptor change metadata and messages", async () => {
    const client = way.client([changing]);
    const { id, observed } = unary(client, { action: "bare" }, { text: "original" });
    assert.equal((await observed).messages[0]?.text, "changed on its way and back");
    assert.deepEqual((await way.ledger.call(id)).metadata.get("intercepted"), ["yes"]);
    client.close();
  });

  it("lets an interceptor change the messages of a stream", async () => {
    const client = way.client([changing]);
    const { call, observed } = chat(client, { action: "echo" });
    call.write({ payload: { text: "original" } });
    call.end();
    assert.equal((await observed).messages[0]?.text, "changed on its way and back");
    client.close();
  });

  it("waits for an interceptor that starts late", async () => {
    const client = way.client([late]);
    const { id, observed } = unary(client, { action: "bare" }, { text: "kept" });
    assert.equal((await observed).messages[0]?.text, "kept");
    assert.deepEqual((await way.ledger.call(id)).metadata.get("intercepted"), ["late"]);
    client.close();
  });

  it("waits for an interceptor that starts a stream late", async () => {
    const client = way.client([late]);
    const { call, observed } = chat(client, { action: "echo" });
    for (let number = 0; number < 40; number++) call.write({ payload: { number } });
    call.end();
    assert.equal((await observed).messages.length, 40);
    client.close();
  });

  it("lets an interceptor change the status", async () => {
    const client = way.client();
    const ask = { action: "bare", interceptors: [judging] };
    const { status } = await unary(client, ask).observed;
    assert.equal(status.code, grpc.status.UNAUTHENTICATED);
    assert.equal(status.details, "judged");
    client.close();
  });

  it("lets an interceptor of the server change metadata both ways", async () => {
    const { id, observed } = unary(way.stub, { action: "bare" });
    const { headers } = await observed;
    assert.deepEqual(headers?.get("from-method"), ["/behavior.v1.BehaviorService/Unary"]);
    const { metadata } = await way.ledger.call(id);
    assert.deepEqual(metadata.get("to-method"), ["/behavior.v1.BehaviorService/Unary"]);
  });

  it("lets an interceptor of the server refuse a call, and runs nothing", async () => {
    const metadata = new grpc.Metadata();
    metadata.set("unwelcome", "yes");
    for (const start of [unary, chat]) {
      const { id, observed } = start(way.stub, { action: "echo", metadata });
      const { status } = await observed;
      assert.equal(status.code, grpc.status.PERMISSION_DENIED);
      assert.equal(status.details, "not welcome");
      assert.equal(way.ledger.runs(id).length, 0);
    }
  });

  it("adds what call credentials give, and tells them the service", async () => {
    let url = "";
    const credentials = grpc.credentials.createFromMetadataGenerator((params, done) => {
      url = params.service_url;
      const metadata = new grpc.Metadata();
      metadata.set("authorization", "Bearer of good news");
      setImmediate(done, null, metadata);
    });
    const { id, observed } = unary(way.stub, { action: "bare", credentials });
    assert.equal((await observed).status.code, grpc.status.OK);
    const { metadata } = await way.ledger.call(id);
    assert.deepEqual(metadata.get("authorization"), ["Bearer of good news"]);
    assert.match(url, /^https:\/\/.*\/behavior\.v1\.BehaviorService$/);
  });

  it("fails a call whose credentials fail, and runs nothing", async () => {
    const credentials = grpc.credentials.createFromMetadataGenerator((_params, done) => {
      done(Object.assign(new Error("no token"), { code: grpc.status.PERMISSION_DENIED }));
    });
    const { id, observed } = unary(way.stub, { action: "bare", credentials });
    assert.equal((await observed).status.code, grpc.status.PERMISSION_DENIED);
    assert.equal(way.ledger.runs(id).length, 0);
  });
}
