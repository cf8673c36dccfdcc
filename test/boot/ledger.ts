/**
 * The host's ledger: what ran in an enclave, written down outside of it, so that it outlives the enclave.
 * The handler of a call has its key entered and waits for the receipt before it answers: the entry is the
 * call's whole effect, and there is no moment at which it has run and is not in the ledger. Both ways, a
 * key is a line; it goes by the guest's own connection to the parent, past everything that is tested.
 */
import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import { dial } from "../../transport/dial.ts";
import { type Listener, listen } from "../../transport/listen.ts";

const PORT = 7000;
/** The parent instance, as enclaves see it. */
const PARENT_CID = 3;

export class Ledger {
  /** Keys, in the order in which they were entered. */
  readonly entries: string[] = [];
  /** Keys that were entered and wait for their receipt. */
  readonly held: string[] = [];
  /** Whether a key's receipt is held back. */
  holds: (key: string) => boolean = () => false;
  #listener: Listener | undefined;
  readonly #sockets = new Set<Socket>();

  /** Listens for the machine whose VSOCK is at `vsockPath`. */
  async listen(vsockPath: string): Promise<void> {
    this.#listener = await listen(
      { kind: "hybrid-vsock", path: vsockPath, port: PORT },
      (socket) => {
        this.#sockets.add(socket);
        socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
        createInterface(socket).on("line", (key) => {
          this.entries.push(key);
          if (this.holds(key)) this.held.push(key);
          else socket.write(`${key}\n`);
        });
      },
    );
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await this.#listener?.close();
  }
}

/** The enclave's end: enters a key, and waits for the receipt. */
export async function connectLedger(): Promise<(key: string) => Promise<void>> {
  const socket = await dial({ kind: "vsock", cid: PARENT_CID, port: PORT });
  const waiting = new Map<string, () => void>();
  createInterface(socket).on("line", (key) => {
    waiting.get(key)?.();
    waiting.delete(key);
  });
  return async (key) =>
    new Promise((resolve) => {
      waiting.set(key, resolve);
      socket.write(`${key}\n`);
    });
}
