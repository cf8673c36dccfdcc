import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { initApplets, initScript, startScript } from "../../../image/boot/init-script.ts";
import { temporaryFolder } from "../../support/folder.ts";

const numRuns = Math.min(Number(process.env["FUZZ_RUNS"] ?? 100), 1000);
const folder = temporaryFolder("init");

/**
 * Runs a script with programs in front of it that write down how they were called, and fail or answer as
 * told. The script itself is the enclave's but for the places of files.
 */
function runInit({
  current = "nsm-hwrng",
  writable = true,
  failing = [],
}: {
  current?: string;
  writable?: boolean;
  failing?: readonly string[];
} = {}) {
  const root = join(folder.path, `${Math.random()}`.slice(2));
  const place = (path: string) => join(root, path);
  const write = (path: string, content: string, mode?: number) =>
    folder.write(place(path).slice(folder.path.length + 1), content, mode);
  const log = write("log", "");
  const current_ = write("rng_current", `${current}\n`);
  write("modules/000-vsock.ko", "");
  write("modules/001-nsm.ko", "");
  write("start", `echo "start $*" >> ${log}\nexit 7\n`);
  for (const program of ["mount", "insmod", "ip", "seed", "heartbeat", "reboot", "sleep"]) {
    const status = failing.includes(program) ? 3 : 0;
    write(`bin/${program}`, `#!/bin/sh\necho "${program} $*" >> ${log}\nexit ${status}\n`, 0o755);
  }
  const script = initScript
    .replace("export PATH=/bin\n", `export PATH=${place("bin")}:$PATH\n`)
    .replaceAll("/modules/", `${place("modules")}/`)
    .replace("source=/sys/devices/virtual/misc/hw_random/rng_current", `source=${current_}`)
    .replace("> $source", writable ? "> $source" : "> /dev/null")
    .replace("ulimit -n 65536", "true")
    .replace("sh /start", `sh ${place("start")}`);
  const path = write("init", script);
  const { stdout, status } = spawnSync("sh", [path], { encoding: "utf8" });
  const calls = readFileSync(log, "utf8").trim().split("\n");
  return { stdout, status, calls: calls.map((call) => call.replaceAll(`${root}/`, "/")) };
}

describe("the first program of an enclave", () => {
  it("prepares it, seeds, tells the parent, and then starts the application", () => {
    const { calls, stdout } = runInit();
    assert.deepEqual(
      calls.filter((call) => !call.startsWith("mount")),
      [
        "insmod /modules/000-vsock.ko",
        "insmod /modules/001-nsm.ko",
        "ip link set lo up",
        "seed ",
        "heartbeat ",
        "start ",
        "sleep 1",
        "reboot -f",
      ],
    );
    assert.deepEqual(
      calls.filter((call) => call.startsWith("mount")),
      [
        "mount -t proc -o nosuid,nodev,noexec proc /proc",
        "mount -t sysfs -o nosuid,nodev,noexec sysfs /sys",
        "mount -t devtmpfs -o nosuid,noexec devtmpfs /dev",
        "mount -o bind /proc /rootfs/proc",
        "mount -o bind /sys /rootfs/sys",
        "mount -o bind /dev /rootfs/dev",
      ],
    );
    assert.match(stdout, /the application has ended with status 7/);
  });

  it("makes the security module the source of randomness", () => {
    const { calls } = runInit({ current: "tpm-rng" });
    assert.ok(calls.includes("start "));
  });

  for (const [what, options] of [
    ["the source of randomness is another and stays so", { current: "none", writable: false }],
    ["there is no source of randomness", { current: "", writable: false }],
    ["seeding fails", { failing: ["seed"] }],
    ["a module does not load", { failing: ["insmod"] }],
    ["the loopback interface does not come up", { failing: ["ip"] }],
    ["nothing can be mounted", { failing: ["mount"] }],
  ] as const) {
    it(`ends the enclave without starting the application or telling the parent when ${what}`, () => {
      const { calls, stdout, status } = runInit(options);
      assert.ok(!calls.some((call) => /^(start|heartbeat)/.test(call)), calls.join("\n"));
      assert.equal(calls.at(-1), "reboot -f");
      assert.equal(status, 1);
      assert.match(stdout, /the application is not started/);
    });
  }

  it("starts the application though the parent does not answer, and says so", () => {
    const { calls, stdout } = runInit({ failing: ["heartbeat"] });
    assert.ok(calls.includes("start "));
    assert.match(stdout, /no answer to the heartbeat \(step 3\)/);
  });

  it("has every program that it uses", () => {
    const builtIn = ["echo", "exit", "export", "ulimit", "umask", "true"];
    const own = ["finish", "refuse", "seed", "heartbeat"];
    const words = initScript
      .replaceAll(/^\s*#.*$|"[^"]*"/gm, "")
      .matchAll(/(?:^|\|\||&&|\$\(|timeout \d+)\s*([a-z]+)(?=[ \n)])/gm);
    const keywords = ["for", "do", "done", "continue"];
    for (const [, word = ""] of words) {
      assert.ok([...initApplets, ...builtIn, ...own, ...keywords].includes(word), word);
    }
  });
});

describe("the script that starts the application", () => {
  /** The words of the script, as a shell reads them. */
  function words(command: readonly string[], environment: Record<string, string> = {}) {
    const script = startScript({ command, environment }).replace("exec env", "printf '%s\\0' env");
    const { stdout } = spawnSync("sh", ["-c", script], { encoding: "utf8" });
    return stdout.split("\0").slice(0, -1);
  }

  it("leaves words and variables as they are, whatever is in them", () => {
    const command = ["/usr/bin/node", "/app/it's.js", "$(reboot)", "a b", "", "`x`", "\\", "é\n"];
    assert.deepEqual(words(command, { A: "1 2", B: "'\"$HOME" }), [
      "env",
      "-i",
      "A=1 2",
      "B='\"$HOME",
      "/bin/chroot",
      "/rootfs",
      ...command,
    ]);
  });

  it("does so for any text", () => {
    const text = fc.string({ unit: "grapheme" }).map((value) => value.replaceAll("\0", ""));
    fc.assert(
      fc.property(fc.array(text, { maxLength: 3 }), (command) => {
        assert.deepEqual(words(command).slice(4), command);
      }),
      { numRuns: Math.ceil(numRuns / 5) },
    );
  });
});
