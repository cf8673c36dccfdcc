/**
 * The Nitro Security Module of the enclave that this program runs in, through /dev/nsm. One worker
 * thread owns the device; it keeps no process alive while nothing is asked.
 */
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { DeviceLink } from "./device-link.ts";
import type { DeviceWorkerData } from "./device-worker.ts";
import { Nsm } from "./nsm.ts";

export interface NsmDeviceOptions {
  /** @default "/dev/nsm" */
  readonly path?: string | undefined;
  /** Requests that may wait for the device at a time; more are refused. @default 256 */
  readonly maxWaiting?: number | undefined;
}

/**
 * Opens the device and gives its module, ready to attest.
 *
 * @throws AttestationError `nsm-unavailable` outside an enclave, or where the device or the native
 * library cannot be used.
 */
export async function openNsmDevice(options: NsmDeviceOptions = {}): Promise<Nsm> {
  const { path = "/dev/nsm", maxWaiting = 256 } = options;
  const file = `device-worker${extname(fileURLToPath(import.meta.url))}`;
  const workerData: DeviceWorkerData = { path };
  // The program's own flags are for its own entry; `--input-type` would even end the thread.
  const worker = new Worker(new URL(file, import.meta.url), { workerData, execArgv: [] });
  const device = new DeviceLink(worker, path, maxWaiting);
  await device.opened;
  return new Nsm(device);
}
