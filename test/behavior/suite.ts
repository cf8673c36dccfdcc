/** One suite of gRPC behaviours, for every way between a stub and its handlers. */
import { after, before, describe } from "node:test";
import { beyondCases } from "./beyond-cases.ts";
import { bidiCases } from "./bidi-cases.ts";
import { clientStreamCases } from "./client-stream-cases.ts";
import { endingCases } from "./ending-cases.ts";
import type { Harness, SuiteOptions, Way } from "./harness.ts";
import { interceptorCases } from "./interceptor-cases.ts";
import { linkCases } from "./link-cases.ts";
import { loadCases } from "./load-cases.ts";
import { metadataCases } from "./metadata-cases.ts";
import { serverStreamCases } from "./server-stream-cases.ts";
import type { BehaviorClient } from "./service.ts";
import { unaryCases } from "./unary-cases.ts";

/** Runs every behaviour over one way, and expects the same of each. */
export function behaviorSuite(
  name: string,
  start: () => Promise<Harness>,
  { promises = { handlers: false }, light = false }: SuiteOptions = {},
): void {
  describe(name, { timeout: 120_000 }, () => {
    let harness: Harness;
    let stub: BehaviorClient;
    const way: Way = {
      get ledger() {
        return harness.ledger;
      },
      get links() {
        return harness.links;
      },
      get stub() {
        return stub;
      },
      client: (interceptors) => harness.client(interceptors),
    };
    before(async () => {
      harness = await start();
      stub = harness.client();
    });
    after(async () => {
      stub.close();
      await harness.close();
    });

    describe("unary calls", () => unaryCases(way));
    describe("metadata and trailers", () => metadataCases(way));
    describe("client streaming", () => clientStreamCases(way));
    describe("server streaming", () => serverStreamCases(way));
    describe("bidirectional streaming", () => bidiCases(way));
    describe("deadlines and cancellation", () => endingCases(way));
    if (!light) describe("load and back-pressure", () => loadCases(way));
    describe("interceptors and credentials", () => interceptorCases(way));
    describe("broken links", () => linkCases(way, promises));
    describe("beyond grpc-js", () => beyondCases(way, promises));
  });
}
