/** Where this enclave's kernel takes its randomness from (docs/protocol.md §11). */
import { readFile } from "node:fs/promises";

const CURRENT_SOURCE = "/sys/devices/virtual/misc/hw_random/rng_current";
const MODULE_SOURCE = "nsm-hwrng";

/**
 * Checks that the module is the kernel's source. Without it an enclave has nothing but what the
 * host can observe or repeat, and its keys could be guessed.
 *
 * @throws Error when it is another source, or cannot be told.
 */
export async function requireModuleEntropy(path: string = CURRENT_SOURCE): Promise<void> {
  let source: string;
  try {
    source = (await readFile(path, "utf8")).trim();
  } catch (cause) {
    throw new Error(`${path} cannot be read, so the source of randomness is unknown`, { cause });
  }
  if (source !== MODULE_SOURCE) {
    throw new Error(`randomness comes from ${JSON.stringify(source)}, expected ${MODULE_SOURCE}`);
  }
}
