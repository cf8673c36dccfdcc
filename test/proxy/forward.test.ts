import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { startProxy, type Proxy } from "../../services/proxy/index.ts";
import {
  ConnectClient,
  type ConnectHandler,
  type ConnectServer,
  echo,
  outcome,
  startConnectServer,
} from "../support/connect-service.ts";
import { type Monitor, startMonitor } from "../support/vsock-monitor.ts";

let folder: string;
let handler: ConnectHandler = echo;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "proxy-"));
});
after(() => rmSync(folder, { recursive: true }));

for (const hop of ["tcp", "unix", "hybrid"] as const) {
  describe(`the proxy in front of an enclave on ${hop}`, () => {
    let enclave: ConnectServer;
    let monitor: Monitor | undefined;
    let proxy: Proxy;
    let client: ConnectClient;

    before(async () => {
      const backs = {
        hybrid: "unix:/guest.sock",
        tcp: "127.0.0.1:0",
        unix: "unix:/enclave.sock",
      };
      const address = backs[hop].replace("unix:", `unix:${folder}`);
      enclave = await startConnectServer((call) => handler(call), address);
      let target = enclave.address;
      if (hop === "hybrid") {
        monitor = await startMonitor(`${folder}/m.vsock`, { 5000: `${folder}/guest.sock` });
        target = `vsock+uds:${folder}/m.vsock:5000`;
      }
      const front = hop === "unix" ? `unix:${folder}/front.sock` : "127.0.0.1:0";
      proxy = await startProxy({ enclave: target, listen: front });
      client = new ConnectClient(proxy.address);
    });
    afterEach(() => {
      handler = echo;
    });
    after(async () => {
      client.close();
      await proxy.close(0);
      enclave.stop();
      await monitor?.close();
    });

    it("forwards messages both ways, in order", async () => {
      const call = client.open();
      const result = outcome(call);
      const sent = Array.from({ length: 200 }, (_, index) => Buffer.alloc(index * 37, index));
      for (const message of sent) {
        call.write(message);
      }
      call.end();
      const { messages, status } = await result;
      assert.equal(status.code, grpc.status.OK);
      assert.deepEqual(messages, sent);
    });

    it("forwards a large message", async () => {
      const call = client.open();
      const result = outcome(call);
      const sent = Buffer.alloc(3 * 1024 * 1024, "sealed");
      call.write(sent);
      call.end();
      const { messages, status } = await result;
      assert.equal(status.code, grpc.status.OK, status.details);
      assert.ok(messages[0]?.equals(sent));
    });

    it("forwards a status and nothing else", async () => {
      handler = (call) => call.emit("error", { code: 7, details: "no" });
      const { metadata, status } = await outcome(client.open());
      assert.equal(metadata, undefined);
      assert.equal(status.code, 7);
      assert.equal(status.details, "no");
    });

    it("forwards an answer whose header block and first bytes come together", async () => {
      handler = (call) => {
        for (let index = 0; index < 20; index += 1) {
          call.write(Buffer.alloc(1000, index));
        }
        call.end();
      };
      const { messages, status } = await outcome(client.open());
      assert.equal(status.code, grpc.status.OK, status.details);
      assert.equal(messages.length, 20);
    });

    it("forwards big metadata both ways", async () => {
      handler = (call) => {
        call.sendMetadata(call.metadata.clone());
        call.end();
      };
      const metadata = new grpc.Metadata();
      for (let index = 0; index < 60; index += 1) {
        metadata.set(`x-${index}`, "v".repeat(300));
      }
      const { metadata: received, status } = await outcome(client.open(undefined, metadata));
      assert.equal(status.code, grpc.status.OK, status.details);
      assert.deepEqual(received?.get("x-59"), ["v".repeat(300)]);
    });

    it("tells the enclave of a cancelled call", async () => {
      const cancelled = new Promise<void>((resolve) => {
        handler = (call) => {
          call.on("error", () => {}).on("cancelled", () => resolve());
          call.sendMetadata(new grpc.Metadata());
        };
      });
      const call = client.open();
      const result = outcome(call);
      call.once("metadata", () => call.cancel());
      assert.equal((await result).status.code, grpc.status.CANCELLED);
      await cancelled;
    });

    it("forwards metadata, status, text and trailers", async () => {
      handler = (call) => {
        const answer = new grpc.Metadata();
        answer.set("x-seen", call.metadata.get("x-asked").join("|"));
        answer.set("x-seen-bin", call.metadata.get("x-bin")[0] ?? "");
        call.sendMetadata(answer);
        const trailers = new grpc.Metadata();
        trailers.add("x-last", "one");
        trailers.add("x-last", "two");
        call.emit("error", { code: 9, details: "nicht möglich: 100 %", metadata: trailers });
      };
      const metadata = new grpc.Metadata();
      metadata.add("x-asked", "a");
      metadata.add("x-asked", "b");
      metadata.add("x-bin", Buffer.of(0, 255, 1));
      const { metadata: received, status } = await outcome(client.open(undefined, metadata));
      assert.deepEqual(received?.get("x-seen"), ["a, b"]);
      assert.deepEqual(received?.get("x-seen-bin"), [Buffer.of(0, 255, 1)]);
      assert.equal(status.code, 9, status.details);
      assert.equal(status.details, "nicht möglich: 100 %");
      assert.deepEqual(status.metadata.get("x-last"), ["one, two"]);
    });
  });
}
