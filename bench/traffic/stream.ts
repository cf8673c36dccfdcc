/** Streams of large messages. What counts is what has arrived at the other end. */
import type { Client } from "@grpc/grpc-js";
import { echoService } from "../programs/echo-service.ts";
import { pause } from "./pause.ts";
import type { Done, StreamWork } from "./work.ts";

/** Fewer tell no rate. */
const LEAST_MESSAGES = 2;
const { download, upload } = echoService;

export async function runStream(
  client: Client,
  { direction, messageBytes, leadMs = 0, durationMs }: StreamWork,
  signal: AbortSignal,
): Promise<Done> {
  const countFromMs = performance.now() + leadMs;
  let messages = 0;
  // From the first arrival to the last: how a stream begins is another question.
  let counted = 0;
  let firstMs = 0;
  let lastMs = 0;
  let onArrival: () => void = () => {};
  const arrived = (): void => {
    messages += 1;
    lastMs = performance.now();
    if (lastMs < countFromMs) return;
    if (counted++ === 0) firstMs = lastMs;
    if (counted === LEAST_MESSAGES) onArrival();
  };
  const hasArrived = new Promise<void>((resolve) => {
    onArrival = resolve;
  });
  const failed: unknown[] = [];
  const onError = (error: unknown): void => {
    if (!isOver) failed.push(error);
    onArrival();
  };
  let isOver = false;
  const stops: (() => void)[] = [];
  if (direction !== "up") {
    const size = Buffer.alloc(4);
    size.writeUInt32BE(messageBytes);
    const { path, requestSerialize, responseDeserialize } = download;
    const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, size);
    call.on("data", arrived).on("error", onError);
    stops.push(() => call.cancel());
  }
  if (direction !== "down") {
    const message = Buffer.alloc(messageBytes, 0x5a);
    const { path, requestSerialize, responseDeserialize } = upload;
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    call.on("data", arrived).on("error", onError);
    const write = (): void => {
      if (!isOver && call.write(message)) setImmediate(write);
      else if (!isOver) call.once("drain", write);
    };
    write();
    stops.push(() => call.cancel());
  }
  await pause(durationMs, signal);
  await hasArrived;
  isOver = true;
  for (const stop of stops) stop();
  if (failed.length > 0) throw new Error(`a stream ended early: ${String(failed[0])}`);
  const mib = (messages * messageBytes) / 1024 / 1024;
  const seconds = (((lastMs - firstMs) / 1000) * messages) / (counted - 1);
  return { seconds, calls: messages, mib };
}
