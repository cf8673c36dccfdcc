import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { ImageError, type ImageErrorCode } from "../../image/errors.ts";
import { parseImage, readImageFile } from "../../image/reader.ts";
import { refusesImage } from "../support/image-error.ts";
import {
  commandLine,
  firstRamdisk,
  kernel,
  metadata,
  type RawImage,
  rawImage,
  secondRamdisk,
  sections,
  text,
} from "../support/raw-image.ts";

const numRuns = Number(process.env["FUZZ_RUNS"] ?? 100);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const folder = mkdtempSync(join(tmpdir(), "image-"));
after(() => rmSync(folder, { recursive: true }));

const withoutMetadata = sections.filter((section) => section !== metadata);

describe("an image", () => {
  it("is read and measured in version 4", () => {
    const image = parseImage(rawImage({ sections }));
    assert.equal(image.version, 4);
    assert.equal(image.architecture, "x86_64");
    assert.equal(image.memoryBytes, 1n << 30n);
    assert.equal(image.cpus, 2n);
    assert.match(image.commandLine, /^reboot=k .*on$/);
    assert.deepEqual(image.metadata, { ImageName: "test" });
    assert.equal(image.signature, undefined);
    assert.deepEqual(
      image.sections.map(({ kind, sizeBytes }) => [kind, sizeBytes]),
      [
        ["kernel", 768],
        ["command-line", 69],
        ["metadata", 20],
        ["ramdisk", 132],
        ["ramdisk", 143],
      ],
    );
    assert.match(hex(image.measurements.pcr0), /^e211f711/);
    assert.match(hex(image.measurements.pcr1), /^9cf86cfb/);
    assert.match(hex(image.measurements.pcr2), /^d05127bc/);
    assert.ok(!("pcr8" in image.measurements));
  });

  for (const version of [2, 3] as const) {
    it(`is read in version ${version}, which has no metadata`, () => {
      const image = parseImage(rawImage({ version, sections: withoutMetadata }));
      assert.equal(image.version, version);
      assert.equal(image.metadata, undefined);
      assert.match(hex(image.measurements.pcr0), /^e211f711/);
    });
  }

  it("may have metadata between ramdisks or in front, which is not measured", () => {
    const other = [metadata, kernel, commandLine, firstRamdisk, secondRamdisk];
    const { measurements } = parseImage(rawImage({ sections }));
    assert.deepEqual(parseImage(rawImage({ sections: other })).measurements, measurements);
  });

  it("may be of aarch64", () => {
    assert.equal(parseImage(rawImage({ flags: 1, sections })).architecture, "aarch64");
  });

  it("may have empty ramdisks and 32 sections", () => {
    const empty = { type: 3, data: new Uint8Array() };
    const many = [kernel, commandLine, metadata, ...Array.from({ length: 29 }, () => empty)];
    assert.equal(parseImage(rawImage({ sections: many })).sections.length, 32);
  });

  it("is the same from a file, larger than one piece", () => {
    const large = { type: 3, data: new Uint8Array(3_000_001).fill(7) };
    const bytes = rawImage({ sections: [...sections, large] });
    const path = join(folder, "large.eif");
    writeFileSync(path, bytes);
    assert.deepEqual(readImageFile(path), parseImage(bytes));
  });
});

describe("the reader refuses", () => {
  const faults: readonly (readonly [what: string, code: ImageErrorCode, image: RawImage])[] = [
    ["another magic", "not-an-image", { magic: "ELF\u007f", sections }],
    ["version 1", "unsupported-version", { version: 1, sections: withoutMetadata }],
    ["version 5", "unsupported-version", { version: 5, sections }],
    ["header flags of PCIe images", "unsupported-flags", { flags: 0x240, sections }],
    ["an unknown flag beside aarch64", "unsupported-flags", { flags: 3, sections }],
    ["one section", "malformed-header", { sections: [kernel] }],
    ["33 sections", "malformed-header", { count: 33, sections }],
    ["a reserved field that is set", "malformed-header", { reserved: 1, sections }],
    ["an unused field that is set", "malformed-header", { unused: 1, sections }],
    [
      "an offset behind the table's end",
      "malformed-header",
      { sections, table: (offsets) => (offsets[5] = 548n) },
    ],
    [
      "a size behind the table's end",
      "malformed-header",
      { sections, table: (_, sizes) => (sizes[31] = 1n) },
    ],
    [
      "a section that two entries name",
      "overlapping-sections",
      { sections, table: (offsets) => (offsets[4] = offsets[3]!) },
    ],
    [
      "a section inside of the header",
      "overlapping-sections",
      { sections, table: (offsets) => (offsets[0] = 0n) },
    ],
    [
      "a table in another order than the file",
      "gap",
      {
        sections,
        table: (offsets, sizes) => {
          [offsets[3], offsets[4]] = [offsets[4]!, offsets[3]!];
          [sizes[3], sizes[4]] = [sizes[4]!, sizes[3]!];
        },
      },
    ],
    ["a gap in front of the first section", "gap", { sections, before: [1] }],
    ["a gap between sections", "gap", { sections, before: [0, 0, 0, 4] }],
    ["bytes behind the last section", "gap", { sections, before: [0, 0, 0, 0, 0, 1] }],
    [
      "a size beyond the file",
      "truncated",
      { sections, table: (_, sizes) => (sizes[4] = sizes[4]! + 1n) },
    ],
    [
      "a size of 2^64 - 1",
      "truncated",
      { sections, table: (_, sizes) => (sizes[4] = 0xffff_ffff_ffff_ffffn) },
    ],
    ["an offset of 2^63", "gap", { sections, table: (offsets) => (offsets[4] = 1n << 63n) }],
    [
      "type 0",
      "unknown-section",
      { sections: [...sections, { type: 0, data: new Uint8Array(1) }] },
    ],
    [
      "type 6",
      "unknown-section",
      { sections: [...sections, { type: 6, data: new Uint8Array(1) }] },
    ],
    [
      "a section's own flags",
      "malformed-section",
      { sections: [{ ...kernel, flags: 1 }, ...sections.slice(1)] },
    ],
    [
      "two sizes of one section",
      "malformed-section",
      { sections: [{ ...kernel, statedSize: 767 }, ...sections.slice(1)] },
    ],
    [
      "a command line above 64 KiB",
      "malformed-section",
      { sections: [kernel, { type: 2, data: new Uint8Array(65_537) }, ...sections.slice(2)] },
    ],
    [
      "metadata above 1 MiB",
      "malformed-section",
      { sections: [kernel, commandLine, { type: 5, data: new Uint8Array(1_048_577) }] },
    ],
    [
      "a signature above 32 KiB",
      "malformed-section",
      { sections: [...sections, { type: 4, data: new Uint8Array(32_769) }] },
    ],
    ["no kernel", "wrong-section-count", { sections: sections.slice(1) }],
    ["two kernels", "wrong-section-count", { sections: [kernel, ...sections] }],
    [
      "no command line",
      "wrong-section-count",
      { sections: sections.filter((section) => section !== commandLine) },
    ],
    [
      "two command lines",
      "wrong-section-count",
      { sections: [kernel, commandLine, ...sections.slice(1)] },
    ],
    ["no ramdisk", "wrong-section-count", { sections: [kernel, commandLine, metadata] }],
    ["version 4 without metadata", "wrong-section-count", { sections: withoutMetadata }],
    ["metadata twice", "wrong-section-count", { sections: [...sections, metadata] }],
    ["metadata in version 3", "wrong-section-count", { version: 3, sections }],
    [
      "a signature in version 2",
      "wrong-section-count",
      { version: 2, sections: [...withoutMetadata, { type: 4, data: new Uint8Array(1) }] },
    ],
    [
      "two signatures",
      "wrong-section-count",
      {
        sections: [
          ...sections,
          { type: 4, data: new Uint8Array(1) },
          { type: 4, data: new Uint8Array(1) },
        ],
      },
    ],
    [
      "a command line in front of the kernel",
      "wrong-section-order",
      { sections: [commandLine, kernel, metadata, firstRamdisk] },
    ],
    [
      "a ramdisk in front of the command line",
      "wrong-section-order",
      { sections: [kernel, firstRamdisk, commandLine, metadata, secondRamdisk] },
    ],
    ["a bad checksum", "bad-checksum", { sections, checksumChange: 0x8000_0001 }],
    [
      "metadata that is no JSON",
      "malformed-metadata",
      { sections: [...withoutMetadata, { type: 5, data: text("{") }] },
    ],
    [
      "metadata that is no UTF-8",
      "malformed-metadata",
      { sections: [...withoutMetadata, { type: 5, data: Uint8Array.of(0x22, 0xff, 0x22) }] },
    ],
    [
      "metadata that is no object",
      "malformed-metadata",
      { sections: [...withoutMetadata, { type: 5, data: text("[]") }] },
    ],
    [
      "empty metadata",
      "malformed-metadata",
      { sections: [...withoutMetadata, { type: 5, data: new Uint8Array() }] },
    ],
    [
      "a signature that is none",
      "malformed-signature",
      { sections: [...sections, { type: 4, data: Uint8Array.of(0x81, 0xa0) }] },
    ],
  ];
  for (const [what, code, image] of faults) {
    it(what, () => refusesImage(code, () => parseImage(rawImage(image))));
  }

  it("nothing, and what is shorter than a header", () => {
    refusesImage("not-an-image", () => parseImage(new Uint8Array()));
    refusesImage("not-an-image", () => parseImage(rawImage({ sections }).subarray(0, 547)));
  });

  it("what is no regular file", () => {
    refusesImage("not-an-image", () => readImageFile(folder));
    refusesImage("not-an-image", () => readImageFile("/dev/zero"));
    const pipe = join(folder, "pipe");
    spawnSync("mkfifo", [pipe]);
    refusesImage("not-an-image", () => readImageFile(pipe));
  });

  it("every byte that is changed, with a code", () => {
    const bytes = rawImage({ sections });
    for (let at = 0; at < bytes.length; at++) {
      // The memory and the processors that an image asks for may be any, but the checksum covers them.
      const changed = bytes.slice();
      changed[at]! ^= 0x10;
      assert.throws(() => parseImage(changed), ImageError, `byte ${at}`);
    }
  });

  it("every file that is cut, with a code", () => {
    const bytes = rawImage({ sections });
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => parseImage(bytes.subarray(0, length)), ImageError, `${length} bytes`);
    }
  });
});

describe("the reader never fails in another way than its own", () => {
  const tolerated = (bytes: Uint8Array) => {
    try {
      parseImage(bytes);
    } catch (error) {
      assert.ok(error instanceof ImageError, String(error));
    }
  };

  it("on random bytes behind a header that looks right", () => {
    const bytes = fc.uint8Array({ minLength: 0, maxLength: 2000 });
    fc.assert(
      fc.property(bytes, (tail) => {
        const start = rawImage({ sections }).slice(0, 28);
        tolerated(new Uint8Array(Buffer.concat([start, tail])));
      }),
      { numRuns },
    );
  });

  it("on random sections whose checksum is right", () => {
    const section = fc.record({
      type: fc.integer({ min: 0, max: 7 }),
      flags: fc.constantFrom(0, 0, 0, 1),
      data: fc.uint8Array({ maxLength: 40 }),
    });
    const image = fc.record({
      version: fc.integer({ min: 1, max: 5 }),
      flags: fc.constantFrom(0, 1, 2, 0x240),
      sections: fc.array(section, { maxLength: 8 }),
    });
    fc.assert(
      fc.property(image, (raw) => tolerated(rawImage(raw))),
      { numRuns },
    );
  });

  it("and reads no more than is there", () => {
    const numbers = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
    fc.assert(
      fc.property(fc.nat(4), numbers, numbers, (i, offset, size) => {
        const table = (offsets: bigint[], sizes: bigint[]) => {
          offsets[i] = offset;
          sizes[i] = size;
        };
        tolerated(rawImage({ sections, table }));
      }),
      { numRuns },
    );
  });
});
