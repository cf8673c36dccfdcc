import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Upstream, type UpstreamCall } from "../../services/bridge/upstream.ts";
import type { UpstreamConnection } from "../../services/bridge/upstream-connection.ts";
import { parseAddress } from "../../transport/address.ts";
import { eventually, startRawServer } from "../support/http2-enclave.ts";

/** Frames of HTTP/2: an empty SETTINGS, some that allow so many streams, and GOAWAY up to its error code. */
const SETTINGS = "000000040000000000";
const settingsOf = (streams: number): string => `00000604000000000000030000000${streams}`;
const GOAWAY = "00000807000000000000000000";
const RESET_OF_FIRST_STREAM = "00000403000000000100000007";

const BROKEN_FRAME = "ffffff000000000001";

const isNode20 = process.versions.node.startsWith("20.");

/** Enough for a thousand dials without back-off; with it, the eighth comes after three seconds. */
const WHILE_MS = 400;
const MAX_DIALS = 7;

/** A call that is sent where there is room, and tells what it was given. */
class Call implements UpstreamCall {
  connection: UpstreamConnection | undefined;
  refusal: string | undefined;

  onConnection(connection: UpstreamConnection): void {
    this.connection = connection;
    try {
      connection.request({ ":method": "POST", ":path": "/" }).on("error", () => {});
    } catch {
      // It has just ended.
    }
  }

  onRefused(reason: string): void {
    this.refusal = reason;
  }

  get isSettled(): boolean {
    return this.connection !== undefined || this.refusal !== undefined;
  }
}

/** An application that says its bytes to whoever has greeted it, and an upstream that dials it. */
class Dialed {
  readonly sockets: readonly Socket[];
  readonly events: string[] = [];
  readonly upstream: Upstream;
  readonly #stop: () => Promise<void>;

  private constructor(address: string, sockets: Socket[], stop: () => Promise<void>) {
    this.sockets = sockets;
    this.#stop = stop;
    this.upstream = new Upstream(parseAddress(address), {
      onReached: () => this.events.push("reached"),
      onAway: (reason) => this.events.push(`away: ${reason}`),
    });
    this.upstream.start();
  }

  static async start(greet: (socket: Socket, number: number) => void): Promise<Dialed> {
    const sockets: Socket[] = [];
    const raw = await startRawServer((socket) => {
      const number = sockets.push(socket);
      socket.once("data", () => greet(socket, number));
    });
    return new Dialed(raw.address, sockets, async () => raw.close());
  }

  assign(): Call {
    const call = new Call();
    this.upstream.assign(call);
    return call;
  }

  async stop(): Promise<void> {
    this.upstream.close();
    await this.#stop();
  }
}

describe("the way to an application", { timeout: 30_000 }, () => {
  let dialed: Dialed | undefined;
  afterEach(async () => dialed?.stop());

  async function start(greet: (socket: Socket, number: number) => void): Promise<Dialed> {
    dialed = await Dialed.start(greet);
    return dialed;
  }

  for (const [what, behind] of [
    ["breaks HTTP/2", BROKEN_FRAME],
    ["leaves", `${GOAWAY}00000000`],
    ["fails", `${GOAWAY}00000002`],
  ] as const) {
    const skip = behind === BROKEN_FRAME && isNode20 && "Node 20 does not tell of it";
    it(`is none to one that ${what} right behind its greeting`, { skip }, async () => {
      const one = await start((socket) => socket.write(Buffer.from(SETTINGS + behind, "hex")));
      const { sockets, events } = one;
      const early = one.assign();
      await eventually(() => sockets.length >= 2);
      assert.equal(early.refusal, "the application in the enclave is away");
      await delay(WHILE_MS);
      assert.ok(sockets.length <= MAX_DIALS, `dialed ${sockets.length} times`);
      assert.equal(events.length, 1, events.join(", "));
      assert.match(events[0] ?? "", /^away: .* right behind its HTTP\/2 SETTINGS/);
    });
  }

  for (const [what, bytes] of [
    ["and closes", SETTINGS],
    ["takes no call and closes", settingsOf(0)],
  ] as const) {
    it(`is dialed with back-off, and called away, when one greets, ${what}`, async () => {
      const one = await start((socket) => socket.end(Buffer.from(bytes, "hex")));
      const stopMs = performance.now() + WHILE_MS;
      while (performance.now() < stopMs) {
        // There is always a call that waits.
        const call = one.assign();
        await eventually(() => call.isSettled);
        await delay(1);
      }
      assert.ok(one.sockets.length >= 2, "dialed once");
      assert.ok(one.sockets.length <= MAX_DIALS, `dialed ${one.sockets.length} times`);
      assert.match(one.events.join(), /away: /);
    });
  }

  it("is called away when one says GOAWAY soon after its greeting", async () => {
    const one = await start((socket) => socket.write(Buffer.from(SETTINGS, "hex")));
    await eventually(() => one.events.length === 1);
    one.sockets[0]?.write(Buffer.from(`${GOAWAY}00000000`, "hex"));
    await eventually(() => one.events.length === 3);
    assert.match(one.events.join(), /^reached,away: .*GOAWAY 0,reached$/);
  });

  it("is no way for a call while one takes none, and one once it does", async () => {
    const one = await start((socket) => socket.write(Buffer.from(settingsOf(0), "hex")));
    const early = one.assign();
    await eventually(() => early.isSettled);
    const stopMs = performance.now() + WHILE_MS;
    while (performance.now() < stopMs) {
      const call = one.assign();
      await eventually(() => call.isSettled);
      assert.equal(call.refusal, "the application takes no calls now");
      await delay(1);
    }
    assert.equal(early.refusal, "the application takes no calls now");
    assert.ok(one.sockets.length <= MAX_DIALS, `dialed ${one.sockets.length} times`);
    assert.deepEqual(one.events, ["reached"]);
    one.sockets[0]?.write(Buffer.from(settingsOf(1), "hex"));
    await eventually(() => one.assign().connection !== undefined);
  });

  it("waits for room where there is some, when further connections have none", async () => {
    const one = await start((socket, number) =>
      socket.write(Buffer.from(settingsOf(number === 1 ? 1 : 0), "hex")),
    );
    const first = one.assign();
    await eventually(() => first.isSettled);
    const second = one.assign();
    await delay(WHILE_MS);
    assert.equal(second.isSettled, false);
    assert.ok(one.sockets.length >= 2 && one.sockets.length <= MAX_DIALS, `${one.sockets.length}`);
    one.sockets[0]?.write(Buffer.from(RESET_OF_FIRST_STREAM, "hex"));
    await eventually(() => second.isSettled);
    assert.equal(second.connection, first.connection);
  });
});
