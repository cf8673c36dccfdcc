import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type PolicyOptions, Policy, VerifiedEvidence } from "../../attestation/index.ts";
import { Nsm, type NsmLink } from "../../attestation/nsm/nsm.ts";
import { readImageFile } from "../../image/index.ts";
import { temporaryFolder } from "../support/folder.ts";
import { RunningProgram, runProgram } from "../support/processes.ts";
import { rawImage, sections } from "../support/raw-image.ts";

const folder = temporaryFolder("nsm-command");
const image = folder.write("notary.eif", rawImage({ sections }));
const simulate = async (...args: readonly string[]) =>
  runProgram(
    "cli/main.js",
    "nsm",
    "simulate",
    "--socket",
    join(folder.path, "unused.sock"),
    ...args,
  );

function frame(request: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(request.length);
  return Buffer.concat([length, request]);
}

/** A module at the other end of a stream. */
class SocketLink implements NsmLink {
  readonly #socket: Socket;
  readonly #bytes: AsyncIterator<Buffer>;
  #unread = Buffer.alloc(0);

  constructor(path: string) {
    this.#socket = connect(path);
    this.#bytes = (this.#socket as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  }

  async exchange(request: Uint8Array): Promise<Uint8Array> {
    this.#socket.write(frame(request));
    return this.response();
  }

  /** Writes bytes as they are. */
  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  async response(): Promise<Uint8Array> {
    return this.#take((await this.#take(4)).readUInt32LE());
  }

  async close(): Promise<void> {
    this.#socket.destroy();
  }

  async #take(length: number): Promise<Buffer> {
    while (this.#unread.length < length) {
      const next = await this.#bytes.next();
      if (next.done === true) throw new Error("the module closed the connection");
      this.#unread = Buffer.concat([this.#unread, next.value]);
    }
    const taken = this.#unread.subarray(0, length);
    this.#unread = this.#unread.subarray(length);
    return taken;
  }
}

describe("sealrpc nsm simulate", () => {
  const socket = join(folder.path, "nsm.sock");
  const policyFile = join(folder.path, "policy.json");
  let program: RunningProgram;
  before(async () => {
    program = new RunningProgram("cli/main.js", {
      args: ["nsm", "simulate", "--socket", socket, "--image", image, "--write-policy", policyFile],
    });
    await program.says(/"listening"/);
  });
  after(async () => program.stop("SIGKILL"));

  it("attests to the measurements of the image, for the policy that it writes", async () => {
    const nsm = new Nsm(new SocketLink(socket));
    const userData = Buffer.from("ours");
    const evidence = await nsm.attest({ userData });
    const policy = Policy.from(JSON.parse(readFileSync(policyFile, "utf8")) as PolicyOptions);
    const { claims } = VerifiedEvidence.verify(evidence, { policy });
    const { pcr0, pcr1, pcr2 } = readImageFile(image).measurements;
    for (const [index, value] of [pcr0, pcr1, pcr2].entries()) {
      assert.equal(claims.pcrs[index], Buffer.from(value).toString("hex"));
    }
    await nsm.close();
  });

  it("says that it is simulated, and listens for its user only", () => {
    assert.match(program.stderr, /^SIMULATED/m);
    assert.equal(statSync(socket).mode & 0o777, 0o600);
  });

  it("answers requests that come in pieces or together, in order", async () => {
    const link = new SocketLink(socket);
    const nsm = new Nsm(link);
    const { moduleId } = await nsm.describe();
    const described = frame(Uint8Array.from([0x6b, ...Buffer.from("DescribeNSM")]));
    for (const byte of described) link.write(Uint8Array.of(byte));
    link.write(Buffer.concat([described, frame(Uint8Array.of(0xff))]));
    for (const expected of [moduleId, moduleId, "InvalidArgument"]) {
      assert.ok(Buffer.from(await link.response()).includes(expected));
    }
    await nsm.close();
  });

  it("lets the module refuse a long request, and closes the connection of a longer one", async () => {
    const link = new SocketLink(socket);
    link.write(frame(new Uint8Array(5000)));
    assert.ok(Buffer.from(await link.response()).includes("InputTooLarge"));
    link.write(Uint8Array.of(0xff, 0xff, 0xff, 0xff));
    await assert.rejects(link.response(), /closed|ECONNRESET/);
    await program.says(/a request of 4294967295 bytes, expected at most 65536/);
  });

  it("ends with 0 on a signal", async () => {
    assert.equal((await program.stop()).status, 0);
  });
});

describe("sealrpc nsm simulate refuses", () => {
  const cases: readonly [what: string, content: string, message: RegExp][] = [
    ["no JSON", "pcr0", /pcrs\.json: .*JSON/],
    ["a list", "[]", /pcrs\.json: expected an object/],
    ["another register", '{"pcr5":""}', /expected pcr0, 1, 2, 3 or 8, found pcr5/],
    ["a number", '{"pcr0":1}', /pcr0: expected a string/],
    ["a short value", '{"pcr0":"00"}', /expected 48 bytes/],
  ];
  for (const [what, content, message] of cases) {
    it(`${what} as registers, with status 2`, async () => {
      const { status, stderr } = await simulate("--pcrs", folder.write("pcrs.json", content));
      assert.match(stderr, message);
      assert.equal(status, 2);
    });
  }

  it("both an image and registers, with status 2", async () => {
    const { status } = await simulate("--pcrs", image, "--image", image);
    assert.equal(status, 2);
  });

  it("what is no image, with status 1", async () => {
    const { status, stderr } = await simulate("--image", folder.write("bad.eif", "no image"));
    assert.match(stderr, /not an enclave image|not-an-image/);
    assert.equal(status, 1);
  });
});
