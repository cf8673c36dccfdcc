/** One way to make a call: its request goes, its answer comes, `done` hears of it. */
import type { Client } from "@grpc/grpc-js";
import { echoService } from "../programs/echo-service.ts";
import type { EchoClient } from "../programs/typed-echo-service.ts";
import { loadEhbp } from "../programs/ehbp.ts";

export type UnaryCaller = (request: Buffer, done: (error: unknown) => void) => void;

export function grpcCaller(client: Client): UnaryCaller {
  const { path, requestSerialize, responseDeserialize } = echoService.unary;
  return (request, done) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, done);
  };
}

export function typedCaller(client: EchoClient): UnaryCaller {
  return (request, done) => {
    client.unary({ value: request }).then(() => done(null), done);
  };
}

export async function ehbpCaller(address: string, hpkeKey: string): Promise<UnaryCaller> {
  const { Identity, Transport } = loadEhbp();
  const transport = new Transport(await Identity.fromPublicKeyHex(hpkeKey), address);
  const call = async (request: Buffer): Promise<void> => {
    const response = await transport.post(`http://${address}/`, request);
    const { byteLength } = await response.arrayBuffer();
    if (byteLength !== request.length) throw new Error(`an answer of ${byteLength} bytes`);
  };
  return (request, done) => {
    call(request).then(() => done(null), done);
  };
}
