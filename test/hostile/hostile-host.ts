/**
 * A hostile host as a process, `hostile-host.js LISTEN ENCLAVE ATTACK`: it takes HTTP/2 from the
 * client, reads the outer messages as anybody can, and does to the first stream, or to all where
 * the attack remembers, what the attack says.
 */
import { connect, createServer, type ServerHttp2Stream, type ClientHttp2Stream } from "node:http2";
import { connect as connectSocket } from "node:net";
import { MessageReader } from "../../services/enclave/message-reader.ts";
import { attacks, forward, type CarriedStream } from "./attacks.ts";

const [listen = "", enclave = "", name = ""] = process.argv.slice(2);
const attack = attacks[name];
if (attack === undefined) throw new Error(`no such attack: ${name}`);

const MAX_MESSAGE_BYTES = 1 << 20;
const REQUEST = {
  ":method": "POST",
  ":path": "/sealrpc.v1.AttestedChannelService/Connect",
  "content-type": "application/grpc",
  te: "trailers",
};
const back = connect("http://enclave", { createConnection: () => connectSocket(enclave) });
back.on("error", () => undefined);
const memory = new Map<string, Uint8Array>();
const open: CarriedStream[] = [];
let streams = 0;

function framed(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}

function carry(front: ServerHttp2Stream): void {
  const isVictim = streams++ === 0 || ["show an old document", "splice sessions"].includes(name);
  const request = back.request(REQUEST);
  const stream = carriedStream(front, request);
  open.push(stream);
  for (const [direction, from] of [
    ["up", front],
    ["down", request],
  ] as const) {
    const reader = new MessageReader(MAX_MESSAGE_BYTES);
    let index = 0;
    from.on("data", (chunk: Buffer) => {
      reader.read(chunk, (message) => {
        const others = open.filter((other) => other !== stream);
        const event = { direction, index: index++, message, stream, others, memory, replay };
        (isVictim ? (attack ?? forward) : forward)(event);
      });
    });
    from.on("error", () => undefined);
  }
  front.on("end", () => request.end());
  request.on("trailers", (trailers: Readonly<Record<string, unknown>>) => {
    if (front.destroyed) return;
    const text = trailers["grpc-message"];
    stream.status(Number(trailers["grpc-status"]), typeof text === "string" ? text : "");
  });
}

function carriedStream(front: ServerHttp2Stream, request: ClientHttp2Stream): CarriedStream {
  let trailers: Record<string, string> = {};
  front.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  front.on("wantTrailers", () => front.sendTrailers(trailers));
  return {
    up: (message) => request.destroyed || request.write(framed(message)),
    down: (message) => front.destroyed || front.write(framed(message)),
    cutClient: (code) => front.close(code),
    cutEnclave: () => request.close(8),
    status: (code, text) => {
      trailers = { "grpc-status": String(code), "grpc-message": text };
      front.end();
    },
    goaway: () => front.session?.goaway(0, 0),
  };
}

/** A stream that no client asked for, with messages recorded earlier. */
function replay(messages: readonly Uint8Array[]): void {
  const request = back.request(REQUEST);
  request.on("error", () => undefined);
  request.on("data", () => undefined);
  for (const message of messages) request.write(framed(message));
}

const server = createServer();
server.on("stream", carry);
server.on("sessionError", () => undefined);
server.listen(listen, () => console.log("LISTENING"));
