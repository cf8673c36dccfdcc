/**
 * The virtio device (id 33) behind the guest's own driver of the Nitro Security Module. The driver offers
 * a readable chain, the request, and then a writable one for the response.
 */
import type { Device } from "./vhost-user.ts";
import type { Virtqueue } from "./virtqueue.ts";

/** Answers encoded requests. */
export type SecurityModule = (request: Uint8Array) => Promise<Uint8Array>;

export class NsmDevice implements Device {
  readonly queues = 1;
  readonly config: Buffer = Buffer.alloc(0);
  readonly #module: SecurityModule;

  constructor(module: SecurityModule) {
    this.#module = module;
  }

  /** The driver has one request on its way at a time. */
  work(index: number, queue: Virtqueue): void {
    if (queue.waiting < 2) return;
    const [request, response] = [queue.take(), queue.take()];
    if (request === undefined || response === undefined) return;
    void this.#module(Buffer.concat(request.readable)).then((answer) => {
      // In this order, or the driver does not take the answer.
      queue.give(request);
      queue.give(response, Buffer.from(answer));
      queue.notify();
      this.work(index, queue);
    });
  }

  stop(): void {}
}
