import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { CommanderError } from "commander";
import { parseReleases } from "../../attestation/release.ts";
import { imageCommand } from "../../cli/image.ts";
import { readImageFile } from "../../image/index.ts";
import { fakeExecutable, fakeKernel, fakeModule } from "../support/fake-boot-files.ts";
import { temporaryFolder } from "../support/folder.ts";
import { runProgram } from "../support/processes.ts";
import { rawImage, sections } from "../support/raw-image.ts";
import { noOpenssl } from "../support/self-signed.ts";
import { createSigner } from "../support/signers.ts";

const folder = temporaryFolder("image-command");
const place = (name: string) => join(folder.path, name);
folder.write("kernel", fakeKernel());
folder.write("busybox", fakeExecutable(), 0o755);
folder.write("node", fakeExecutable(), 0o755);
folder.write("modules/nsm.ko", fakeModule({}));
folder.write("app/package.json", '{"name":"notary","version":"1.2.3","main":"main.js"}');
folder.write("app/main.js", "");
const plain = folder.write("plain.eif", rawImage({ sections }));

const image = async (...args: readonly string[]) => runProgram("cli/main.js", "image", ...args);
const inputs = [
  "--app",
  place("app"),
  "--kernel",
  place("kernel"),
  "--modules",
  place("modules"),
  "--busybox",
  place("busybox"),
  "--node",
  place("node"),
];
const firstDigits = /^e211f7111c39/;

describe("sealrpc image build", () => {
  it("writes an image and a release entry, and prints the measurements", async () => {
    const [output, release] = [place("built.eif"), place("release.json")];
    const { status, stdout, stderr } = await image(
      "build",
      ...inputs,
      "--output",
      output,
      "--release",
      release,
      "--env",
      "A=1=2",
      "--image-version",
      "2.0.0",
      "--",
      "--listen",
      "vsock:any:5000",
    );
    assert.equal(status, 0, stderr);
    assert.equal(stderr, "");
    const { measurements, metadata } = readImageFile(output);
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
    for (const name of ["pcr0", "pcr1", "pcr2"] as const) {
      assert.match(stdout, new RegExp(`^${name.toUpperCase()} +${hex(measurements[name])}$`, "m"));
    }
    assert.doesNotMatch(stdout, /PCR8/);
    const { pcr0, pcr1, pcr2 } = measurements;
    // The list of `sealrpc release sign` takes the entry as it is.
    assert.deepEqual(parseReleases([JSON.parse(readFileSync(release, "utf8"))]), [
      {
        version: "2.0.0",
        status: "current",
        referenceValues: [{ pcr0: hex(pcr0), pcr1: hex(pcr1), pcr2: hex(pcr2) }],
      },
    ]);
    assert.equal(metadata?.["ImageVersion"], "2.0.0");
    assert.match(
      readFileSync(output, "latin1"),
      /'?A=1=2'? .*\/app\/main\.js --listen vsock:any:5000/,
    );
    assert.ok(!existsSync(`${output}.part`));
  });

  it("prints the same as JSON, and signs", { skip: noOpenssl }, async () => {
    const signer = createSigner();
    const output = place("signed.eif");
    const release = place("signed.json");
    const { status, stdout, stderr } = await image(
      "build",
      ...inputs,
      "--output",
      output,
      "--release",
      release,
      "--json",
      "--sign-key",
      folder.write("key.pem", signer.key),
      "--sign-cert",
      folder.write("certificate.pem", signer.certificate),
    );
    assert.equal(status, 0, stderr);
    const facts = JSON.parse(stdout) as Record<string, unknown>;
    assert.equal(facts["sizeBytes"], statSync(output).size);
    assert.equal(facts["name"], "notary");
    assert.deepEqual(facts["modules"], ["nsm"]);
    const measurements = facts["measurements"] as Record<string, string>;
    assert.match(measurements["pcr8"]!, /^[0-9a-f]{96}$/);
    const [entry] = parseReleases([JSON.parse(readFileSync(release, "utf8"))]);
    assert.equal(entry?.version, "1.2.3");
    assert.equal(entry.referenceValues[0]?.pcr8, measurements["pcr8"]);
    const inspected = await image("inspect", output);
    assert.match(inspected.stdout, /^signer +CN=releases\.example$/m);
    const measured = await image("measure", output);
    assert.match(measured.stdout, new RegExp(`^PCR8 +${measurements["pcr8"]}$`, "m"));
  });

  it("leaves nothing behind when an input cannot be used", async () => {
    const output = place("none.eif");
    const { status, stdout, stderr } = await image(
      "build",
      ...inputs,
      "--output",
      output,
      "--start",
      "absent.js",
    );
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^sealrpc: \[unusable-input\] the start file absent\.js/);
    assert.ok(!existsSync(output) && !existsSync(`${output}.part`));
  });

  it("says which addons will not load", async () => {
    folder.write("with-addon/package.json", '{"main":"main.js"}');
    folder.write("with-addon/main.js", "");
    folder.write("with-addon/x.node", fakeExecutable("aarch64"));
    const { status, stderr } = await image(
      "build",
      ...inputs.with(1, place("with-addon")),
      "--output",
      place("addon.eif"),
    );
    assert.equal(status, 0);
    assert.match(stderr, /^sealrpc: app\/x\.node will not load in the enclave/);
  });

  it("writes no release without a version", async () => {
    folder.write("nameless/main.js", "");
    const args = [...inputs.with(1, place("nameless")), "--start", "main.js"];
    const files = ["--output", place("nameless.eif"), "--release", place("nameless.json")];
    const { status, stderr } = await image("build", ...args, ...files);
    assert.equal(status, 2);
    assert.match(stderr, /--image-version/);
    assert.ok(!existsSync(place("nameless.eif")) && !existsSync(place("nameless.json")));
  });

  describe("calls wrong usage", () => {
    const output = ["--output", place("usage.eif")];
    const key = ["--sign-key", "key.pem"];
    for (const [what, args] of [
      ["no kernel", ["--app", ".", ...output]],
      ["no output", inputs],
      ["no application", [...inputs.slice(2), ...output]],
      ["two applications", [...inputs, ...output, "--npm", "."]],
      ["a key without its certificate", [...inputs, ...output, ...key]],
      ["a variable without a value", [...inputs, ...output, "--env", "A"]],
      ["a variable with a bad name", [...inputs, ...output, "--env", "A B=1"]],
      ["a CID that is none", [...inputs, ...output, "--parent-cid", "4294967295"]],
      ["a CID in hexadecimal", [...inputs, ...output, "--parent-cid", "0x3"]],
      ["an unknown option", [...inputs, ...output, "--docker"]],
    ] as const) {
      it(what, async () => {
        const command = imageCommand();
        for (const each of [command, ...command.commands]) {
          each.exitOverride().configureOutput({ writeErr: () => {} });
        }
        await assert.rejects(
          command.parseAsync(["build", ...args], { from: "user" }),
          CommanderError,
        );
      });
    }

    it("with status 2", async () => {
      const { status, stdout, stderr } = await image("build");
      assert.equal(status, 2);
      assert.equal(stdout, "");
      assert.match(stderr, /required option/);
    });
  });
});

describe("sealrpc image measure", () => {
  it("prints the measurements of any image", async () => {
    const { status, stdout, stderr } = await image("measure", plain);
    assert.equal(status, 0, stderr);
    const lines = stdout.trim().split("\n");
    assert.deepEqual(
      lines.map((line) => line.slice(0, 4)),
      ["PCR0", "PCR1", "PCR2"],
    );
    assert.match(lines[0]!.slice(6), firstDigits);
  });

  it("prints them as JSON under the names of a policy", async () => {
    const { stdout } = await image("measure", plain, "--json");
    const facts = JSON.parse(stdout) as Record<string, string>;
    assert.deepEqual(Object.keys(facts), ["pcr0", "pcr1", "pcr2"]);
    assert.match(facts["pcr0"]!, firstDigits);
  });

  it("exits with 1 and the code for what is refused", async () => {
    const bad = folder.write("bad.eif", rawImage({ sections, checksumChange: 1 }));
    const { status, stdout, stderr } = await image("measure", bad);
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^sealrpc: \[bad-checksum\] /);
  });

  it("exits with 1 for a file that is not there, and 2 without one", async () => {
    assert.equal((await image("measure", place("absent"))).status, 1);
    assert.equal((await image("measure")).status, 2);
  });
});

describe("sealrpc image inspect", () => {
  let text = "";
  let facts: Record<string, unknown> = {};
  before(async () => {
    text = (await image("inspect", plain)).stdout;
    facts = JSON.parse((await image("inspect", plain, "--json")).stdout) as typeof facts;
  });

  it("prints everything", () => {
    for (const line of [
      /^version +4$/m,
      /^architecture +x86_64$/m,
      /^asks for +1073741824 bytes of memory, 2 processors$/m,
      /^sections +kernel, 768 bytes at 560$/m,
      /^ +ramdisk, 143 bytes at \d+$/m,
      /^command line +reboot=k /m,
      /^metadata +\{"ImageName":"test"\}$/m,
      /^signer +none$/m,
      /^PCR0 +e211f711/m,
    ]) {
      assert.match(text, line);
    }
  });

  it("prints the same as JSON", () => {
    assert.equal(facts["version"], 4);
    assert.equal((facts["sections"] as unknown[]).length, 5);
    assert.deepEqual(facts["metadata"], { ImageName: "test" });
    assert.equal(facts["signer"], null);
    assert.match((facts["measurements"] as Record<string, string>)["pcr0"]!, firstDigits);
  });

  it("lets no text of the image steer the terminal", async () => {
    const data = new TextEncoder().encode("quiet\u001b[2J\u202e");
    const strange = folder.write(
      "strange.eif",
      rawImage({
        sections: sections.map((section) => (section.type === 2 ? { type: 2, data } : section)),
      }),
    );
    for (const args of [[], ["--json"]]) {
      const { stdout } = await image("inspect", strange, ...args);
      // eslint-disable-next-line no-control-regex
      assert.doesNotMatch(stdout, /[\u001b\u202e]/);
      assert.match(stdout, /202e/);
    }
  });
});

describe("sealrpc image", () => {
  it("shows its commands", async () => {
    const { status, stdout } = await image("--help");
    assert.equal(status, 0);
    for (const name of ["build", "measure", "inspect"])
      assert.match(stdout, new RegExp(`^  ${name} `, "m"));
  });

  it("refuses an unknown one with status 2", async () => {
    assert.equal((await image("boot")).status, 2);
  });
});
