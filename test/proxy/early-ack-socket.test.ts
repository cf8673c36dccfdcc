import assert from "node:assert/strict";
import { createServer, connect, type Server, type Socket } from "node:net";
import { after, before, beforeEach, describe, it } from "node:test";
import { EarlyAckSocket } from "../../services/proxy/early-ack-socket.ts";
import { eventually } from "../support/http2-enclave.ts";

const MiB = 1024 * 1024;

let server: Server;
let peer: Socket;
let socket: Socket;
before(async () => {
  server = createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
});
after(() => server.close());
beforeEach(async () => {
  const bound = server.address();
  assert.ok(typeof bound === "object" && bound !== null);
  const accepted = new Promise<Socket>((resolve) => {
    server.once("connection", resolve);
  });
  socket = connect(bound.port, "127.0.0.1");
  peer = await accepted;
  peer.on("error", () => {}).pause();
});

/** An early-acknowledging end of the connection, with its limits. */
function early(holdBytes: number, pauseBytes = 256 * 1024): EarlyAckSocket {
  const duplex = new EarlyAckSocket(socket, { holdBytes: () => holdBytes, pauseBytes });
  duplex.on("error", () => {});
  return duplex;
}

async function written(duplex: EarlyAckSocket, bytes: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    duplex.write(Buffer.alloc(bytes), (error) => (error ? reject(error) : resolve()));
  });
}

async function aMoment(): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, 50);
  });
}

describe("an early-acknowledging socket", () => {
  it("acknowledges writes that the peer does not read", async () => {
    const duplex = early(64 * MiB);
    for (let round = 0; round < 32; round += 1) {
      await written(duplex, MiB);
    }
    assert.ok(duplex.queuedBytes > 16 * MiB);
    duplex.destroy(new Error("done"));
    peer.destroy();
  });

  it("holds acknowledgements beyond its limit until there is room", async () => {
    const duplex = early(24 * MiB);
    let acknowledged = 0;
    await written(duplex, 20 * MiB);
    duplex.cork();
    const held = [written(duplex, 10 * MiB), written(duplex, 10 * MiB)];
    duplex.uncork();
    for (const one of held) void one.then(() => (acknowledged += 1));
    await aMoment();
    assert.equal(acknowledged, 0);
    peer.resume();
    await Promise.all(held);
    duplex.destroy(new Error("done"));
    peer.destroy();
  });

  it("cuts off a peer for whom twice the limit waits", async () => {
    const duplex = early(8 * MiB);
    const failed = new Promise<Error>((resolve) => {
      duplex.once("error", resolve);
    });
    duplex.write(Buffer.alloc(40 * MiB));
    assert.match((await failed).message, /does not read/);
    assert.ok(socket.destroyed);
    peer.destroy();
  });

  it("says when half of the pause is left, and not before", async () => {
    const duplex = early(64 * MiB, MiB);
    const queued: number[] = [];
    duplex.onRoom = () => queued.push(duplex.queuedBytes);
    await written(duplex, 16 * MiB);
    assert.deepEqual(queued, []);
    peer.resume();
    await eventually(() => queued.length > 0);
    assert.ok(queued.every((bytes) => bytes <= MiB / 2));
    duplex.destroy(new Error("done"));
    peer.destroy();
  });

  it("delivers what it acknowledged although it is destroyed right after", async () => {
    const duplex = early(64 * MiB);
    const chunks = peer.toArray() as Promise<Buffer[]>;
    for (let round = 0; round < 8; round += 1) {
      await written(duplex, MiB);
    }
    duplex.destroy();
    assert.equal(Buffer.concat(await chunks).length, 8 * MiB);
    peer.destroy();
  });

  it("joins what was written in one turn into one write", async () => {
    const duplex = early(MiB);
    duplex.cork();
    duplex.write(Buffer.from("a"));
    duplex.write(Buffer.from("b"));
    duplex.write(Buffer.from("c"));
    duplex.uncork();
    const data = new Promise<Buffer>((resolve) => {
      peer.once("data", resolve);
    });
    peer.resume();
    assert.equal(String(await data), "abc");
    duplex.destroy();
    peer.destroy();
  });

  it("reads when it is told to, and passes the end and the close on", async () => {
    const duplex = early(MiB);
    const chunks: Buffer[] = [];
    let hasEnded = false;
    duplex.on("end", () => (hasEnded = true));
    duplex.on("data", (chunk: Buffer) => {
      if (chunks.push(chunk) === 1) duplex.pause();
    });
    peer.end(Buffer.alloc(4 * MiB, "x"));
    await aMoment();
    assert.deepEqual(chunks, []);
    duplex.resume();
    await eventually(() => chunks.length > 0);
    await aMoment();
    assert.ok(Buffer.concat(chunks).length < MiB && !hasEnded);
    duplex.resume();
    await eventually(() => hasEnded);
    assert.equal(Buffer.concat(chunks).length, 4 * MiB);
    duplex.destroy();
    await eventually(() => socket.destroyed);
    peer.destroy();
  });
});
