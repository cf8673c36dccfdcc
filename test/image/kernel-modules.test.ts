import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { findModules } from "../../image/kernel-modules.ts";
import { fakeModule, release } from "../support/fake-boot-files.ts";
import { temporaryFolder } from "../support/folder.ts";
import { refusesImage } from "../support/image-error.ts";

const kernel = { architecture: "x86_64", release } as const;
const folder = temporaryFolder("modules");
const place = (name: string) => `${folder.path}/${name}`;
const names = (modules: readonly { readonly name: string }[]) => modules.map(({ name }) => name);

/** A directory as a distribution has it. */
function write(name: string, changes: Readonly<Record<string, Uint8Array>> = {}): string {
  const files = {
    "net/vsock.ko": fakeModule({ depends: "" }),
    "net/vmw_vsock_virtio_transport.ko": fakeModule({
      depends: "vsock,vmw_vsock_virtio_transport_common",
    }),
    "net/vmw_vsock_virtio_transport_common.ko": fakeModule({ depends: "vsock" }),
    "drivers/nsm.ko": fakeModule({ depends: "rng-core" }),
    "drivers/rng-core.ko": fakeModule({}),
    "drivers/other.ko": fakeModule({}),
    ...changes,
  };
  for (const [file, content] of Object.entries(files)) folder.write(`${name}/${file}`, content);
  return place(name);
}

describe("kernel modules", () => {
  it("come with what they depend on, in the order in which they can be loaded", () => {
    assert.deepEqual(names(findModules(write("plain"), kernel)), [
      "vsock",
      "vmw_vsock_virtio_transport_common",
      "vmw_vsock_virtio_transport",
      "rng_core",
      "nsm",
    ]);
  });

  it("that the kernel has built in are passed over", () => {
    folder.write("nsm-only/nsm.ko", fakeModule({}));
    assert.deepEqual(names(findModules(place("nsm-only"), kernel)), ["nsm"]);
  });

  it("can be named, and must be there then", () => {
    const path = write("named");
    assert.deepEqual(names(findModules(path, kernel, ["other", "vsock"])), ["other", "vsock"]);
    refusesImage("unusable-input", () => findModules(path, kernel, ["absent"]), /absent is not in/);
  });

  it("are taken out of gzip", () => {
    const module = fakeModule({});
    folder.write("gzip/nsm.ko.gz", gzipSync(module));
    const [found] = findModules(place("gzip"), kernel);
    assert.deepEqual(new Uint8Array(found!.content), module);
    folder.write("gzip-bad/nsm.ko.gz", module);
    refusesImage("unusable-input", () => findModules(place("gzip-bad"), kernel), /gzip/);
  });

  const noXz = spawnSync("xz", ["--version"]).status === 0 ? false : "xz is not there";
  it("are taken out of xz", { skip: noXz }, () => {
    const module = fakeModule({});
    folder.write("xz/nsm.ko.xz", spawnSync("xz", ["-c"], { input: module }).stdout);
    const [found] = findModules(place("xz"), kernel);
    assert.deepEqual(new Uint8Array(found!.content), module);
    folder.write("xz-bad/nsm.ko.xz", module);
    refusesImage("unusable-input", () => findModules(place("xz-bad"), kernel), /xz/);
  });

  for (const [what, module, message] of [
    ["made for another kernel", fakeModule({ vermagic: "6.12.1 SMP" }), /made for kernel 6\.12\.1/],
    ["of another architecture", fakeModule({}, { machine: 183 }), /aarch64/],
    ["that are no modules", fakeModule({}, { section: ".text" }), /no kernel module/],
    ["that depend on each other in a circle", fakeModule({ depends: "nsm" }), /on itself/],
    ["that depend on what is not there", fakeModule({ depends: "absent" }), /absent is not in/],
  ] as const) {
    it(`${what} are refused`, () => {
      const path = write(what.replaceAll(" ", "-"), { "drivers/rng-core.ko": module });
      refusesImage("unusable-input", () => findModules(path, kernel), message);
    });
  }

  it("that are there twice are refused", () => {
    const path = write("twice", { "updates/nsm.ko": fakeModule({}) });
    refusesImage("unusable-input", () => findModules(path, kernel), /twice/);
  });

  it("are not compared with a kernel that does not tell its release", () => {
    const modules = findModules(write("unknown"), { architecture: "x86_64", release: undefined });
    assert.equal(modules.length, 5);
  });
});
