/**
 * The program's end of the thread that owns /dev/nsm: requests go there in order, answers come back
 * by number. Whatever ends the thread refuses what waits, and all that comes after.
 */
import { getSystemErrorName } from "node:util";
import type { Worker } from "node:worker_threads";
import { AttestationError } from "../errors.ts";
import type { DeviceMessage, DeviceRequest } from "./device-worker.ts";
import type { IoctlResult } from "./ioctl.ts";
import type { NsmLink } from "./nsm.ts";

interface Waiting {
  resolve(response: Uint8Array): void;
  reject(error: AttestationError): void;
}

/** See the file header. `path` is for the text of errors. */
export class DeviceLink implements NsmLink {
  /** Settles when the thread has opened the device, or could not. */
  readonly opened: Promise<void>;
  readonly #path: string;
  readonly #maxWaiting: number;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  /** Why nothing can be asked any more. */
  #failure: AttestationError | undefined;

  constructor(worker: Worker, path: string, maxWaiting: number) {
    this.#worker = worker;
    this.#path = path;
    this.#maxWaiting = maxWaiting;
    this.opened = new Promise((resolve, reject) => {
      const opening = { resolve: () => resolve(), reject };
      // The opening waits like a request: whatever ends the thread ends it too.
      this.#waiting.set(0, opening);
    });
    this.#worker.on("message", (message: DeviceMessage) => this.#receive(message));
    this.#worker.on("error", (cause) => this.#fail("the thread of the NSM device failed", cause));
    this.#worker.on("exit", () => this.#fail("the thread of the NSM device has ended"));
  }

  exchange(request: Uint8Array): Promise<Uint8Array> {
    if (this.#failure) {
      return Promise.reject(this.#failure);
    }
    if (this.#waiting.size >= this.#maxWaiting) {
      const message = `too many requests wait for the NSM: at most ${this.#maxWaiting}`;
      return Promise.reject(new AttestationError("nsm-unavailable", message));
    }
    const id = (this.#lastId += 1);
    const message: DeviceRequest = { id, request };
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.ref();
      this.#worker.postMessage(message, []);
    });
  }

  async close(): Promise<void> {
    this.#fail("the NSM device is closed");
    // Ends after the ioctl that runs; the descriptor goes with the thread.
    await this.#worker.terminate();
  }

  #receive(message: DeviceMessage): void {
    switch (message.kind) {
      case "opened":
        this.#settle(0)?.resolve(new Uint8Array());
        break;
      case "not-opened":
        this.#fail(notOpened(this.#path, message));
        break;
      case "answer":
        this.#answer(this.#settle(message.id), message.result);
        break;
    }
  }

  #answer(waiting: Waiting | undefined, result: IoctlResult): void {
    if ("response" in result) {
      waiting?.resolve(result.response);
    } else {
      const name = getSystemErrorName(-result.errno);
      const message = `the driver of ${this.#path} refused the request: ${name}`;
      waiting?.reject(new AttestationError("nsm-unavailable", message));
    }
  }

  /** Takes what waits under that id; the thread keeps the process alive only while something does. */
  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    // An answer to nothing comes while the thread is being ended, which somebody waits for.
    if (this.#waiting.delete(id) && this.#waiting.size === 0) {
      this.#worker.unref();
    }
    return waiting;
  }

  /** Refuses what waits and all that comes. The first reason stays. */
  #fail(reason: string, cause?: unknown): void {
    this.#failure ??= new AttestationError("nsm-unavailable", reason, { cause });
    for (const id of this.#waiting.keys()) {
      this.#settle(id)?.reject(this.#failure);
    }
  }
}

function notOpened(
  path: string,
  { step, reason }: DeviceMessage & { readonly kind: "not-opened" },
): string {
  return step === "open"
    ? `no Nitro Security Module: expected the device ${path}, received "${reason}". ` +
        "Not inside a Nitro Enclave? The simulator must be asked for by name"
    : `the native library that calls ${path} cannot be loaded: ${reason}`;
}
