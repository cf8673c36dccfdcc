/**
 * The load balancers of deploy/, each with its very file, between processes: sealed sessions through it,
 * and hosts behind it that drain or lose their enclave. Run by `npm run test:interop`.
 */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { after, before, describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { status } from "@grpc/grpc-js";
import { TestService } from "#gen/grpc/testing/test_pb.js";
import {
  type AttestedChannel,
  type CallError,
  type Client,
  createClient,
} from "../../services/client/index.ts";
import { noOpenssl } from "../support/self-signed.ts";
import { Front, frontKinds, type InstalledFronts } from "./front.ts";

const found = process.env["SEALRPC_INTEROP"];
if (found === undefined) throw new Error("run this by npm run test:interop");
const installed = JSON.parse(found) as InstalledFronts;

const KIB = 1024;
const PART = 128 * KIB;

for (const kind of frontKinds(installed)) {
  const skip = kind.absent ?? noOpenssl;
  describe(`${kind.name} by deploy/${kind.file}`, { skip, timeout: 120_000 }, () => {
    let front: Front;
    before(async () => {
      front = await Front.start(kind, installed);
    });
    after(async (context) => {
      if ("passed" in context && context.passed === false) console.error(front?.output);
      await front?.close();
    });

    /** Lets a client work on a channel of its own. */
    async function asClient<Result>(
      work: (client: Client<typeof TestService>) => Promise<Result>,
    ): Promise<Result> {
      const channel = front.channel();
      try {
        return await work(createClient(TestService, channel));
      } finally {
        channel.close();
      }
    }

    /** What one call each of new clients, one after the other, ended with. */
    async function statuses(clients: number): Promise<readonly number[]> {
      const codes: number[] = [];
      for (let index = 0; index < clients; index += 1) {
        const code = asClient((client) => client.emptyCall({}, { timeoutMs: 20_000 })).then(
          () => status.OK,
          (error: CallError) => error.code,
        );
        codes.push(await code);
      }
      return codes;
    }

    it("carries many calls of several clients", async () => {
      const payload = { body: new Uint8Array(100) };
      const calls = async (client: Client<typeof TestService>): Promise<void> => {
        const one = () => client.unaryCall({ responseSize: 100, payload }, { timeoutMs: 20_000 });
        const answers = await Promise.all(Array.from({ length: 250 }, one));
        for (const answer of answers) assert.equal(answer.payload?.body.length, 100);
      };
      await Promise.all(Array.from({ length: 4 }, () => asClient(calls)));
    });

    it("carries 8 MiB each way at once", async () => {
      await asClient(async (client) => {
        const parts = Array.from({ length: 64 }, () => ({
          payload: { body: new Uint8Array(PART) },
          responseParameters: [{ size: PART }],
        }));
        let bytes = 0;
        for await (const { payload } of client.fullDuplexCall(parts)) {
          bytes += payload?.body.length ?? 0;
        }
        assert.equal(bytes, 64 * PART);
      });
    });

    it("loses no call when a host drains", async () => {
      const calls = Array.from({ length: 4 }, () => new HeldCall(front.channel()));
      for (const call of calls) await call.begun();
      const [host] = front.hosts;
      const stopped = host?.stop("SIGTERM");
      await host?.says(/draining/);
      for (const call of calls) await call.end();
      assert.equal((await stopped)?.status, 0);
      assert.deepEqual(await statuses(6), Array(6).fill(status.OK));
    });

    const lost = kind.asksForHealth ? "leaves a host" : "goes on sending to a host";
    it(`${lost} that has lost its enclave, and keeps a session that is silent meanwhile`, async ({
      signal,
    }) => {
      const silent = new HeldCall(front.channel());
      await silent.begun();
      await front.startHost(0, "unix:/nowhere");
      await delay(3000);
      const expected = new Set(kind.asksForHealth ? [status.OK] : [status.OK, status.UNAVAILABLE]);
      // Until it has asked the host, or has forgotten that it could not connect.
      let seen = new Set<number>();
      while (!signal.aborted && !isDeepStrictEqual(seen, expected)) {
        seen = new Set(await statuses(8));
      }
      await silent.end();
    });
  });
}

/** A call that has begun, and ends when it is told to. */
class HeldCall {
  readonly #channel: AttestedChannel;
  readonly #sizes: AsyncIterator<{ readonly payload?: { readonly body: Uint8Array } | undefined }>;
  #release = (): void => {};

  constructor(channel: AttestedChannel) {
    this.#channel = channel;
    const released = new Promise<void>((resolve) => (this.#release = resolve));
    async function* requests() {
      yield { responseParameters: [{ size: 1 }] };
      await released;
      yield { responseParameters: [{ size: 2 }] };
    }
    const answers = createClient(TestService, channel).fullDuplexCall(requests());
    this.#sizes = answers[Symbol.asyncIterator]();
  }

  async begun(): Promise<void> {
    assert.equal(await this.#next(), 1);
  }

  async end(): Promise<void> {
    this.#release();
    assert.equal(await this.#next(), 2);
    assert.equal(await this.#next(), undefined);
    this.#channel.close();
  }

  async #next(): Promise<number | undefined> {
    const next = await this.#sizes.next();
    return next.done === true ? undefined : next.value.payload?.body.length;
  }
}
