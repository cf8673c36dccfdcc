/** The client of a contender: runs the work that it is sent, any number of pieces at a time. */
import type { Client } from "@grpc/grpc-js";
import { runHandshakes } from "../traffic/handshakes.ts";
import { runStream } from "../traffic/stream.ts";
import { runUnary } from "../traffic/unary.ts";
import { ehbpCaller, grpcCaller, typedCaller, type UnaryCaller } from "../traffic/unary-caller.ts";
import { runUnread } from "../traffic/unread.ts";
import type { Done, Work } from "../traffic/work.ts";
import { runChild } from "./child.ts";
import { type Connection, connectOnce } from "./connect-once.ts";
import { type ClientOptions, createClient, createEchoClient } from "./create-client.ts";

/** Idle connections are made so many at a time. */
const CONNECTING = 32;

runChild(async (options: ClientOptions) => {
  // Made when it is needed: some loads make their own, and no other shall be there.
  let client: Client | undefined;
  let caller: UnaryCaller | undefined;
  const createCaller = async (): Promise<UnaryCaller> => {
    const { address, hpkeKey, typed } = options;
    if (hpkeKey !== undefined) return ehbpCaller(address, hpkeKey);
    if (typed) return typedCaller(createEchoClient(options));
    return grpcCaller((client ??= createClient(options)));
  };
  const stops = new Map<string, AbortController>();
  const idle: Connection[] = [];
  return {
    ready: {},
    commands: {
      run: async ({ work, key }: { work: Work; key: string }): Promise<Done> => {
        if (work.kind === "handshakes") return runHandshakes(options, work);
        const { signal } = replace(stops, key);
        if (work.kind === "unary") {
          caller ??= await createCaller();
          return runUnary(caller, work, signal);
        }
        client ??= createClient(options);
        if (work.kind === "stream") return runStream(client, work, signal);
        return runUnread(client, work, signal);
      },
      stop: (key: string): void => stops.get(key)?.abort(),
      /** Has so many idle connections from then on. */
      idle: async (count: number): Promise<void> => {
        while (idle.length < count) {
          const more = Math.min(CONNECTING, count - idle.length);
          idle.push(
            ...(await Promise.all(Array.from({ length: more }, () => connectOnce(options)))),
          );
        }
      },
    },
  };
});

function replace(stops: Map<string, AbortController>, key: string): AbortController {
  const stop = new AbortController();
  stops.set(key, stop);
  return stop;
}
