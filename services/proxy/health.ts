/**
 * The proxy's own `grpc.health.v1.Health`: SERVING while the way to the enclave is up. It says
 * nothing of what runs in the enclave; that health service is inside the seal.
 */
import { constants, type ServerHttp2Stream } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthCheckResponseSchema,
} from "#gen/grpc/health/v1/health_pb.js";
import { STATUS, statusFields, trailersOnly } from "./header.ts";

export const HEALTH_CHECK_PATH = "/grpc.health.v1.Health/Check";
export const HEALTH_WATCH_PATH = "/grpc.health.v1.Health/Watch";

/** What may be asked for: the proxy as a whole, and the service that it forwards. */
const SERVICES = new Set(["", "sealrpc.v1.AttestedChannelService"]);

/** Longest request message; a service's name needs far less. */
const MAX_REQUEST_BYTES = 1024;
const PREFIX_BYTES = 5;

/** The health service of one proxy. */
export class Health {
  #serving = false;
  readonly #watchers = new Map<ServerHttp2Stream, string>();

  /** Changes what is answered, and tells the watchers. */
  set serving(serving: boolean) {
    if (this.#serving === serving) {
      return;
    }
    this.#serving = serving;
    for (const [stream, service] of this.#watchers) {
      if (SERVICES.has(service)) {
        stream.write(this.#message(service));
      }
    }
  }

  /** Whether the way to the enclave is up. */
  get serving(): boolean {
    return this.#serving;
  }

  /** Answers one call. The caller guards the stream's errors. */
  answer(stream: ServerHttp2Stream, path: string): void {
    readRequest(
      stream,
      (service) => {
        if (path === HEALTH_WATCH_PATH) {
          this.#watch(stream, service);
        } else if (SERVICES.has(service)) {
          respond(stream, () => statusFields(0, ""));
          stream.end(this.#message(service));
        } else {
          refuse(stream, STATUS.notFound, "unknown service");
        }
      },
      (message) => refuse(stream, STATUS.internal, message),
    );
  }

  /** Ends all watches: the proxy stops. */
  close(): void {
    for (const stream of this.#watchers.keys()) {
      stream.end();
    }
  }

  #watch(stream: ServerHttp2Stream, service: string): void {
    this.#watchers.set(stream, service);
    stream.once("close", () => this.#watchers.delete(stream));
    respond(stream, () => statusFields(STATUS.unavailable, "the proxy is shutting down"));
    stream.write(this.#message(service));
  }

  #message(service: string): Buffer {
    const known = this.#serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
    const status = SERVICES.has(service) ? known : ServingStatus.SERVICE_UNKNOWN;
    const body = toBinary(HealthCheckResponseSchema, create(HealthCheckResponseSchema, { status }));
    const message = Buffer.alloc(PREFIX_BYTES + body.length);
    message.writeUInt32BE(body.length, 1);
    message.set(body, PREFIX_BYTES);
    return message;
  }
}

/** Reads the one request message of a call, whose bytes may come in any pieces. */
function readRequest(
  stream: ServerHttp2Stream,
  onService: (service: string) => void,
  onBad: (message: string) => void,
): void {
  const chunks: Buffer[] = [];
  let length = 0;
  const settle = (bytes: Buffer): void => {
    let service: string;
    try {
      service = parseRequest(bytes);
    } catch {
      onBad("the request is not one HealthCheckRequest");
      return;
    }
    onService(service);
  };
  stream.on("data", (chunk: Buffer) => {
    length += chunk.length;
    if (length <= PREFIX_BYTES + MAX_REQUEST_BYTES) {
      chunks.push(chunk);
    } else if (length - chunk.length <= PREFIX_BYTES + MAX_REQUEST_BYTES) {
      chunks.length = 0;
      onBad("the request is too long");
    }
  });
  stream.once("end", () => {
    if (!stream.aborted && length <= PREFIX_BYTES + MAX_REQUEST_BYTES) {
      settle(Buffer.concat(chunks));
    }
  });
}

function parseRequest(bytes: Buffer): string {
  // Byte 0 would flag compression, which no encoding was agreed for.
  if (bytes.length < PREFIX_BYTES || bytes.readUIntBE(0, PREFIX_BYTES) !== bytes.length - 5) {
    throw new RangeError("not one message");
  }
  return fromBinary(HealthCheckRequestSchema, bytes.subarray(PREFIX_BYTES)).service;
}

function respond(stream: ServerHttp2Stream, trailers: () => ReturnType<typeof statusFields>): void {
  stream.once("wantTrailers", () => stream.sendTrailers(trailers()));
  stream.respond(
    { ":status": constants.HTTP_STATUS_OK, "content-type": "application/grpc" },
    { waitForTrailers: true },
  );
}

function refuse(stream: ServerHttp2Stream, code: number, message: string): void {
  if (!stream.destroyed && !stream.closed && !stream.headersSent) {
    stream.respond(trailersOnly(code, message), { endStream: true });
  }
}
