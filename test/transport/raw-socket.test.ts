import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { text } from "node:stream/consumers";
import type { Address } from "../../transport/address.ts";
import { AF_UNIX, loadPosix, type Posix } from "../../transport/posix.ts";
import { connectRaw, type Endpoint, listenRaw } from "../../transport/raw-socket.ts";

// The family is a Unix socket's or IPv4's instead of vsock's, which needs a guest: the calls, the
// transplant and the error paths are the same.
const address: Address = { kind: "vsock", cid: 3, port: 7 };
const onLinux = process.platform === "linux" ? false : "the calls are Linux's";
const yes = (): boolean => true;
const limits = { timeoutMs: 5000 };

let folder: string;
let servers: Server[] = [];
afterEach(() => {
  for (const server of servers) {
    server.close();
  }
  servers = [];
});
before(() => {
  folder = mkdtempSync(join(tmpdir(), "raw-"));
});
after(() => rmSync(folder, { recursive: true }));

function unixEndpoint(path: string): Endpoint {
  const sockaddr = new Uint8Array(2 + path.length + 1);
  sockaddr[0] = AF_UNIX;
  sockaddr.set(Buffer.from(path), 2);
  return { family: AF_UNIX, options: [], sockaddr };
}

function ipv4Endpoint(port: number): Endpoint {
  const sockaddr = new Uint8Array(16);
  sockaddr[0] = 2;
  new DataView(sockaddr.buffer).setUint16(2, port);
  sockaddr.set([127, 0, 0, 1], 4);
  return { family: 2, options: [], sockaddr };
}

const openDescriptors = (): number => readdirSync("/proc/self/fd").length;

async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

/** The real calls, some of them replaced. */
function posixWith(changes: Partial<Posix>): Posix {
  return { ...loadPosix(), ...changes };
}

function listenOn(posix: Posix, endpoint: Endpoint, onSocket = echo): Server {
  const server = listenRaw(posix, address, endpoint, 128, onSocket);
  servers.push(server);
  return server;
}

function echo(socket: Socket): void {
  socket.on("error", () => {});
  socket.pipe(socket);
}

describe("a raw socket", { skip: onLinux }, () => {
  it("becomes an ordinary server and an ordinary stream", async () => {
    const endpoint = unixEndpoint(join(folder, "echo"));
    const posix = loadPosix();
    listenOn(posix, endpoint);
    const socket = await connectRaw(posix, address, endpoint, yes, limits);
    socket.end("through the transplant");
    assert.equal(await text(socket), "through the transplant");
  });

  it("carries much more than the kernel holds, with back-pressure", async () => {
    const endpoint = unixEndpoint(join(folder, "much"));
    const posix = loadPosix();
    listenOn(posix, endpoint);
    const socket = await connectRaw(posix, address, endpoint, yes, limits);
    const sent = Buffer.alloc(4 * 1024 * 1024, "abc");
    assert.equal(socket.write(sent), false);
    assert.ok(socket.writableLength > 0);
    socket.end();
    const chunks = (await socket.toArray()) as Buffer[];
    assert.ok(Buffer.concat(chunks).equals(sent));
  });

  it("waits for a connection that is not ready at once", async () => {
    const server = createServer(echo).listen(0, "127.0.0.1");
    servers.push(server);
    await new Promise((resolve) => {
      server.once("listening", resolve);
    });
    const bound = server.address();
    assert.ok(typeof bound === "object" && bound !== null);
    let polls = 0;
    const real = loadPosix();
    const posix = posixWith({
      poll: (descriptors, count, timeoutMs) => {
        assert.equal(timeoutMs, 0);
        polls += 1;
        return polls <= 3 ? 0 : real.poll(descriptors, count, timeoutMs);
      },
    });
    const socket = await connectRaw(posix, address, ipv4Endpoint(bound.port), yes, limits);
    assert.equal(polls, 4);
    socket.end("late");
    assert.equal(await text(socket), "late");
  });

  it("says why a connection failed, at once or later", async () => {
    const posix = loadPosix();
    const nobody = unixEndpoint(join(folder, "nobody"));
    await assert.rejects(connectRaw(posix, address, nobody, yes, limits), {
      name: "TransportError",
      code: "unreachable",
      message: "[unreachable] cannot reach vsock:3:7: connect ENOENT",
    });
    const closed = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => {
      closed.once("listening", resolve);
    });
    const bound = closed.address();
    assert.ok(typeof bound === "object" && bound !== null);
    closed.close();
    await assert.rejects(connectRaw(posix, address, ipv4Endpoint(bound.port), yes, limits), {
      code: "unreachable",
      message: /connect ECONNREFUSED/,
    });
  });

  it("refuses a peer that is not the one asked for", async () => {
    const endpoint = unixEndpoint(join(folder, "other"));
    const posix = loadPosix();
    listenOn(posix, endpoint);
    await assert.rejects(
      connectRaw(posix, address, endpoint, () => false, limits),
      {
        code: "unreachable",
        message: /not who answered/,
      },
    );
  });

  it("ends with the clock or the signal when nothing ever answers", async () => {
    const posix = posixWith({ connect: () => -1, errno: () => 115, poll: () => 0 });
    const endpoint = unixEndpoint(join(folder, "never"));
    await assert.rejects(connectRaw(posix, address, endpoint, yes, { timeoutMs: 10 }), {
      code: "timeout",
    });
    const controller = new AbortController();
    const connecting = connectRaw(posix, address, endpoint, yes, { signal: controller.signal });
    setImmediate(() => controller.abort());
    await assert.rejects(connecting, { code: "closed" });
  });

  it("cannot listen where somebody does, and says so", () => {
    const endpoint = unixEndpoint(join(folder, "taken"));
    const posix = loadPosix();
    listenOn(posix, endpoint);
    assert.throws(() => listenRaw(posix, address, endpoint, 128, echo), {
      code: "unreachable",
      message: "[unreachable] cannot listen on vsock:3:7: bind EADDRINUSE",
    });
  });

  it("leaves no descriptor behind, whatever call fails", async () => {
    const endpoint = unixEndpoint(join(folder, "leaks"));
    const real = loadPosix();
    listenOn(real, endpoint, (socket) => socket.destroy());
    const option = { level: 1, option: 9, value: new Uint8Array(4) };
    const fail = (): number => -1;
    const errno = (): number => 24;
    await settled();
    const before = openDescriptors();
    const faults: [string, Partial<Posix>][] = [
      ["socket", { socket: fail, errno }],
      ["setsockopt", { setsockopt: fail, errno }],
      ["connect", { connect: fail, errno }],
      ["poll", { connect: fail, errno: () => 115, poll: fail }],
      ["getsockopt", { connect: fail, errno: () => 115, poll: () => 1, getsockopt: fail }],
      ["getpeername", { getpeername: fail, errno }],
      ["socketpair", { socketpair: fail, errno }],
      ["dup3", { dup3: fail, errno }],
    ];
    for (const [call, changes] of faults) {
      const attempt = connectRaw(
        posixWith(changes),
        address,
        { ...endpoint, options: [option] },
        yes,
        limits,
      );
      await assert.rejects(attempt, { code: "unreachable", message: new RegExp(`${call} E`) });
    }
    let sockets = 0;
    const listening: [string, Partial<Posix>][] = [
      ["socket", { socket: fail, errno }],
      ["bind", { bind: fail, errno }],
      ["listen", { listen: fail, errno }],
      [
        "socket",
        { errno, socket: (...of) => ((sockets += 1) % 2 === 1 ? real.socket(...of) : -1) },
      ],
      ["dup3", { dup3: fail, errno }],
    ];
    for (const [index, [call, changes]] of listening.entries()) {
      const own = unixEndpoint(join(folder, `leak${index}`));
      assert.throws(() => listenRaw(posixWith(changes), address, own, 128, echo), {
        code: "unreachable",
        message: new RegExp(`${call} E`),
      });
    }
    await settled();
    assert.equal(openDescriptors(), before);
  });

  it("leaves no descriptor behind after many connections", async () => {
    const path = join(folder, "many");
    const endpoint = unixEndpoint(path);
    const posix = loadPosix();
    listenOn(posix, endpoint);
    await settled();
    const before = openDescriptors();
    await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const socket =
          index % 2 === 0 ? await connectRaw(posix, address, endpoint, yes, limits) : connect(path);
        socket.end(String(index));
        assert.equal(await text(socket), String(index));
      }),
    );
    await settled();
    assert.equal(openDescriptors(), before);
  });
});
