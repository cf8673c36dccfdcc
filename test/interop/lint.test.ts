/** What can be said of deploy/ without running it. Run by `npm run test:interop`. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import { repositoryRoot } from "../support/repository.ts";

const found = process.env["SEALRPC_INTEROP"];
if (found === undefined) throw new Error("run this by npm run test:interop");
const { linters } = JSON.parse(found) as {
  readonly linters: { readonly folder?: string; readonly absent?: string };
};

describe("deploy", { skip: linters.absent ?? false }, () => {
  function lint(program: string, ...args: readonly string[]): void {
    const command = join(linters.folder ?? "", "bin", program);
    const { status, stdout, stderr } = spawnSync(command, args, {
      cwd: join(repositoryRoot, "deploy"),
      encoding: "utf8",
    });
    assert.equal(status, 0, stdout + stderr);
  }

  it("has a script that shellcheck passes", () => {
    lint("shellcheck", "--shell=sh", "nitro/run-enclave.sh");
  });

  it("has manifests of the shape that Kubernetes knows, and no field besides", () => {
    lint("kubernetes-validate", "--strict", "kubernetes/notary.yaml");
  });
});
