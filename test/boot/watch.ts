/** Waits for descriptors that Node has no class for. */
import koffi from "koffi";

export interface Watch {
  close(): void;
}

/** Calls `onReadable` whenever there is something to read. */
export function watch(fd: number, onReadable: () => void): Watch {
  let closed = false;
  let pending = false;
  const handle = koffi.node.poll(fd, { readable: true }, () => {
    if (pending) return;
    pending = true;
    // koffi calls from outside of any scope of Node's: what is left for the next tick would wait for whatever
    // comes next.
    setImmediate(() => {
      pending = false;
      if (!closed) onReadable();
    });
  });
  return {
    close: () => {
      closed = true;
      handle.close();
    },
  };
}
