import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Client, credentials, status as Code, type ServiceError } from "@grpc/grpc-js";
import {
  AttestedChannel,
  codeOf,
  outcomeOf,
  type PolicyOptions,
} from "../../services/client/index.ts";
import { RunningProgram } from "../support/processes.ts";
import { attacks } from "./attacks.ts";
import { idempotency, ledgerService } from "./ledger-service.ts";

interface Ended {
  readonly code: Code;
  readonly errorCode: string | undefined;
  readonly outcome: string | undefined;
  readonly details: string;
}

/** What the client must see of a call under each attack, and how often its handler may have run. */
interface Expected {
  readonly code: Code;
  readonly errorCode: string | undefined;
  readonly outcome: string | undefined;
  readonly ran: number;
}

const OK: Expected = { code: Code.OK, errorCode: undefined, outcome: undefined, ran: 1 };
const TRUNCATED = { code: Code.UNAVAILABLE, errorCode: "truncated", outcome: "unknown" } as const;
const FORGED = {
  code: Code.DATA_LOSS,
  errorCode: "authentication-failed",
  outcome: "unknown",
} as const;
const NOT_EXECUTED = { outcome: "not-executed", ran: 0 } as const;

const EXPECTED: Readonly<Record<string, Expected>> = {
  nothing: OK,
  "flip a request": { ...TRUNCATED, ran: 0 },
  "flip a response": { ...FORGED, ran: 1 },
  "flip the finish": { code: Code.UNAVAILABLE, errorCode: "unreachable", ...NOT_EXECUTED },
  "flip the finish reply": {
    code: Code.DATA_LOSS,
    errorCode: "authentication-failed",
    ...NOT_EXECUTED,
  },
  "repeat a response": OK,
  "cut a record short": { ...FORGED, ran: 1 },
  "cut before the request": { ...TRUNCATED, ran: 0 },
  "cut behind the request": { ...TRUNCATED, ran: 1 },
  "refuse what was delivered": { ...TRUNCATED, ran: 1 },
  "send GOAWAY for what was delivered": { ...TRUNCATED, ran: 1 },
  "answer OK itself": { ...TRUNCATED, ran: 0 },
  "answer UNAUTHENTICATED itself": { ...TRUNCATED, ran: 0 },
  "answer RESOURCE_EXHAUSTED to the hello": {
    code: Code.UNAVAILABLE,
    errorCode: "unreachable",
    ...NOT_EXECUTED,
  },
  "answer OK to the hello": { code: Code.UNAVAILABLE, errorCode: "unreachable", ...NOT_EXECUTED },
  "answer nothing to the hello": {
    code: Code.UNAVAILABLE,
    errorCode: "handshake-timeout",
    ...NOT_EXECUTED,
  },
  "answer garbage to the hello": {
    code: Code.INTERNAL,
    errorCode: "malformed-handshake",
    ...NOT_EXECUTED,
  },
  "change the parameters": {
    code: Code.UNAUTHENTICATED,
    errorCode: "binding-mismatch",
    ...NOT_EXECUTED,
  },
  "replay the whole session": OK,
  "send a record beyond all limits": { ...TRUNCATED, ran: 1 },
};

let folder: string;
let policy: PolicyOptions;
let enclave: RunningProgram;
let hosts = 0;
const path = (name: string): string => join(folder, name);

async function startEnclave(name: string): Promise<[RunningProgram, PolicyOptions]> {
  const args = [`unix:${path(name)}`];
  const program = new RunningProgram("test/hostile/ledger-enclave.js", { args });
  const [, json = ""] = await program.says(/LISTENING (.*)/);
  return [program, JSON.parse(json) as PolicyOptions];
}

/** Runs `body` with a client whose host carries out `attack`. */
async function underAttack(
  attack: string,
  body: (client: Client, channel: AttestedChannel) => Promise<void>,
  to = "enclave",
): Promise<void> {
  const socket = path(`host-${++hosts}`);
  const host = new RunningProgram("test/hostile/hostile-host.js", {
    args: [socket, path(to), attack],
  });
  await host.says(/LISTENING/);
  const channel = new AttestedChannel(`unix:${socket}`, { policy, services: [idempotency] });
  const client = new Client(`unix:${socket}`, credentials.createInsecure(), {
    channelOverride: channel,
  });
  try {
    await body(client, channel);
  } finally {
    client.close();
    await host.stop("SIGKILL");
  }
}

async function run(
  client: Client,
  key: string,
  { deadlineMs = 10_000, idempotent = false } = {},
): Promise<Ended> {
  const {
    path: method,
    requestSerialize,
    responseDeserialize,
  } = ledgerService[idempotent ? "runIdempotent" : "run"];
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      method,
      requestSerialize,
      responseDeserialize,
      Buffer.from(key),
      { deadline: Date.now() + deadlineMs },
      (error: ServiceError | null) => {
        resolve({
          code: error?.code ?? Code.OK,
          errorCode: codeOf(error),
          outcome: outcomeOf(error),
          details: error?.details ?? "",
        });
      },
    );
  });
}

/** The ledger's word, asked of the enclave itself. */
async function count(key: string): Promise<number> {
  const target = `unix:${path("enclave")}`;
  const channel = new AttestedChannel(target, { policy });
  const client = new Client(target, credentials.createInsecure(), { channelOverride: channel });
  const { path: method, requestSerialize, responseDeserialize } = ledgerService.count;
  const answer = await new Promise<Buffer>((resolve, reject) => {
    client.makeUnaryRequest(
      method,
      requestSerialize,
      responseDeserialize,
      Buffer.from(key),
      (error: ServiceError | null, value?: Buffer) => {
        if (error === null) resolve(value ?? Buffer.alloc(0));
        else reject(error);
      },
    );
  });
  client.close();
  return Number(answer.toString());
}

describe("a hostile host between real processes", () => {
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "hostile-"));
    [enclave, policy] = await startEnclave("enclave");
  });

  after(async () => {
    await enclave.stop();
    rmSync(folder, { recursive: true });
  });

  for (const [attack, { ran, ...expected }] of Object.entries(EXPECTED)) {
    it(`${attack}: ${Code[expected.code]} ${expected.errorCode ?? ""}, ran ${ran} times`, async () => {
      await underAttack(attack, async (client) => {
        const { details, ...ended } = await run(client, attack);
        assert.deepEqual(ended, expected, details);
        // The next session is left alone: the channel recovers, and runs nothing again.
        let again = await run(client, `${attack}, again`);
        for (let tries = 0; again.code !== Code.OK && tries < 20; tries++) {
          await new Promise((resolve) => setTimeout(resolve, 100));
          again = await run(client, `${attack}, again`);
        }
        assert.equal(again.code, Code.OK, again.details);
        assert.equal(await count(attack), ran);
      });
    });
  }

  it("labels a text that came from outside the seal", async () => {
    await underAttack("answer UNAUTHENTICATED itself", async (client) => {
      const { details } = await run(client, "labelled");
      assert.match(details, /outside the seal: status 16, "who are you\?"/);
    });
  });

  it("drop a request: what follows it does not open, and nothing ran", async () => {
    await underAttack("drop a request", async (client) => {
      const dropped = run(client, "dropped");
      await new Promise((resolve) => setTimeout(resolve, 300));
      const next = await run(client, "behind the dropped");
      assert.deepEqual(
        [(await dropped).outcome, next.outcome, next.errorCode],
        ["unknown", "unknown", "truncated"],
      );
      assert.equal(await count("dropped"), 0);
      assert.equal(await count("behind the dropped"), 0);
    });
  });

  it("swap two requests: neither runs", async () => {
    await underAttack("swap two requests", async (client) => {
      const first = run(client, "swapped 1");
      await new Promise((resolve) => setTimeout(resolve, 300));
      await Promise.all([first, run(client, "swapped 2")]);
      assert.equal((await first).outcome, "unknown");
      assert.equal(await count("swapped 1"), 0);
      assert.equal(await count("swapped 2"), 0);
    });
  });

  it("repeat a request: it runs once, and the session ends", async () => {
    await underAttack("repeat a request", async (client) => {
      await run(client, "repeated");
      assert.equal(await count("repeated"), 1);
    });
  });

  it("delay beyond the deadline: the handler never starts", async () => {
    await underAttack("delay beyond the deadline", async (client) => {
      const ended = await run(client, "delayed", { deadlineMs: 400 });
      assert.equal(ended.code, Code.DEADLINE_EXCEEDED);
      await new Promise((resolve) => setTimeout(resolve, 600));
      assert.equal(await count("delayed"), 0);
    });
  });

  it("cut behind an idempotent request: it is sent again, and succeeds", async () => {
    await underAttack("cut behind the request", async (client) => {
      const ended = await run(client, "idempotent", { idempotent: true });
      assert.equal(ended.code, Code.OK, ended.details);
      assert.equal(await count("idempotent"), 2);
    });
  });

  it("show an old document: challenge-mismatch", async () => {
    await underAttack("show an old document", async (client, channel) => {
      assert.equal((await run(client, "first document")).code, Code.OK);
      const second = new AttestedChannel(channel.getTarget(), { policy });
      const other = new Client(channel.getTarget(), credentials.createInsecure(), {
        channelOverride: second,
      });
      const ended = await run(other, "old document");
      other.close();
      assert.deepEqual(
        [ended.code, ended.errorCode, ended.outcome],
        [Code.UNAUTHENTICATED, "challenge-mismatch", "not-executed"],
      );
      assert.equal(await count("old document"), 0);
    });
  });

  it("splice sessions: what came from the other does not open", async () => {
    await underAttack("splice sessions", async (client, channel) => {
      const second = new AttestedChannel(channel.getTarget(), { policy });
      const other = new Client(channel.getTarget(), credentials.createInsecure(), {
        channelOverride: second,
      });
      const ended = await Promise.all([run(client, "spliced 1"), run(other, "spliced 2")]);
      other.close();
      for (const { details, ...end } of ended) assert.deepEqual(end, FORGED, details);
      assert.equal(await count("spliced 1"), 1);
    });
  });

  it("another image: measurement-mismatch", async () => {
    const [other] = await startEnclave("other-image");
    try {
      await underAttack(
        "nothing",
        async (client) => {
          const ended = await run(client, "another image");
          assert.equal(ended.code, Code.UNAUTHENTICATED);
          assert.ok(["untrusted-chain", "measurement-mismatch"].includes(ended.errorCode ?? ""));
        },
        "other-image",
      );
    } finally {
      await other.stop();
    }
  });

  it("has a case for every attack", () => {
    const apart = [
      "drop a request",
      "swap two requests",
      "repeat a request",
      "delay beyond the deadline",
      "show an old document",
      "splice sessions",
    ];
    assert.deepEqual(
      Object.keys(attacks).toSorted(),
      [...Object.keys(EXPECTED), ...apart].toSorted(),
    );
  });
});
