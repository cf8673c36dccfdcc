/** A grpc-js stub of the behaviour service, made by ts-proto: a generator that knows nothing of us. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { BehaviorClient } from "../behavior/service.ts";
import { repositoryRoot } from "./repository.ts";

/** Generates, compiles and loads the stub's constructor. */
export async function generatedStub(): Promise<typeof BehaviorClient> {
  // Inside the repository, so that what is generated finds its libraries.
  const cache = join(repositoryRoot, ".cache");
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "stub-"));
  try {
    const template = {
      version: "v2",
      plugins: [
        {
          local: ["node", join("node_modules", "ts-proto", "protoc-gen-ts_proto")],
          out: folder,
          opt: ["outputServices=grpc-js", "esModuleInterop=true", "importSuffix=.js"],
        },
      ],
    };
    const buf = join("node_modules", "@bufbuild", "buf", "bin", "buf");
    run(buf, ["generate", join("test", "proto"), "--template", JSON.stringify(template)]);
    const source = join(folder, "behavior", "v1", "behavior.ts");
    run(
      join("node_modules", "typescript", "bin", "tsc"),
      "--ignoreConfig --module nodenext --target es2023 --types node --skipLibCheck"
        .split(" ")
        .concat(source),
    );
    const compiled = pathToFileURL(source.replace(/ts$/, "js")).href;
    const module = (await import(compiled)) as { BehaviorServiceClient: typeof BehaviorClient };
    return module.BehaviorServiceClient;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function run(script: string, args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
    cwd: repositoryRoot,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${script} failed: ${stdout}${stderr}`);
}
