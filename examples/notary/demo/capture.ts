/** All that passes a tee, as the host in its place could keep it and read it. */
import { createServer } from "node:http2";
import { Duplex } from "node:stream";

export type Direction = "up" | "down";

/** What passed between two looks. */
export interface Traffic {
  readonly bytes: Readonly<Record<Direction, number>>;
  readonly spanMs: number;
  /** The first HTTP/2 DATA of each direction. */
  readonly first: Readonly<Record<Direction, Buffer>>;
}

interface Passed {
  readonly direction: Direction;
  readonly atMs: number;
  readonly bytes: Buffer;
  /** What of it is the content of HTTP/2 DATA. */
  readonly data: Buffer;
  /** The HTTP/2 frames without DATA. */
  readonly control: Buffer;
}

export class Capture {
  readonly #connections: Passed[][] = [];
  #latest: Passed[] = [];

  /** A new connection: returns what is called for all that passes on it. */
  connection(): (direction: Direction, bytes: Buffer) => void {
    const passed: Passed[] = [];
    this.#connections.push(passed);
    const readers = { up: new FrameReader(), down: new FrameReader() };
    return (direction, bytes) => {
      const parts = readers[direction].read(bytes);
      const entry = { direction, atMs: performance.now(), bytes, ...parts };
      passed.push(entry);
      this.#latest.push(entry);
    };
  }

  /** What passed since the last look. */
  look(): Traffic {
    const latest = this.#latest;
    this.#latest = [];
    const sum = (direction: Direction): number =>
      of(latest, direction, "bytes").reduce((bytes, part) => bytes + part.length, 0);
    const first = (direction: Direction): Buffer =>
      of(latest, direction, "data").find((part) => part.length > 0) ?? NOTHING;
    return {
      bytes: { up: sum("up"), down: sum("down") },
      spanMs: (latest.at(-1)?.atMs ?? 0) - (latest[0]?.atMs ?? 0),
      first: { up: first("up"), down: first("down") },
    };
  }

  get totalBytes(): number {
    return this.#connections.flat().reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  /** The paths of all requests, which the host can read. */
  async requestPaths(): Promise<string[]> {
    const headers = await this.#requestHeaders();
    return headers.filter((line) => line.startsWith(":path: ")).map((line) => line.slice(7));
  }

  /** All that there is to search: as it passed, the content of HTTP/2, and decoded headers. */
  async views(): Promise<Buffer[]> {
    const views = this.#connections.flatMap((passed) =>
      (["up", "down"] as const).flatMap((direction) => [
        Buffer.concat(of(passed, direction, "bytes")),
        Buffer.concat(of(passed, direction, "data")),
      ]),
    );
    return [...views, Buffer.from((await this.#requestHeaders()).join("\n"))];
  }

  /** HTTP/2 headers are compressed; here they are read as their receiver does. */
  async #requestHeaders(): Promise<string[]> {
    const headers = await Promise.all(
      this.#connections.map((passed) => decodeHeaders(Buffer.concat(of(passed, "up", "control")))),
    );
    return headers.flat();
  }
}

function of(
  passed: readonly Passed[],
  direction: Direction,
  what: "bytes" | "data" | "control",
): Buffer[] {
  return passed.filter((entry) => entry.direction === direction).map((entry) => entry[what]);
}

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const FRAME_HEADER_BYTES = 9;
const DATA = 0;
const NOTHING = Buffer.alloc(0);

/** Tells the content of DATA from the rest in one direction of an HTTP/2 connection. */
class FrameReader {
  #rest = Buffer.alloc(0);
  #started = false;

  read(bytes: Buffer): { data: Buffer; control: Buffer } {
    const data: Buffer[] = [];
    const control: Buffer[] = [];
    this.#rest = Buffer.concat([this.#rest, bytes]);
    if (!this.#started) {
      if (this.#rest.length < PREFACE.length) return { data: NOTHING, control: NOTHING };
      const start = this.#rest.subarray(0, PREFACE.length);
      if (start.equals(PREFACE)) control.push(this.#take(PREFACE.length));
      this.#started = true;
    }
    while (this.#rest.length >= FRAME_HEADER_BYTES) {
      const length = this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < FRAME_HEADER_BYTES + length) break;
      const frame = this.#take(FRAME_HEADER_BYTES + length);
      if (frame[3] === DATA) data.push(frame.subarray(FRAME_HEADER_BYTES));
      else control.push(frame);
    }
    return { data: Buffer.concat(data), control: Buffer.concat(control) };
  }

  #take(length: number): Buffer {
    const taken = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return taken;
  }
}

/** The headers of all requests in the frames of a client: an HTTP/2 server of our own reads them. */
async function decodeHeaders(control: Buffer): Promise<string[]> {
  const lines: string[] = [];
  const server = createServer();
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${String(value)}`);
  });
  await new Promise<void>((resolve) => {
    server.on("session", (session) => {
      session.on("error", () => {});
      session.on("close", resolve);
    });
    const replay = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    server.emit("connection", replay);
    replay.push(control);
    replay.push(null);
  });
  return lines;
}
