/** What a run ran on: figures of two machines, or two days, are not to be compared. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, release, totalmem, type } from "node:os";
import { NODE_FLAGS } from "./program.ts";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly system: string;
  readonly node: string;
  /** Of every process that is measured. */
  readonly nodeFlags: readonly string[];
  readonly openssl: string;
  readonly grpcJs: string;
  readonly sealrpc: string;
}

export function describeMachine(): Machine {
  const [first] = cpus();
  return {
    cpu: first?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 1024 ** 3),
    system: `${type()} ${release()}`,
    node: process.versions.node,
    nodeFlags: NODE_FLAGS,
    openssl: process.versions.openssl,
    grpcJs: versionOf("@grpc/grpc-js/package.json"),
    sealrpc: versionOf("sealrpc/package.json"),
  };
}

function versionOf(manifest: string): string {
  const text = readFileSync(createRequire(import.meta.url).resolve(manifest), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
