import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { ImageMetadata } from "../../image/metadata.ts";
import { parseImage } from "../../image/reader.ts";
import { parseSigner } from "../../image/signature.ts";
import { encodeImage, type ImageParts } from "../../image/writer.ts";
import { refusesImage } from "../support/image-error.ts";
import { commandLine, kernel, rawImage, text } from "../support/raw-image.ts";
import { noOpenssl } from "../support/self-signed.ts";
import { createSigner } from "../support/signers.ts";

const numRuns = Number(process.env["FUZZ_RUNS"] ?? 100);

const metadata: ImageMetadata = {
  ImageName: "notary",
  ImageVersion: "1.2.3",
  BuildMetadata: {
    BuildTime: "1970-01-01T00:00:00+00:00",
    BuildTool: "sealrpc",
    BuildToolVersion: "0.1.0",
    OperatingSystem: "Linux",
    KernelVersion: "6.12.0",
  },
  DockerInfo: {},
  CustomMetadata: {},
};
const parts: ImageParts = {
  architecture: "x86_64",
  kernel: kernel.data,
  commandLine: "console=ttyS0",
  metadata,
  ramdisks: [[text("boot"), text("strap!!!")], [text("application!")]],
};
const fileOf = (changes: Partial<ImageParts> = {}) =>
  new Uint8Array(Buffer.concat(encodeImage({ ...parts, ...changes }).pieces));

describe("the writer", () => {
  it("writes what another writer writes", () => {
    const section = (type: number, data: Uint8Array) => ({ type, data });
    const expected = rawImage({
      sections: [
        kernel,
        section(2, text("console=ttyS0")),
        section(5, text(JSON.stringify(metadata))),
        section(3, text("bootstrap!!!")),
        section(3, text("application!")),
      ],
    });
    assert.deepEqual(fileOf(), expected);
  });

  it("writes what the reader reads, with the measurements that it told", () => {
    const piece = fc.uint8Array({ maxLength: 30 });
    const ramdisk = fc.array(piece, { maxLength: 4 }).map((pieces) => {
      const size = pieces.reduce((sum, { length }) => sum + length, 0);
      return [...pieces, new Uint8Array((4 - (size % 4)) % 4)];
    });
    const property = fc.property(
      fc.constantFrom("x86_64" as const, "aarch64" as const),
      fc.uint8Array({ minLength: 1, maxLength: 50 }),
      fc.stringMatching(/^[\x20-\x7e]{1,80}$/),
      fc.array(ramdisk, { minLength: 1, maxLength: 29 }),
      (architecture, kernelBytes, line, ramdisks) => {
        const { pieces, measurements } = encodeImage({
          architecture,
          kernel: kernelBytes,
          commandLine: line,
          metadata,
          ramdisks,
        });
        const image = parseImage(new Uint8Array(Buffer.concat(pieces)));
        assert.equal(image.version, 4);
        assert.equal(image.architecture, architecture);
        assert.equal(image.commandLine, line);
        assert.deepEqual(image.metadata, metadata);
        assert.deepEqual(image.measurements, measurements);
        assert.equal(image.sections.length, 3 + ramdisks.length);
      },
    );
    fc.assert(property, { numRuns });
  });

  it("signs, which changes no measurement but PCR8", { skip: noOpenssl }, () => {
    const files = createSigner();
    const signer = parseSigner(files.key, files.certificate, Date.now());
    const { pieces, measurements } = encodeImage({ ...parts, signer });
    const image = parseImage(new Uint8Array(Buffer.concat(pieces)));
    assert.deepEqual(image.measurements, measurements);
    assert.deepEqual(image.signature?.certificate, signer.certificate);
    assert.deepEqual(image.sections.at(-1)?.kind, "signature");
    const { pcr8, ...rest } = measurements;
    assert.equal(pcr8?.length, 48);
    assert.deepEqual(rest, encodeImage(parts).measurements);
  });

  for (const [what, changes, message] of [
    ["an empty kernel", { kernel: new Uint8Array() }, /kernel is empty/],
    ["no ramdisk", { ramdisks: [] }, /no ramdisk/],
    [
      "a ramdisk that the next one would not follow",
      { ramdisks: [[text("abc")]] },
      /multiple of 4/,
    ],
    ["30 ramdisks", { ramdisks: Array.from({ length: 30 }, () => []) }, /32 sections/],
    ["an empty command line", { commandLine: "" }, /command line/],
    ["a command line of two lines", { commandLine: "quiet\n" }, /command line/],
    ["a command line with a NUL", { commandLine: "a\0b" }, /command line/],
    ["a command line that the kernel would cut", { commandLine: "x".repeat(2048) }, /2047/],
    [
      "metadata above its limit",
      { metadata: { ...metadata, ImageName: "x".repeat(1_048_576) } },
      /metadata/,
    ],
  ] as const) {
    it(`refuses ${what}`, () => {
      refusesImage("unusable-input", () => fileOf(changes), message);
    });
  }
});

describe("a second program", () => {
  /** Takes the file apart by its offsets, and measures it from the rule. */
  const program = `
import sys, struct, hashlib, zlib
b = sys.stdin.buffer.read()
magic, version, flags, memory, cpus, reserved, count = struct.unpack_from('>4sHHQQHH', b)
assert (magic, version, flags, reserved) == (b'.eif', 4, 0, 0)
assert struct.unpack_from('>I', b, 544)[0] == zlib.crc32(b[548:], zlib.crc32(b[:544]))
kernel, line, disks = b'', b'', []
for offset in struct.unpack_from('>32Q', b, 28)[:count]:
    kind, _, size = struct.unpack_from('>HHQ', b, offset)
    data = b[offset + 12:offset + 12 + size]
    if kind == 1: kernel = data
    if kind == 2: line = data
    if kind == 3: disks.append(data)
def pcr(*parts): return hashlib.sha384(bytes(48) + hashlib.sha384(b''.join(parts)).digest()).hexdigest()
print(pcr(kernel, line, *disks), pcr(kernel, line, disks[0]), pcr(*disks[1:]))
`;
  const noPython =
    spawnSync("python3", ["-c", "import hashlib"]).status === 0 ? false : "python3 is not there";

  it("in Python measures the same", { skip: noPython }, () => {
    const { pieces, measurements } = encodeImage({
      ...parts,
      commandLine: new TextDecoder().decode(commandLine.data),
    });
    const { stdout, stderr } = spawnSync("python3", ["-c", program], {
      input: Buffer.concat(pieces),
      encoding: "utf8",
    });
    const { pcr0, pcr1, pcr2 } = measurements;
    const expected = [pcr0, pcr1, pcr2].map((pcr) => Buffer.from(pcr).toString("hex")).join(" ");
    assert.equal(stdout.trim(), expected, stderr);
  });
});
