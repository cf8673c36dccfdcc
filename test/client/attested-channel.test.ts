import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import {
  CallCredentials,
  Client,
  Metadata,
  connectivityState as State,
  credentials,
  status as Code,
} from "@grpc/grpc-js";
import type { CallOptions, ServiceError } from "@grpc/grpc-js";

import { certify } from "../../attestation/nsm/simulated-certificate.ts";
import { Policy } from "../../attestation/policy.ts";
import { AttestedChannel, VERSION } from "../../services/client/attested-channel.ts";
import type { AttestedChannelOptions } from "../../services/client/channel-options.ts";
import { codeOf, outcomeOf } from "../../services/client/status.ts";
import { startProxy } from "../../services/proxy/index.ts";
import { Forwarder } from "../support/forwarder.ts";
import { PlayedEnclave, echo } from "../support/played-enclave.ts";
import { RunningProgram } from "../support/processes.ts";
import { repositoryRoot } from "../support/repository.ts";

const asIs = (value: Buffer): Buffer => value;
const OTHER_IMAGE = "22".repeat(48);

let enclave: PlayedEnclave;
const open: AttestedChannel[] = [];

before(async () => {
  enclave = await PlayedEnclave.start();
});
after(() => enclave.stop());
afterEach(() => {
  for (const channel of open.splice(0)) channel.close();
  enclave.onCall = echo;
  enclave.meddle = (message) => [message];
  enclave.ledger.length = 0;
});

function channelOf(options: Partial<AttestedChannelOptions> = {}, at = enclave): AttestedChannel {
  const channel = new AttestedChannel(at.address, { policy: at.policy, ...options });
  open.push(channel);
  return channel;
}

interface Result {
  readonly error: ServiceError | null;
  readonly value: Buffer | undefined;
}

async function unary(
  channel: AttestedChannel,
  metadata = new Metadata(),
  options: CallOptions = {},
): Promise<Result> {
  const client = new Client("", credentials.createInsecure(), { channelOverride: channel });
  return new Promise((resolve) => {
    const request = Buffer.from("x");
    client.makeUnaryRequest("/a.B/C", asIs, asIs, request, metadata, options, (error, value) => {
      resolve({ error, value });
    });
  });
}

/** The program's output when it ends by itself; one that does not is a failure, not a test that hangs. */
async function ended(program: RunningProgram): Promise<string> {
  const timer = setTimeout(() => void program.stop("SIGKILL"), 8_000);
  const { status, stdout, stderr } = await program.finished;
  clearTimeout(timer);
  assert.equal(status, 0, stderr);
  return stdout;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

/** Handlers of calls that go on until the test ends them. */
function hold(): (() => void)[] {
  const answers: (() => void)[] = [];
  enclave.onCall = (call) => {
    const events = echo(call);
    return { ...events, onHalfClose: () => answers.push(() => events.onHalfClose()) };
  };
  return answers;
}

describe("the options of a channel", () => {
  const policy = { referenceValues: [{ pcr0: OTHER_IMAGE }] };
  const create = (options: object) => () =>
    new AttestedChannel("localhost:1", options as AttestedChannelOptions);

  it("have a policy, as an object or as one", () => {
    assert.throws(create({}), /policy: required/);
    assert.throws(() => new AttestedChannel("x", undefined as never), TypeError);
    create({ policy })();
    create({ policy: Policy.from(policy) })();
    assert.throws(create({ policy: { referenceValues: [] } }));
  });

  const refused: [object, RegExp][] = [
    [{ polcy: 1 }, /polcy: no such option/],
    [{ sessions: 0 }, /sessions/],
    [{ sessions: 1.5 }, /sessions/],
    [{ sessions: "2" }, /sessions/],
    [{ suites: [] }, /suites/],
    [{ attester: {} }, /attester: expected an object with the method attest/],
    [{ suites: [9] }, /suites/],
    [{ padding: "some" }, /padding/],
    [{ padding: { bucket: 0 } }, /bucket/],
    [{ maxReceiveMessageBytes: -2 }, /maxReceiveMessageBytes/],
    [{ maxSendMessageBytes: Number.NaN }, /maxSendMessageBytes/],
    [{ maxBufferedBytes: 0 }, /maxBufferedBytes/],
    [{ credentials: {} }, /credentials/],
    [{ callCredentials: {} }, /callCredentials/],
    [{ allowOuterMetadata: [1] }, /allowOuterMetadata/],
    [{ allowOuterMetadata: ["grpc-timeout"] }, /allowOuterMetadata/],
    [{ allowOuterMetadata: [":authority"] }, /allowOuterMetadata/],
    [{ services: [{ a: {} }] }, /services/],
  ];
  for (const [options, message] of refused) {
    it(`are not ${JSON.stringify(options)}`, () => {
      assert.throws(create({ policy, ...options }), message);
    });
  }

  it("do not let call credentials travel outside the seal", () => {
    const token = CallCredentials.createFromMetadataGenerator((_options, callback) => {
      callback(null, new Metadata());
    });
    const composed = credentials.combineChannelCredentials(credentials.createSsl(), token);
    assert.throws(create({ policy, credentials: composed }), /outside the seal/);
  });
});

describe("an attested channel", () => {
  it("calls a version of itself that package.json knows", () => {
    const file = readFileSync(join(repositoryRoot, "package.json"), "utf8");
    assert.equal((JSON.parse(file) as { version: string }).version, VERSION);
  });

  it("connects with the first call, and is READY after it", async () => {
    const channel = channelOf();
    const streams = enclave.streams.length;
    assert.equal(channel.getConnectivityState(false), State.IDLE);
    const { error, value } = await unary(channel);
    assert.equal(error, null);
    assert.equal(String(value), "x");
    assert.equal(channel.getConnectivityState(false), State.READY);
    await unary(channel);
    assert.equal(enclave.streams.length, streams + 1);
  });

  it("lets waitForReady of a client wait for the handshake", async () => {
    const channel = channelOf();
    const client = new Client("", credentials.createInsecure(), { channelOverride: channel });
    await new Promise<void>((resolve, reject) => {
      client.waitForReady(Date.now() + 10_000, (error) => (error ? reject(error) : resolve()));
    });
    assert.equal(channel.getConnectivityState(false), State.READY);
  });

  it("refuses another image, at once, also a call that waits", async () => {
    const { insecureTestRoot = "" } = enclave.policy;
    const policy = { referenceValues: [{ pcr0: OTHER_IMAGE }], insecureTestRoot };
    const channel = channelOf({ policy });
    const { error } = await unary(channel, new Metadata({ waitForReady: true }));
    assert.equal(error?.code, Code.UNAUTHENTICATED);
    assert.equal(codeOf(error), "measurement-mismatch");
    assert.equal(outcomeOf(error), "not-executed");
    assert.equal(channel.getConnectivityState(false), State.TRANSIENT_FAILURE);
    assert.deepEqual(enclave.ledger, []);
  });

  it("says when nobody is there, and goes on when somebody is", async () => {
    const forwarder = await Forwarder.start({
      host: "127.0.0.1",
      port: Number(enclave.address.split(":")[1]),
    });
    await forwarder.down();
    const channel = new AttestedChannel(`127.0.0.1:${forwarder.port}`, { policy: enclave.policy });
    open.push(channel);
    const waiting = unary(channel, new Metadata({ waitForReady: true }));
    const { error } = await unary(channel);
    assert.equal(error?.code, Code.UNAVAILABLE);
    assert.equal(codeOf(error), "unreachable");
    assert.equal(outcomeOf(error), "not-executed");
    await forwarder.up();
    assert.equal((await waiting).error, null);
    channel.close();
    await forwarder.down();
  });

  it("keeps as many sessions as it was told to", async () => {
    const streams = enclave.streams.length;
    const channel = channelOf({ sessions: 3 });
    await unary(channel);
    const made = () => enclave.streams.slice(streams).filter(({ session }) => session);
    await until(() => made().length === 3);
    await Promise.all(Array.from({ length: 6 }, async () => unary(channel)));
    assert.equal(enclave.streams.length, streams + 3);
  });

  it("goes through the proxy with TLS", async () => {
    const now = Date.now();
    const { certificate, privateKey } = certify({
      commonName: "proxy",
      notBeforeMs: now - 60_000,
      notAfterMs: now + 3_600_000,
      basicConstraints: { cA: true },
      keyUsage: 0b101,
    });
    const cert = `-----BEGIN CERTIFICATE-----\n${Buffer.from(certificate).toString("base64")}\n-----END CERTIFICATE-----\n`;
    const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    const proxy = await startProxy({
      listen: "127.0.0.1:0",
      enclave: enclave.address,
      tls: { cert, key },
    });
    try {
      const channel = new AttestedChannel(proxy.address, {
        policy: enclave.policy,
        credentials: credentials.createSsl(Buffer.from(cert), null, null, {
          checkServerIdentity: () => undefined,
        }),
        channelOptions: { "grpc.ssl_target_name_override": "proxy" },
      });
      open.push(channel);
      const { error, value } = await unary(channel);
      assert.equal(error, null);
      assert.equal(String(value), "x");
      const program = new RunningProgram("test/support/idle-client-main.js", {
        args: [proxy.address, JSON.stringify(enclave.policy), cert],
      });
      assert.equal(await ended(program), "answered 0\n");
      channel.close();
    } finally {
      await proxy.close(0);
    }
  });
});

describe("a process with an attested channel", () => {
  const run = (delayMs: number): RunningProgram =>
    new RunningProgram("test/support/idle-client-main.js", {
      args: [enclave.address, JSON.stringify(enclave.policy), "", String(delayMs)],
    });

  it("ends when no call is open, although the channel is", async () => {
    assert.equal(await ended(run(0)), "answered 0\n");
  });

  it("ends when it only connected", async () => {
    const program = new RunningProgram("test/support/idle-client-main.js", {
      args: [enclave.address, JSON.stringify(enclave.policy), "", "connect"],
    });
    assert.equal(await ended(program), "ready\n");
  });

  it("goes on while a call is open", async () => {
    const answers = hold();
    const program = run(300);
    await until(() => answers.length === 1);
    await sleep(300);
    answers[0]?.();
    assert.equal(await ended(program), "answered 300\n");
  });
});

describe("the replacement of sessions", () => {
  it("loses no call", async () => {
    const aging = await PlayedEnclave.start({ terms: { maxAgeMs: 400 } });
    try {
      const channel = channelOf({}, aging);
      const failed: ServiceError[] = [];
      let calls = 0;
      const endMs = Date.now() + 2_000;
      await Promise.all(
        Array.from({ length: 8 }, async () => {
          while (Date.now() < endMs) {
            const { error } = await unary(channel);
            if (error !== null) failed.push(error);
            calls += 1;
          }
        }),
      );
      assert.deepEqual(
        failed.map(({ message }) => message),
        [],
      );
      assert.equal(aging.ledger.length, calls);
      assert.ok(aging.streams.length >= 3, `${aging.streams.length} sessions`);
      channel.close();
    } finally {
      aging.stop();
    }
  });

  it("at GOAWAY lets the call that runs go on, and takes the next one elsewhere", async () => {
    const channel = channelOf();
    const answers = hold();
    const first = unary(channel);
    await until(() => answers.length === 1);
    const old = enclave.last;
    old.session?.goAway(performance.now(), 60_000);
    await sleep(20);
    const second = unary(channel);
    await until(() => answers.length === 2);
    assert.notEqual(enclave.last, old);
    for (const answer of answers) answer();
    assert.equal((await first).error, null);
    assert.equal((await second).error, null);
    await until(() => old.session?.isClosed === true);
  });
});

describe("a change of policy", () => {
  it("ends sessions that it does not admit: calls are unknown, later ones refused", async () => {
    const channel = channelOf();
    const answers = hold();
    const running = unary(channel);
    await until(() => answers.length === 1);
    const { insecureTestRoot = "" } = enclave.policy;
    channel.updatePolicy({ referenceValues: [{ pcr0: OTHER_IMAGE }], insecureTestRoot });
    const { error } = await running;
    assert.equal(error?.code, Code.UNAVAILABLE);
    assert.equal(codeOf(error), "session-expired");
    assert.equal(outcomeOf(error), "unknown");
    const later = await unary(channel);
    assert.equal(later.error?.code, Code.UNAUTHENTICATED);
    assert.equal(codeOf(later.error), "measurement-mismatch");
    channel.updatePolicy(enclave.policy);
    await until(() => channel.getConnectivityState(false) !== State.TRANSIENT_FAILURE);
    enclave.onCall = echo;
    assert.equal((await unary(channel)).error, null);
  });

  it("also counts for a session whose evidence was verified before it", async () => {
    const channel = channelOf();
    const { insecureTestRoot = "" } = enclave.policy;
    enclave.meddle = (message, index) => {
      const isFinishReply = index === 1;
      const policy = { referenceValues: [{ pcr0: OTHER_IMAGE }], insecureTestRoot };
      if (isFinishReply) channel.updatePolicy(policy);
      return [message];
    };
    // The message is on its way when the policy changes, but not yet there.
    const { error } = await unary(channel);
    assert.equal(error?.code, Code.UNAUTHENTICATED);
    assert.equal(codeOf(error), "measurement-mismatch");
    assert.deepEqual(enclave.ledger, []);
  });

  it("keeps sessions that it admits", async () => {
    const channel = channelOf();
    await unary(channel);
    const streams = enclave.streams.length;
    const { referenceValues = [] } = enclave.policy;
    channel.updatePolicy({
      ...enclave.policy,
      referenceValues: [{ pcr0: OTHER_IMAGE }, ...referenceValues],
    });
    assert.equal((await unary(channel)).error, null);
    assert.equal(enclave.streams.length, streams);
  });

  it("is none when the policy cannot be meant", async () => {
    const channel = channelOf();
    assert.throws(() => channel.updatePolicy({ referenceValues: [] }));
    assert.equal((await unary(channel)).error, null);
  });
});

describe("a closed channel", () => {
  it("refuses calls and watchers", () => {
    const channel = channelOf();
    channel.close();
    channel.close();
    assert.throws(() => channel.createCall("/a.B/C", Infinity, null, null, null), /shut down/);
    assert.throws(
      () => channel.watchConnectivityState(State.IDLE, Infinity, () => {}),
      /shut down/,
    );
    assert.equal(channel.getConnectivityState(true), State.SHUTDOWN);
  });

  it("ends calls that wait, and lets calls that run end by themselves", async () => {
    const channel = channelOf();
    const answers = hold();
    const running = unary(channel);
    await until(() => answers.length === 1);
    channel.close();
    const played = enclave.last;
    answers[0]?.();
    assert.equal((await running).error, null);
    await until(() => played.session?.isClosed === true);

    const waitingChannel = new AttestedChannel("127.0.0.1:1", { policy: enclave.policy });
    const waiting = unary(waitingChannel, new Metadata({ waitForReady: true }));
    await sleep(20);
    waitingChannel.close();
    const { error } = await waiting;
    assert.equal(error?.code, Code.UNAVAILABLE);
    assert.equal(codeOf(error), "closed");
    assert.equal(outcomeOf(error), "not-executed");
  });
});
