/** deploy/systemd: as systemd reads the units, and as it would expand the proxy's command. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { RunningProgram, runProgram } from "../support/processes.ts";
import { repositoryRoot } from "../support/repository.ts";
import { noOpenssl, selfSigned } from "../support/self-signed.ts";

const read = (file: string): string =>
  readFileSync(join(repositoryRoot, "deploy", "systemd", file), "utf8");
const noSystemd = spawnSync("systemd-analyze", ["--version"]).error
  ? "systemd-analyze is not installed"
  : false;

describe("the units of deploy/systemd", { skip: noSystemd }, () => {
  const folder = temporaryFolder("units");
  const program = folder.write("program", "#!/bin/sh\n", 0o755);
  for (const unit of ["sealrpc-proxy.service", "sealrpc-enclave.service"]) {
    folder.write(unit, read(unit).replace(/^ExecStart=\S+/m, `ExecStart=${program}`));
  }
  folder.write("sealrpc-proxy.service.d/tls.conf", read("tls.conf"));
  const analyze = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync("systemd-analyze", args, { encoding: "utf8" });
    return { status, output: stdout + stderr };
  };

  for (const unit of ["sealrpc-proxy.service", "sealrpc-enclave.service"]) {
    it(`are understood: ${unit}`, () => {
      const { status, output } = analyze("verify", join(folder.path, unit));
      assert.equal(output, "");
      assert.equal(status, 0);
    });
  }

  it("expose little of the system to the proxy", () => {
    const file = join(folder.path, "sealrpc-proxy.service");
    const { status, output } = analyze("security", "--offline=true", "--threshold=20", file);
    assert.equal(status, 0, output);
  });
});

describe("the command of sealrpc-proxy.service", () => {
  const [, words = ""] = /^ExecStart=sealrpc (.*)$/m.exec(read("sealrpc-proxy.service")) ?? [];

  /** `${NAME}` is one word, `$NAME` as many as it has. */
  function expand(variables: Readonly<Record<string, string>>): readonly string[] {
    return words.split(" ").flatMap((word) => {
      const [, braced, bare] = /^\$\{(\w+)\}$|^\$(\w+)$/.exec(word) ?? [];
      if (braced !== undefined) return variables[braced] ?? "";
      if (bare === undefined) return word;
      return (variables[bare] ?? "").split(" ").filter((part) => part !== "");
    });
  }

  const variables = (text: string): Record<string, string> =>
    Object.fromEntries(
      Array.from(text.matchAll(/^(\w+)=(.*)$/gm), ([, name = "", value = ""]) => [name, value]),
    );
  const here = { SEALRPC_LISTEN: "127.0.0.1:0", SEALRPC_ENCLAVE: "unix:/nowhere" };

  it("has what the file of options sets", () => {
    const command = "proxy --listen 0.0.0.0:8443 --enclave vsock:16:5000";
    assert.equal(expand(variables(read("sealrpc-proxy.env"))).join(" "), command);
  });

  it("knows the options that the file explains, by their defaults", async () => {
    const { stdout } = await runProgram("cli/main.js", "proxy", "--help");
    const help = stdout.replace(/\s+/g, " ");
    const explained = [...read("sealrpc-proxy.env").matchAll(/^# {3}(--\S+) .*?; (\w+)/gm)];
    assert.equal(explained.length, 5);
    for (const [, option = "", initial = ""] of explained) {
      const [, shown] = new RegExp(`${option} <.*?default: "?(\\w+)`).exec(help) ?? [];
      assert.equal(shown, initial, option);
    }
  });

  it("starts the proxy, with the options of tls.conf too", { skip: noOpenssl }, async () => {
    const folder = temporaryFolder("credentials");
    const { cert, key } = selfSigned("localhost");
    folder.write("tls.crt", cert);
    folder.write("tls.key", key);
    const [, tls = ""] = /^Environment="SEALRPC_TLS=(.*)"$/m.exec(read("tls.conf")) ?? [];
    const args = expand({
      ...here,
      SEALRPC_OPTIONS: "--log-level info --window 2097152",
      SEALRPC_TLS: tls.replaceAll("%d", folder.path),
    });
    const proxy = new RunningProgram("cli/main.js", { args });
    await proxy.says(/"tls":true,"msg":"listening"/);
    await proxy.stop("SIGKILL");
  });
});
