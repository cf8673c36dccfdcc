/**
 * The thread that owns the descriptor of /dev/nsm. The ioctl blocks for as long as the module
 * takes, which the event loop must not, and the driver serves one call at a time anyway. The native
 * library is loaded here and nowhere else, after the device is known to be there.
 */
import { openSync } from "node:fs";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { type IoctlResult, type Libc, NsmIoctl } from "./ioctl.ts";

/** What the thread is started with. */
export interface DeviceWorkerData {
  readonly path: string;
}

/** One request; the answer carries the same id. */
export interface DeviceRequest {
  readonly id: number;
  readonly request: Uint8Array;
}

/** First whether the device could be opened, then one answer for each request, in order. */
export type DeviceMessage =
  | { readonly kind: "opened" }
  | { readonly kind: "not-opened"; readonly step: "open" | "load"; readonly reason: string }
  | { readonly kind: "answer"; readonly id: number; readonly result: IoctlResult };

if (parentPort) {
  await serve(parentPort, workerData as DeviceWorkerData);
}

async function serve(port: MessagePort, { path }: DeviceWorkerData): Promise<void> {
  const post = (message: DeviceMessage) => port.postMessage(message);
  let step: "open" | "load" = "open";
  try {
    const fd = openSync(path, "r+");
    step = "load";
    const nsm = new NsmIoctl(await loadLibc(), fd);
    port.on("message", ({ id, request }: DeviceRequest) => {
      post({ kind: "answer", id, result: nsm.exchange(request) });
    });
    post({ kind: "opened" });
  } catch (error) {
    post({ kind: "not-opened", step, reason: error instanceof Error ? error.message : "" });
  }
}

async function loadLibc(): Promise<Libc> {
  const { default: koffi } = await import("koffi");
  const definition = "int ioctl(int fd, unsigned long request, void *argument)";
  return {
    ioctl: koffi.load(null).func(definition) as Libc["ioctl"],
    errno: () => koffi.errno(),
    addressOf: (bytes) => koffi.address(bytes),
  };
}
