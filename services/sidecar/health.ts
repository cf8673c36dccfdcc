/**
 * The sidecar's own `grpc.health.v1.Health`, for the service "": whether a session with an enclave
 * that the policy admits can be had. What is asked of any other service goes to the enclave, sealed.
 */
import type { ServerHttp2Stream } from "node:http2";

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { connectivityState as State, status as Code } from "@grpc/grpc-js";

import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthCheckResponseSchema,
} from "#gen/grpc/health/v1/health_pb.js";
import type { AttestedChannel } from "../client/index.ts";
import { ByteBudget } from "../http2/byte-budget.ts";
import { emptyBlock } from "../http2/header-block.ts";
import { MessageReader } from "../http2/message-reader.ts";
import { MessageWriter } from "../http2/message-writer.ts";
import { addStatus, answerOnly, dropRequest, responseBlock } from "./answer.ts";

const CHECK_PATH = "/grpc.health.v1.Health/Check";
const WATCH_PATH = "/grpc.health.v1.Health/Watch";
/** How long a check may wait for a session. */
const CHECK_TIMEOUT_MS = 5_000;
/** A request that names a service needs far less. */
const MAX_REQUEST_BYTES = 1024;

interface Watch {
  readonly stream: ServerHttp2Stream;
  told: boolean | undefined;
}

export class Health {
  readonly #channel: AttestedChannel;
  readonly #watches = new Set<Watch>();
  #isFollowing = false;
  #isDraining = false;

  constructor(channel: AttestedChannel) {
    this.#channel = channel;
  }

  /**
   * Answers a call of the health service, or passes it on with all its bytes unread; gives false
   * at once for another service's.
   */
  accept(stream: ServerHttp2Stream, path: string, pass: () => void): boolean {
    if (path !== CHECK_PATH && path !== WATCH_PATH) return false;
    this.#readService(stream, (service) => {
      if (service !== "") pass();
      else if (path === WATCH_PATH) this.#watch(stream);
      else void this.#check(stream);
    });
    return true;
  }

  /** NOT_SERVING from now on, and no watch goes on. */
  drain(): void {
    this.#isDraining = true;
    for (const watch of this.#watches) {
      this.#tell(watch, false);
      watch.stream.end();
    }
  }

  /** Reads the first message, and puts all that was read back if it is not to be answered here. */
  #readService(stream: ServerHttp2Stream, onService: (service: string) => void): void {
    const chunks: Buffer[] = [];
    let service: string | undefined;
    const budget = new ByteBudget(MAX_REQUEST_BYTES);
    const reader = new MessageReader(stream, MAX_REQUEST_BYTES, budget, {
      takeMessage: (message, compressed, onTaken) => {
        service ??= compressed ? UNKNOWN_SERVICE : serviceOf(message);
        onTaken();
      },
      breakOff: () => {
        service ??= UNKNOWN_SERVICE;
      },
    });
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      reader.read(chunk);
      if (service === undefined) return;
      stream.off("data", onData).off("end", onEnd);
      stream.pause();
      if (service !== "") stream.unshift(Buffer.concat(chunks));
      onService(service);
      stream.resume();
    };
    const onEnd = (): void => {
      if (stream.aborted) return;
      answerOnly(stream, addStatus(responseBlock(), Code.INTERNAL, "the request is no message"));
    };
    stream.on("data", onData).on("end", onEnd);
  }

  async #check(stream: ServerHttp2Stream): Promise<void> {
    let serving = !this.#isDraining;
    try {
      if (serving) await this.#channel.ready(CHECK_TIMEOUT_MS);
    } catch {
      serving = false;
    }
    if (stream.destroyed || stream.closed) return;
    respond(stream, Code.OK, "");
    write(stream, serving);
    stream.end();
  }

  #watch(stream: ServerHttp2Stream): void {
    if (stream.destroyed || stream.closed) return;
    const watch: Watch = { stream, told: undefined };
    this.#watches.add(watch);
    stream.once("close", () => this.#watches.delete(watch));
    stream.on("drain", () => this.#tell(watch, this.#isServing(false)));
    respond(stream, Code.UNAVAILABLE, "the sidecar is shutting down");
    if (this.#isDraining) this.drain();
    else if (this.#isFollowing) this.#tell(watch, this.#isServing(false));
    else this.#follow();
  }

  /** While somebody watches, a session that is not there is made. */
  readonly #follow = (): void => {
    this.#isFollowing = this.#watches.size > 0 && !this.#isDraining;
    if (!this.#isFollowing) return;
    const serving = this.#isServing(true);
    for (const watch of this.#watches) this.#tell(watch, serving);
    const state = this.#channel.getConnectivityState(false);
    if (state === State.SHUTDOWN) return;
    this.#channel.watchConnectivityState(state, Infinity, this.#follow);
  };

  #isServing(tryToConnect: boolean): boolean {
    return this.#channel.getConnectivityState(tryToConnect) === State.READY;
  }

  #tell(watch: Watch, serving: boolean): void {
    // A client that does not read is told nothing more, and memory does not grow.
    if (watch.told === serving || watch.stream.writableNeedDrain) return;
    watch.told = serving;
    write(watch.stream, serving);
  }
}

/** For a request that is not for the sidecar to judge. */
const UNKNOWN_SERVICE = "?";

function serviceOf(message: Uint8Array): string {
  try {
    return fromBinary(HealthCheckRequestSchema, message).service;
  } catch {
    return UNKNOWN_SERVICE;
  }
}

function respond(stream: ServerHttp2Stream, code: Code, details: string): void {
  stream.once("wantTrailers", () => {
    stream.sendTrailers(addStatus(emptyBlock(), code, details));
    dropRequest(stream);
  });
  stream.respond(responseBlock(), { waitForTrailers: true });
}

function write(stream: ServerHttp2Stream, serving: boolean): void {
  const status = serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  const message = toBinary(
    HealthCheckResponseSchema,
    create(HealthCheckResponseSchema, { status }),
  );
  new MessageWriter(stream, UNBOUNDED, () => {}).write(message, false);
}

const UNBOUNDED = new ByteBudget(Infinity);
