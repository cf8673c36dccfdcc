/** deploy/nitro/run-enclave.sh with the notary in place of an enclave, started by a nitro-cli that is none. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { repositoryRoot } from "../support/repository.ts";

const script = join(repositoryRoot, "deploy", "nitro", "run-enclave.sh");
const config = join(repositoryRoot, "deploy", "nitro", "enclave.json");
const dist = join(repositoryRoot, "dist");

describe("run-enclave.sh", { timeout: 180_000 }, () => {
  const folder = temporaryFolder("run-enclave");
  const policy = join(folder.path, "policy.json");
  const ended = join(folder.path, "ended");
  folder.write(
    "bin/sealrpc",
    `#!/bin/sh\nexec "${process.execPath}" "${dist}/cli/main.js" "$@"\n`,
    0o755,
  );
  folder.write(
    "bin/nitro-cli",
    `#!/bin/sh
case "$1 $2 $3" in
"run-enclave --config ${config}") ;;
"terminate-enclave --enclave-id i-1-enc2")
  kill "$(cat "${folder.path}/pid")" && touch "${ended}" && exit ;;
*) echo "unexpected: $*" >&2 && exit 1 ;;
esac
"${process.execPath}" "${dist}/examples/notary/enclave.js" --listen "unix:${folder.path}/enclave" \\
  --attester simulator --write-policy "${policy}" >/dev/null 2>&1 &
echo $! >"${folder.path}/pid"
echo "Started enclave with enclave-cid: 16" >&2
echo "{\\"EnclaveID\\": \\"i-1-enc2\\", \\"ProcessID\\": $!, \\"EnclaveCID\\": 16}"
`,
    0o755,
  );

  const pid = (): string => readFileSync(join(folder.path, "pid"), "utf8").trim();
  let child: ChildProcess | undefined;
  afterEach(() => {
    // The group: what it has started too, or its output would never end.
    if (child?.pid !== undefined) kill(-child.pid);
    if (!existsSync(ended)) kill(Number(pid()));
    rmSync(ended, { force: true });
  });

  /** Ends a process, or a group of them, unless it has ended. */
  function kill(number: number): void {
    try {
      process.kill(number, "SIGKILL");
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, "ESRCH");
    }
  }

  /** Starts the script; the function waits until its output matches. */
  function start(env: Readonly<Record<string, string>>): {
    readonly run: ChildProcess;
    readonly says: (pattern: RegExp) => Promise<void>;
    readonly exit: Promise<unknown>;
  } {
    const run = spawn(script, [config], {
      env: {
        ...process.env,
        PATH: `${folder.path}/bin:${process.env["PATH"] ?? ""}`,
        // Never a VSOCK address here: this machine is no parent.
        SEALRPC_ENCLAVE: `unix:${folder.path}/enclave`,
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    child = run;
    let output = "";
    for (const stream of [run.stdout, run.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
        run.emit("said");
      });
    }
    const exit = once(run, "close").then(([status]: unknown[]) => {
      run.emit("said");
      return status;
    });
    return {
      run,
      exit,
      says: async (pattern) => {
        while (!pattern.test(output)) {
          assert.equal(run.exitCode, null, output);
          await once(run, "said");
        }
      },
    };
  }

  it("prints what the enclave attests, and ends it on SIGTERM", async () => {
    const { run, says, exit } = start({ SEALRPC_POLICY: policy });
    await says(/CID 16[^]*verdict +verified[^]*pcr0/i);
    run.kill("SIGTERM");
    assert.equal(await exit, 0);
    assert.ok(existsSync(ended));
  });

  it("fails when the enclave ends", async () => {
    const { says, exit } = start({ SEALRPC_POLICY: policy });
    await says(/verdict +verified/);
    kill(Number(pid()));
    await says(/i-1-enc2 has ended/);
    assert.equal(await exit, 1);
  });

  it("ends an enclave at once that the policy does not admit", async () => {
    // Without a policy the root must be AWS's, and a simulator's is not.
    const { says, exit } = start({});
    await says(/untrusted-chain/);
    assert.equal(await exit, 1);
    assert.ok(existsSync(ended));
  });

  it("gives up on an enclave that does not answer", async () => {
    const nowhere = { SEALRPC_ENCLAVE: `unix:${folder.path}/nowhere`, SEALRPC_WAIT: "1" };
    const { says, exit } = start(nowhere);
    await says(/UNAVAILABLE/);
    assert.equal(await exit, 1);
  });
});
