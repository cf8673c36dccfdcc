import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, describe, it } from "node:test";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const copy = mkdtempSync(join(tmpdir(), "layers-"));
copyFileSync(join(root, ".oxlintrc.json"), join(copy, ".oxlintrc.json"));

/** Plants one import in a folder of an otherwise empty tree and says whether the linter refuses it. */
function refused(folder: string, statement: string): boolean {
  mkdirSync(join(copy, folder), { recursive: true });
  writeFileSync(join(copy, folder, "probe.ts"), `${statement}\n`);
  const { stdout } = spawnSync(
    process.execPath,
    [join(root, "node_modules", "oxlint", "bin", "oxlint"), join(folder, "probe.ts")],
    { cwd: copy, encoding: "utf8" },
  );
  assert.match(stdout, /Finished in/);
  return stdout.includes("no-restricted");
}

describe("the import table", () => {
  after(() => rmSync(copy, { recursive: true }));

  const forbidden = [
    ["services/proxy", 'import "../../channel/errors.ts";'],
    ["services/proxy", 'import "../../attestation/errors.ts";'],
    ["services/proxy", 'import "../../crypto/backend.ts";'],
    ["services", 'import "../channel/errors.ts";'],
    ["channel", 'import "node:net";'],
    [
      "channel",
      'import { AttestationError } from "../attestation/errors.ts"; void AttestationError;',
    ],
    ["channel", "export const bytes: Uint8Array = Buffer.alloc(1);"],
    ["attestation", 'import "node:crypto";'],
    ["attestation", 'import "../channel/errors.ts";'],
    ["attestation", 'import "jose/errors";'],
    ["transport", 'import "../channel/errors.ts";'],
    ["crypto", 'import "@noble/curves/nist.js";'],
    ["services/client", 'import "../enclave/index.ts";'],
    ["services/enclave", 'import "../client/index.ts";'],
    ["examples/notary", 'import "../../services/client/index.ts";'],
    ["bench", 'import "../services/client/index.ts";'],
    ["bench/programs", 'import "../../channel/session.ts";'],
    ["image", 'import "../crypto/backend.ts";'],
    ["image", 'import "../attestation/index.ts";'],
    ["services/enclave", 'import "../../image/index.ts";'],
    ["transport", 'import "../image/index.ts";'],
  ] as const;
  for (const [folder, statement] of forbidden) {
    it(`refuses in ${folder}: ${statement}`, () => {
      assert.ok(refused(folder, statement));
    });
  }

  it("lets channel import the type of verified evidence", () => {
    assert.ok(
      !refused(
        "channel",
        'export type { VerifiedEvidence } from "../attestation/verified-evidence.ts";',
      ),
    );
  });
});
