/**
 * A small file that remembers the newest release manifest a relying party has accepted
 * (docs/protocol.md §B.3), so that an older one is noticed after a restart.
 */
import { readFile, rename, writeFile } from "node:fs/promises";

/** The highest sequence number of a service's manifests so far. */
export interface SeenSequence {
  readonly service: string;
  readonly sequence: number;
}

/**
 * What the file remembers; `undefined` where there is none yet.
 *
 * Invariant: a file that cannot be read as one is never taken for a fresh start.
 *
 * @throws Error for a file that holds anything else.
 */
export async function readSequence(file: string): Promise<SeenSequence | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const seen = parseSequence(text);
  if (seen === undefined) {
    throw new Error(
      `${file}: remembers no release manifest; restore it, or delete it to trust the next manifest as the first`,
    );
  }
  return seen;
}

/**
 * Remembers a sequence number, unless the file has a higher one by now. The file is replaced as a
 * whole, so that a crash leaves the old one or the new one.
 *
 * @throws as {@link readSequence}.
 */
export async function raiseSequence(file: string, seen: SeenSequence): Promise<void> {
  const { service, sequence } = seen;
  const known = await readSequence(file);
  if (known !== undefined && known.sequence >= sequence) return;
  const whole = `${file}.${crypto.randomUUID()}.new`;
  await writeFile(whole, `${JSON.stringify({ service, sequence })}\n`);
  await rename(whole, file);
}

function parseSequence(text: string): SeenSequence | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { service, sequence } = value as Partial<Record<keyof SeenSequence, unknown>>;
  if (typeof service !== "string" || typeof sequence !== "number") return undefined;
  return Number.isSafeInteger(sequence) && sequence > 0 ? { service, sequence } : undefined;
}
