/** How the heap grows in the commands that carry messages for others. */
import { setFlagsFromString } from "node:v8";

/**
 * Lets the heap grow to four times what was alive before all of it is collected again. V8 counts the
 * bytes of messages against a limit that it derives from what is alive, which is little here: a few
 * MiB of messages that are over would start a full collection, many times a second. With four
 * times some 10 MiB the cheap collections of the young come first, at 32 MiB of messages.
 */
export function letHeapGrow(): void {
  setFlagsFromString("--heap-growing-percent=300");
}
