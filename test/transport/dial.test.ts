import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { text } from "node:stream/consumers";
import { parseAddress } from "../../transport/address.ts";
import { dial } from "../../transport/dial.ts";
import { listen } from "../../transport/listen.ts";
import { startMonitor } from "../support/vsock-monitor.ts";

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "transport-"));
});
after(() => rmSync(folder, { recursive: true }));

/** Answers each connection with what it sent, in capitals. */
function shout(socket: Socket): void {
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => socket.write(chunk.toString().toUpperCase()));
  socket.on("end", () => socket.end());
}

async function exchange(address: string): Promise<string> {
  const socket = await dial(parseAddress(address));
  socket.write("hello");
  const [chunk] = (await new Promise<Buffer[]>((resolve, reject) => {
    socket.once("data", (data: Buffer) => resolve([data])).once("error", reject);
  })) as [Buffer];
  socket.destroy();
  return chunk.toString();
}

/** A server that never answers, for as long as `use` runs. */
async function silent(path: string, use: () => Promise<void>): Promise<void> {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => sockets.push(socket));
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  await use();
  for (const socket of sockets) {
    socket.destroy();
  }
  server.close();
}

describe("dial and listen", () => {
  it("join over TCP, and say which port was bound", async () => {
    const listener = await listen(parseAddress("127.0.0.1:0"), shout);
    assert.ok(listener.address.kind === "tcp" && listener.address.port > 0);
    assert.equal(await exchange(`127.0.0.1:${listener.address.port}`), "HELLO");
    await listener.close();
  });

  it("join over a Unix socket, whose file has the mode asked for and goes away", async () => {
    const path = join(folder, "mode.sock");
    const mask = process.umask();
    const listener = await listen(parseAddress(`unix:${path}`), shout, { mode: 0o620 });
    assert.equal(process.umask(), mask);
    assert.equal(statSync(path).mode & 0o777, 0o620);
    assert.equal(await exchange(`unix:${path}`), "HELLO");
    await listener.close();
    assert.ok(!existsSync(path));
  });

  it("join through a monitor's socket, host to guest", async () => {
    const guest = join(folder, "guest.sock");
    const listener = await listen(parseAddress(`unix:${guest}`), shout);
    const monitor = await startMonitor(join(folder, "m.vsock"), { 5000: guest });
    assert.equal(await exchange(`vsock+uds:${join(folder, "m.vsock")}:5000`), "HELLO");
    assert.deepEqual(monitor.lines, ["CONNECT 5000\n"]);
    await monitor.close();
    await listener.close();
  });

  it("listen for a guest on the monitor's path with the port", async () => {
    const path = join(folder, "g.vsock");
    const listener = await listen(parseAddress(`vsock+uds:${path}:77`), shout);
    assert.equal(await exchange(`unix:${path}_77`), "HELLO");
    await listener.close();
  });

  it("stop listening at once, although a connection is open", async () => {
    const listener = await listen(parseAddress("127.0.0.1:0"), shout);
    const socket = await dial(listener.address);
    await listener.close();
    await assert.rejects(dial(listener.address), { code: "unreachable" });
    socket.end("still there");
    assert.equal(await text(socket), "STILL THERE");
  });
});

describe("dial", () => {
  it("names the address it cannot reach", async () => {
    const path = join(folder, "nobody.sock");
    await assert.rejects(dial(parseAddress(`unix:${path}`)), {
      name: "TransportError",
      code: "unreachable",
      message: /cannot reach unix:.*nobody\.sock: .*ENOENT/,
    });
  });

  it("gives up when the signal aborts, also before it started", async () => {
    await silent(join(folder, "s1.sock"), async () => {
      const address = parseAddress(`vsock+uds:${join(folder, "s1.sock")}:1`);
      const controller = new AbortController();
      const dialing = dial(address, { signal: controller.signal });
      setImmediate(() => controller.abort(new Error("enough")));
      await assert.rejects(dialing, { code: "closed", message: /given up/ });
      await assert.rejects(dial(address, { signal: AbortSignal.abort() }), { code: "closed" });
    });
  });

  it("gives up when a monitor does not answer in time", async () => {
    await silent(join(folder, "s2.sock"), async () => {
      const address = parseAddress(`vsock+uds:${join(folder, "s2.sock")}:1`);
      await assert.rejects(dial(address, { timeoutMs: 20 }), {
        code: "timeout",
        message: /vsock\+uds:.* did not answer within/,
      });
    });
  });

  it("says that nobody listens when a monitor closes without an answer", async () => {
    const monitor = await startMonitor(join(folder, "none.vsock"), {});
    await assert.rejects(dial(parseAddress(`vsock+uds:${join(folder, "none.vsock")}:9`)), {
      code: "closed",
      message: /nobody listens on port 9/,
    });
    await monitor.close();
  });

  for (const answer of ["NO 1\n", "OK\n", "OK x\n", "OK 1\r\n", `OK ${"1".repeat(40)}`]) {
    it(`refuses a monitor's answer ${JSON.stringify(answer.slice(0, 12))}`, async () => {
      const path = join(folder, "bad.vsock");
      const monitor = await startMonitor(path, {}, { answer });
      await assert.rejects(dial(parseAddress(`vsock+uds:${path}:9`)), {
        code: "unreachable",
        message: /answered/,
      });
      await monitor.close();
    });
  }

  it("reads nothing beyond the answer's line, however it is cut", async () => {
    const path = join(folder, "cut.vsock");
    for (const pieces of [
      ["OK 1073741824\nfirst ", "bytes"],
      ["O", "K 1", "\n", "first bytes"],
    ]) {
      const monitor = await startMonitor(path, {}, { pieces });
      const socket = await dial(parseAddress(`vsock+uds:${path}:9`));
      assert.equal(await text(socket), "first bytes");
      await monitor.close();
    }
  });

  it("refuses to dial any CID", async () => {
    await assert.rejects(dial(parseAddress("vsock:any:1")), { name: "RangeError" });
  });
});

describe("listen", () => {
  it("replaces a socket file that nobody answers on", async () => {
    const path = join(folder, "stale.sock");
    const left = createServer();
    await new Promise<void>((resolve) => {
      left.listen(path, resolve);
    });
    // What a killed process leaves: the file without its listener.
    const kept = join(folder, "kept.sock");
    const { linkSync, renameSync } = await import("node:fs");
    linkSync(path, kept);
    left.close();
    renameSync(kept, path);
    const listener = await listen(parseAddress(`unix:${path}`), shout);
    assert.equal(await exchange(`unix:${path}`), "HELLO");
    await listener.close();
  });

  it("leaves a live listener its socket", async () => {
    const path = join(folder, "live.sock");
    const listener = await listen(parseAddress(`unix:${path}`), shout);
    await assert.rejects(listen(parseAddress(`unix:${path}`), shout), {
      code: "unreachable",
      message: /another process listens there/,
    });
    assert.equal(await exchange(`unix:${path}`), "HELLO");
    await listener.close();
  });

  it("leaves a file that is no socket alone", async () => {
    const path = join(folder, "file");
    writeFileSync(path, "precious");
    chmodSync(path, 0o600);
    await assert.rejects(listen(parseAddress(`unix:${path}`), shout), {
      code: "unreachable",
      message: /is no socket/,
    });
    assert.ok(existsSync(path));
  });

  it("names the address it cannot bind", async () => {
    const listener = await listen(parseAddress("127.0.0.1:0"), shout);
    await assert.rejects(listen(listener.address, shout), {
      code: "unreachable",
      message: /cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/,
    });
    await listener.close();
  });

  it("refuses a mode that is none", async () => {
    const address = parseAddress(`unix:${join(folder, "m.sock")}`);
    await assert.rejects(listen(address, shout, { mode: 0o1000 }), { name: "RangeError" });
  });
});
