/** A folder that is gone when the tests of a file are over. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after } from "node:test";

/** Makes a folder; the second function writes files into it, by their paths in it, and gives their own. */
export function temporaryFolder(name: string): {
  readonly path: string;
  readonly write: (file: string, content: string | Uint8Array, mode?: number) => string;
} {
  const path = mkdtempSync(join(tmpdir(), `${name}-`));
  after(() => rmSync(path, { recursive: true, force: true }));
  const write = (file: string, content: string | Uint8Array, mode = 0o644) => {
    const target = join(path, file);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, content, { mode });
    return target;
  };
  return { path, write };
}
