/** Test vectors, as files of the repository. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "./repository.ts";

/** Reads one file of test/vectors. */
export function readVectors(name: string): unknown {
  return JSON.parse(readFileSync(join(repositoryRoot, "test", "vectors", name), "utf8"));
}
