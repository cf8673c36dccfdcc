import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, realpathSync } from "node:fs";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isElf, parseElf, parseModuleInfo } from "../../image/elf.ts";
import { ImageError } from "../../image/errors.ts";
import { describeKernel } from "../../image/kernel.ts";
import { Libraries } from "../../image/libraries.ts";
import {
  fakeArmKernel,
  fakeExecutable,
  fakeKernel,
  fakeLibrary,
  fakeModule,
} from "../support/fake-boot-files.ts";
import { refusesImage } from "../support/image-error.ts";

const numRuns = Number(process.env["FUZZ_RUNS"] ?? 100);
const node = readFileSync(process.execPath);
const notLinux = process.platform === "linux" ? false : "this is not Linux";

/** The libraries that the dynamic loader itself takes. */
function listed(): readonly string[] {
  const { stdout } = spawnSync("ldd", [process.execPath], { encoding: "utf8" });
  return [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path = ""]) => realpathSync(path));
}

describe("an executable", { skip: notLinux }, () => {
  it("of Node names its loader and its libraries", () => {
    const { interpreter, needed, architecture } = parseElf(node, "node");
    assert.match(interpreter ?? "", /^\/lib.*\/ld-linux-/);
    assert.ok(needed.includes("libc.so.6"));
    assert.equal(architecture, process.arch === "arm64" ? "aarch64" : "x86_64");
  });

  it("of one segment is static", () => {
    for (const architecture of ["x86_64", "aarch64"] as const) {
      const elf = parseElf(fakeExecutable(architecture), "tool");
      assert.deepEqual(elf, { architecture, interpreter: undefined, needed: [], runPaths: [] });
    }
  });

  it("brings the libraries that the loader takes", () => {
    const libraries = new Libraries(process.arch === "arm64" ? "aarch64" : "x86_64");
    libraries.add("node", node);
    const found = [...libraries.found.keys()].map((path) => realpathSync(path));
    assert.deepEqual(found.toSorted(), [...listed()].sort());
  });

  it("of another architecture brings none of this machine's", () => {
    const other = process.arch === "arm64" ? "x86_64" : "aarch64";
    refusesImage("unusable-input", () => new Libraries(other).add("node", node), /not found/);
    assert.match(new Libraries(other).addForAddon("/a.node", node, () => false).join(), /file of/);
  });

  it("may be an addon that brings libraries along, by its run path", () => {
    const addon = fakeLibrary(["libown.so.1", "libabsent.so.2"], "$ORIGIN/../lib:/opt");
    assert.deepEqual(parseElf(addon, "addon"), {
      architecture: "x86_64",
      interpreter: undefined,
      needed: ["libown.so.1", "libabsent.so.2"],
      runPaths: ["$ORIGIN/../lib", "/opt"],
    });
    const missing = (there: string) =>
      new Libraries("x86_64").addForAddon("/app/bin/x.node", addon, (path) => path === there);
    assert.deepEqual(missing("/app/lib/libown.so.1"), ["libabsent.so.2"]);
    assert.deepEqual(missing("/opt/libabsent.so.2"), ["libown.so.1"]);
    assert.deepEqual(missing("/app/bin/libown.so.1"), ["libown.so.1", "libabsent.so.2"]);
  });

  it("that is broken is refused in one way only", () => {
    const small = [fakeExecutable(), fakeModule({ depends: "" })];
    const change = fc.tuple(fc.nat(600), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(
        fc.constantFrom(...small),
        fc.array(change, { maxLength: 6 }),
        (file, changes) => {
          const bytes = file.slice();
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          for (const parse of [parseElf, parseModuleInfo]) {
            try {
              parse(bytes, "file");
            } catch (error) {
              assert.ok(error instanceof ImageError, String(error));
              assert.equal(error.code, "unusable-input");
            }
          }
        },
      ),
      { numRuns },
    );
    refusesImage("unusable-input", () => parseElf(node.subarray(0, 2000), "node"), /broken/);
  });

  it("is told from other files by its first bytes", () => {
    assert.ok(isElf(node));
    assert.ok(!isElf(new Uint8Array(3)));
    for (const bytes of [new Uint8Array(), Buffer.from("#!/bin/sh\n")]) {
      refusesImage("unusable-input", () => parseElf(bytes, "file"), /no ELF/);
    }
    const of32Bits = fakeExecutable();
    of32Bits[4] = 1;
    refusesImage("unusable-input", () => parseElf(of32Bits, "file"), /64 bits/);
    const riscv = fakeExecutable();
    riscv[18] = 243;
    refusesImage("unusable-input", () => parseElf(riscv, "file"), /architecture/);
  });
});

describe("a kernel", () => {
  it("of x86_64 tells its release", () => {
    assert.deepEqual(describeKernel(fakeKernel("6.1.2-x (a@b) #1"), "k"), {
      architecture: "x86_64",
      release: "6.1.2-x",
    });
  });

  it("whose release is not where it says has none", () => {
    const kernel = fakeKernel();
    new DataView(kernel.buffer).setUint16(0x20e, 0xffff, true);
    assert.equal(describeKernel(kernel, "k").release, undefined);
    new DataView(kernel.buffer).setUint16(0x20e, 0, true);
    assert.equal(describeKernel(kernel, "k").release, undefined);
    assert.equal(describeKernel(kernel.subarray(0, 0x206), "k").release, undefined);
  });

  it("of aarch64 is known by its mark", () => {
    assert.deepEqual(describeKernel(fakeArmKernel(), "k"), {
      architecture: "aarch64",
      release: undefined,
    });
  });

  it("in ELF, compressed, or empty is none that an enclave boots", () => {
    for (const bytes of [fakeExecutable(), Uint8Array.of(0x1f, 0x8b), new Uint8Array()]) {
      refusesImage(
        "unusable-input",
        () => describeKernel(bytes, "vmlinux"),
        /vmlinux is no kernel/,
      );
    }
  });
});
