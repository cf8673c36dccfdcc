/** Calls whose answers are never read, as of a client that is slow or gone to sleep. */
import type { Client } from "@grpc/grpc-js";
import { echoService } from "../programs/echo-service.ts";
import { pause } from "./pause.ts";
import type { Done, UnreadWork } from "./work.ts";

const { path, requestSerialize, responseDeserialize } = echoService.download;

export async function runUnread(
  client: Client,
  { calls, messageBytes, durationMs }: UnreadWork,
  signal: AbortSignal,
): Promise<Done> {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(messageBytes);
  const open = Array.from({ length: calls }, () => {
    const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, size);
    return call.on("error", () => {});
  });
  await pause(durationMs, signal);
  for (const call of open) call.cancel();
  return { seconds: durationMs / 1000, calls, mib: 0 };
}
