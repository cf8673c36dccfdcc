import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { machineCode } from "../../../image/boot/machine-code.ts";
import { heartbeatProgram, heartbeatTo, seedProgram } from "../../../image/boot/programs.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { repositoryRoot } from "../../support/repository.ts";

const folder = temporaryFolder("boot");
const cannotRun =
  process.platform === "linux" && process.arch === "x64" ? false : "this is not Linux on x86_64";
const lacks = (program: string) =>
  spawnSync(program, ["--version"]).status === 0 ? false : `${program} is not there`;

/** Runs a program, and gives its exit status. */
async function run(program: Uint8Array, name: string): Promise<number | null> {
  const path = folder.write(name, program, 0o755);
  return new Promise((resolve, reject) => {
    spawn(path, [], { stdio: "ignore" }).on("close", resolve).on("error", reject);
  });
}

describe("the heartbeat", { skip: cannotRun }, () => {
  // The program takes any address. Here it is a Unix socket's, in the enclave the parent's.
  const path = join(folder.path, "parent.sock");
  const sockaddr = new Uint8Array(110);
  new DataView(sockaddr.buffer).setUint16(0, 1, true);
  sockaddr.set(new TextEncoder().encode(path), 2);
  const program = heartbeatTo("x86_64", sockaddr);

  async function beat(answer: (socket: Socket) => void) {
    const received: number[] = [];
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", (bytes) => {
        received.push(...bytes);
        answer(socket);
      });
    });
    await listen(server);
    const status = await run(program, "heartbeat");
    server.close();
    return { status, received };
  }

  async function listen(server: Server): Promise<void> {
    rmSync(path, { force: true });
    await new Promise<void>((resolve) => server.listen(path, resolve));
  }

  it("sends one byte and is content with its echo", async () => {
    const { status, received } = await beat((socket) => socket.write(Uint8Array.of(0xb7)));
    assert.deepEqual(received, [0xb7]);
    assert.equal(status, 0);
  });

  it("is not content with another byte, or none", async () => {
    assert.equal((await beat((socket) => socket.write(Uint8Array.of(0xb6)))).status, 5);
    assert.equal((await beat((socket) => socket.destroy())).status, 4);
  });

  it("says that nobody listens", async () => {
    rmSync(path, { force: true });
    assert.equal(await run(program, "heartbeat"), 2);
  });
});

describe("the heartbeat of an enclave", () => {
  it("goes to the VSOCK port 9000 of the parent", () => {
    for (const architecture of ["x86_64", "aarch64"] as const) {
      const program = heartbeatProgram(architecture, 0x01020304);
      // Length 16; AF_VSOCK, reserved, port 9000, CID, flags and padding of zero.
      const expected = "10000000 28000000 28230000 04030201 00000000".replaceAll(" ", "");
      assert.equal(Buffer.from(program.subarray(-20)).toString("hex"), expected);
    }
  });
});

describe("the seed", { skip: cannotRun }, () => {
  const source = folder.write("source", new Uint8Array(100).fill(1));
  const pool = folder.write("pool", "");
  const seed = (from: string, into: string) => seedProgram("x86_64", from, into);

  it("fails by the number of the step", async () => {
    const absent = join(folder.path, "absent");
    const short = folder.write("short", new Uint8Array(63));
    assert.equal(await run(seed(absent, pool), "seed"), 1);
    assert.equal(await run(seed(short, pool), "seed"), 2);
    assert.equal(await run(seed(source, absent), "seed"), 3);
    assert.equal(await run(seed(source, pool), "seed"), 4);
  });

  it("adds 512 bits and reseeds", { skip: lacks("strace") }, () => {
    const path = folder.write("seed", seed(source, pool), 0o755);
    // The calls are not made: strace answers in the kernel's place.
    const { status, stderr } = spawnSync(
      "strace",
      ["-e", "trace=read,ioctl", "-e", "inject=ioctl:retval=0", "-X", "raw", path],
      { encoding: "utf8" },
    );
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^read\(3, "(\\1)+"\.\.\., 64\) += 64$/m);
    assert.match(
      stderr,
      /^ioctl\(4, 0x40085203, \{entropy_count=512, buf_size=64, buf="(\\1)+"\.\.\.\}\) += 0/m,
    );
    assert.match(stderr, /^ioctl\(4, 0x5207\) += 0/m);
  });

  it("takes paths of 63 bytes and no longer ones", () => {
    assert.throws(() => seedProgram("x86_64", `/${"x".repeat(63)}`), RangeError);
    assert.doesNotThrow(() => seedProgram("x86_64", `/${"x".repeat(62)}`));
  });
});

describe("the machine code", { skip: lacks("llvm-mc") || lacks("llvm-objcopy") }, () => {
  for (const program of ["heartbeat", "seed"] as const) {
    for (const architecture of ["x86_64", "aarch64"] as const) {
      it(`of ${program} for ${architecture} is what an assembler makes of its source`, () => {
        const source = join(repositoryRoot, "image", "boot", `${program}.${architecture}.s`);
        const object = join(folder.path, `${program}.${architecture}.o`);
        const code = join(folder.path, `${program}.${architecture}.bin`);
        const triple = `--triple=${architecture}-linux-gnu`;
        for (const [tool, ...args] of [
          ["llvm-mc", triple, "--filetype=obj", "-o", object, source],
          ["llvm-objcopy", "-O", "binary", "-j", ".text", object, code],
        ] as const) {
          const { status, stderr } = spawnSync(tool, args, { encoding: "utf8" });
          assert.equal(status, 0, stderr);
        }
        assert.deepEqual(
          Buffer.from(machineCode(program, architecture)).toString("hex"),
          readFileSync(code).toString("hex"),
        );
      });
    }
  }
});
