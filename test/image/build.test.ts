import assert from "node:assert/strict";
import { copyFileSync, cpSync, readFileSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { buildImage, type BuildOptions, DEFAULT_COMMAND_LINE } from "../../image/build.ts";
import { heartbeatProgram } from "../../image/boot/programs.ts";
import { parseImage } from "../../image/reader.ts";
import {
  fakeArmKernel,
  fakeExecutable,
  fakeKernel,
  fakeLibrary,
  fakeModule,
} from "../support/fake-boot-files.ts";
import { temporaryFolder } from "../support/folder.ts";
import { refusesImage } from "../support/image-error.ts";

const folder = temporaryFolder("build");
const inputs = join(folder.path, "inputs");
folder.write("inputs/kernel", fakeKernel());
folder.write("inputs/kernel-arm", fakeArmKernel());
folder.write("inputs/busybox", fakeExecutable(), 0o755);
folder.write("inputs/node", fakeExecutable(), 0o755);
folder.write("inputs/modules/nsm.ko", fakeModule({}));
folder.write("inputs/app/package.json", '{"name":"notary","version":"1.2.3","main":"main.js"}');
folder.write("inputs/app/main.js", "console.log(1);");
folder.write("inputs/app/.git/HEAD", "ref: refs/heads/main");
folder.write("inputs/rootfs/usr/bin/node", fakeExecutable(), 0o755);
folder.write("inputs/rootfs/etc/hosts", "127.0.0.1 localhost other\n");
folder.write("inputs/rootfs/dev/null", "a device of the machine");

const optionsAt = (path: string): BuildOptions => ({
  kernel: join(path, "kernel"),
  modules: join(path, "modules"),
  busybox: join(path, "busybox"),
  runtime: { node: join(path, "node") },
  application: { directory: join(path, "app") },
  arguments: ["--listen", "vsock:any:5000"],
  environment: { LOG: "it's" },
});
const options = optionsAt(inputs);
const fileOf = (changes: Partial<BuildOptions> = {}) =>
  new Uint8Array(Buffer.concat(buildImage({ ...options, ...changes }).pieces));

/** A ramdisk's files by name: mode and content. */
function filesOf(
  bytes: Uint8Array,
  ramdisk: number,
): ReadonlyMap<string, readonly [string, string]> {
  const section = parseImage(bytes).sections.filter(({ kind }) => kind === "ramdisk")[ramdisk]!;
  const archive = Buffer.from(bytes.buffer, section.offset, section.sizeBytes);
  const files = new Map<string, readonly [string, string]>();
  for (let at = 0; ;) {
    const field = (i: number) =>
      Number.parseInt(archive.toString("latin1", at + 6 + 8 * i, at + 14 + 8 * i), 16);
    const [mode, size, nameSize] = [field(1), field(6), field(11)];
    const name = archive.toString("utf8", at + 110, at + 109 + nameSize);
    const start = (at + 110 + nameSize + 3) & ~3;
    if (name === "TRAILER!!!") return files;
    files.set(name, [mode.toString(8), archive.toString("latin1", start, start + size)]);
    at = (start + size + 3) & ~3;
  }
}

describe("a built image", () => {
  it("is read back, with the measurements that were told", () => {
    const built = buildImage(options);
    const image = parseImage(new Uint8Array(Buffer.concat(built.pieces)));
    assert.deepEqual(image.measurements, built.measurements);
    assert.equal(image.architecture, "x86_64");
    assert.equal(image.commandLine, DEFAULT_COMMAND_LINE);
    assert.equal(image.metadata?.["ImageName"], "notary");
    assert.equal(image.metadata?.["ImageVersion"], "1.2.3");
    assert.deepEqual(
      image.sections.map(({ kind }) => kind),
      ["kernel", "command-line", "metadata", "ramdisk", "ramdisk"],
    );
    assert.deepEqual(built.modules, ["nsm"]);
  });

  it("is the same, byte for byte, from another folder at another time", () => {
    const other = join(folder.path, "somewhere", "else");
    cpSync(inputs, other, { recursive: true });
    for (const file of ["app/main.js", "node", "modules/nsm.ko"]) {
      utimesSync(join(other, file), 1, 1);
    }
    assert.deepEqual(Buffer.from(fileOf(optionsAt(other))), Buffer.from(fileOf()));
  });

  it("has the bootstrap in its first ramdisk", () => {
    const files = filesOf(fileOf(), 0);
    const names = [...files.keys()].filter((name) => !name.startsWith("bin/"));
    assert.deepEqual(names, [
      "bin",
      "dev",
      "dev/console",
      "init",
      "modules",
      "modules/000-nsm.ko",
      "proc",
      "sys",
    ]);
    assert.equal(files.get("dev/console")?.[0], "20600");
    assert.equal(files.get("init")?.[0], "100755");
    assert.equal(files.get("bin/sh")?.[1], "busybox");
    assert.equal(files.get("bin/seed")?.[0], "100755");
    const heartbeat = Buffer.from(files.get("bin/heartbeat")![1], "latin1");
    assert.deepEqual(new Uint8Array(heartbeat), heartbeatProgram("x86_64", 3));
  });

  it("has Node and the application in its second ramdisk, without the history", () => {
    const files = filesOf(fileOf(), 1);
    assert.deepEqual(
      [...files].filter(([, [mode]]) => mode.startsWith("100")).map(([name]) => name),
      [
        "rootfs/app/main.js",
        "rootfs/app/package.json",
        "rootfs/etc/group",
        "rootfs/etc/hosts",
        "rootfs/etc/passwd",
        "rootfs/usr/bin/node",
        "start",
      ],
    );
    assert.equal(files.get("rootfs/tmp")?.[0], "41777");
    const start =
      "#!/bin/busybox sh\n" +
      "exec env -i HOME=/ NODE_ENV=production PATH=/usr/bin:/bin 'LOG=it'\\''s' " +
      "/bin/chroot /rootfs /usr/bin/node /app/main.js --listen vsock:any:5000\n";
    assert.equal(files.get("start")?.[1], start);
  });

  it("changes PCR1 with the bootstrap only, PCR2 with the application only, PCR0 with either", () => {
    const { pcr0, pcr1, pcr2 } = buildImage(options).measurements;
    const parent = buildImage({ ...options, parentCid: 2 }).measurements;
    assert.notDeepEqual(parent.pcr0, pcr0);
    assert.notDeepEqual(parent.pcr1, pcr1);
    assert.deepEqual(parent.pcr2, pcr2);
    for (const change of [{ arguments: [] }, { environment: {} }, { start: "package.json" }]) {
      const application = buildImage({ ...options, ...change }).measurements;
      assert.notDeepEqual(application.pcr0, pcr0);
      assert.deepEqual(application.pcr1, pcr1);
      assert.notDeepEqual(application.pcr2, pcr2);
    }
  });

  it("measures the same under another name", () => {
    const { measurements } = buildImage(options);
    const other = buildImage({ ...options, name: "x", version: "9", builderVersion: "8" });
    assert.deepEqual(other.measurements, measurements);
  });

  it("takes a root file system in place of Node, and keeps what is in it", () => {
    const runtime = { rootFileSystem: join(inputs, "rootfs") };
    const files = filesOf(fileOf({ runtime }), 1);
    assert.equal(files.get("rootfs/etc/hosts")?.[1], "127.0.0.1 localhost other\n");
    assert.ok(files.has("rootfs/etc/passwd"));
    assert.ok(!files.has("rootfs/dev/null"));
    assert.equal(files.get("rootfs/usr/bin/node")?.[0], "100755");
  });

  it("tells addons whose libraries are not there", () => {
    const app = join(folder.path, "addons");
    cpSync(join(inputs, "app"), app, { recursive: true });
    copyFileSync(join(inputs, "node"), join(app, "good.node"));
    folder.write("addons/arm.node", fakeExecutable("aarch64"));
    folder.write("addons/text.node", "not an addon");
    const builds = "addons/node_modules/@scope/prebuilt";
    folder.write(`${builds}/glibc.node`, fakeLibrary([], ""));
    folder.write(`${builds}/musl.node`, fakeLibrary(["libc.musl-x86_64.so.1"], ""));
    folder.write("addons/node_modules/other/musl.node", fakeLibrary(["libc.musl-x86_64.so.1"], ""));
    const { incompleteAddons } = buildImage({ ...options, application: { directory: app } });
    assert.deepEqual(
      [...incompleteAddons],
      [
        ["app/arm.node", ["a file of x86_64"]],
        ["app/node_modules/other/musl.node", ["libc.musl-x86_64.so.1"]],
        ["app/text.node", ["a file that is ELF"]],
      ],
    );
  });

  it("tells its steps", () => {
    const steps: string[] = [];
    buildImage({ ...options, onStep: (step) => steps.push(step) });
    assert.equal(steps.length, 4);
  });

  it(
    "brings the libraries of the Node that runs this",
    { skip: process.platform !== "linux" },
    () => {
      if (process.arch !== "x64") return;
      const files = filesOf(fileOf({ runtime: { node: process.execPath } }), 1);
      const libc = [...files].find(([name]) => /^rootfs\/.*libc\.so\.6$/.test(name));
      const path = libc![0].slice("rootfs".length);
      assert.equal(Buffer.from(libc![1][1], "latin1").compare(readFileSync(path)), 0);
      assert.equal(libc![1][0], "100755");
    },
  );
});

describe("no image is built", () => {
  for (const [what, changes, message] of [
    ["of a kernel that is none", { kernel: join(inputs, "busybox") }, /no kernel/],
    [
      "with a busybox of another architecture",
      { kernel: join(inputs, "kernel-arm"), modules: join(inputs, "app") },
      /static executable of aarch64/,
    ],
    ["with a busybox that needs libraries", { busybox: process.execPath }, /static executable/],
    ["with a busybox that is none", { busybox: join(inputs, "app/main.js") }, /ELF/],
    ["with a Node that is none", { runtime: { node: join(inputs, "app/main.js") } }, /ELF/],
    [
      "with a root file system without Node",
      { runtime: { rootFileSystem: join(inputs, "app") } },
      /no usr\/bin\/node/,
    ],
    [
      "without a start file",
      { application: { directory: join(inputs, "modules") } },
      /no start file/,
    ],
    ["with a start file that is not there", { start: "other.js" }, /not among the files/],
    ["with a start file that is a directory", { start: "." }, /not among the files/],
    ["with a start file outside", { start: "../etc/hosts" }, /not among the files/],
    ["with modules of another kernel", { moduleNames: ["vsock"] }, /vsock is not in/],
  ] as const) {
    it(what, () => refusesImage("unusable-input", () => fileOf(changes), message));
  }

  it("of files that are not there", () => {
    for (const change of [{ kernel: "/absent" }, { busybox: "/absent" }, { modules: "/absent" }]) {
      assert.throws(() => fileOf(change), { code: "ENOENT" });
    }
  });
});
