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
}

export class Capture {
  readonly #connections: Passed[][] = [];
  #latest: Passed[] = [];

  /** A new connection: returns what is called for all that passes on it. */
  connection(): (direction: Direction, bytes: Buffer) => void {
    const passed: Passed[] = [];
    this.#connections.push(passed);
    const readers = { up: new DataReader(), down: new DataReader() };
    return (direction, bytes) => {
      const data = readers[direction].read(bytes);
      const entry = { direction, atMs: performance.now(), bytes, data };
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
      of(latest, direction, "data").find((part) => part.length > 0) ?? Buffer.alloc(0);
    return {
      bytes: { up: sum("up"), down: sum("down") },
      spanMs: (latest.at(-1)?.atMs ?? 0) - (latest[0]?.atMs ?? 0),
      first: { up: first("up"), down: first("down") },
    };
  }

  get totalBytes(): number {
    return this.#connections.flat().reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  /** The paths that the host can read: HTTP/2 headers are compressed, so they are decoded here. */
  async requestPaths(): Promise<string[]> {
    const paths = await Promise.all(
      this.#connections.map((passed) => decodePaths(Buffer.concat(of(passed, "up", "bytes")))),
    );
    return paths.flat();
  }

  /** All that there is to search: as it passed, the content of HTTP/2, and decoded headers. */
  async views(): Promise<Buffer[]> {
    const views = this.#connections.flatMap((passed) =>
      (["up", "down"] as const).flatMap((direction) => [
        Buffer.concat(of(passed, direction, "bytes")),
        Buffer.concat(of(passed, direction, "data")),
      ]),
    );
    const headers = await Promise.all(
      this.#connections.map((passed) => decodeHeaders(Buffer.concat(of(passed, "up", "bytes")))),
    );
    return [...views, Buffer.from(headers.flat().join("\n"))];
  }
}

function of(passed: readonly Passed[], direction: Direction, what: "bytes" | "data"): Buffer[] {
  return passed.filter((entry) => entry.direction === direction).map((entry) => entry[what]);
}

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const FRAME_HEADER_BYTES = 9;
const DATA = 0;
const PADDED = 8;

/** Picks the content of DATA out of one direction of an HTTP/2 connection. */
class DataReader {
  #rest = Buffer.alloc(0);
  #started = false;

  read(bytes: Buffer): Buffer {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    if (!this.#started) {
      if (this.#rest.length < PREFACE.length) return Buffer.alloc(0);
      if (this.#rest.subarray(0, PREFACE.length).equals(PREFACE)) this.#skip(PREFACE.length);
      this.#started = true;
    }
    const content: Buffer[] = [];
    while (this.#rest.length >= FRAME_HEADER_BYTES) {
      const length = this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < FRAME_HEADER_BYTES + length) break;
      const isPadded = ((this.#rest[4] ?? 0) & PADDED) !== 0;
      if (this.#rest[3] === DATA && !isPadded) {
        content.push(this.#rest.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + length));
      }
      this.#skip(FRAME_HEADER_BYTES + length);
    }
    return Buffer.concat(content);
  }

  #skip(length: number): void {
    this.#rest = this.#rest.subarray(length);
  }
}

async function decodePaths(up: Buffer): Promise<string[]> {
  const headers = await decodeHeaders(up);
  return headers.filter((line) => line.startsWith(":path: ")).map((line) => line.slice(7));
}

/** The headers of all requests in what a client sent: an HTTP/2 server of our own reads it again. */
async function decodeHeaders(up: Buffer): Promise<string[]> {
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
    replay.push(up);
    replay.push(null);
  });
  return lines;
}
