/**
 * The host's end of a virtual machine's vsock device, as monitors offer it: a Unix socket that takes
 * `CONNECT port` and joins the connection to what listens on that port.
 */
import { connect, createServer, type Socket } from "node:net";

export interface Monitor {
  /** What came before each answer. */
  readonly lines: string[];
  close(): Promise<void>;
}

/** Misbehaviour: another answer than `OK 1024`, or the answer and what follows in given pieces. */
export interface MonitorFaults {
  readonly answer?: string;
  readonly pieces?: readonly string[];
}

/** Starts a monitor on `path`; `ports` leads from guest ports to Unix sockets. */
export async function startMonitor(
  path: string,
  ports: Readonly<Record<number, string>>,
  faults: MonitorFaults = {},
): Promise<Monitor> {
  const lines: string[] = [];
  const sockets = new Set<Socket>();
  const track = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  };
  const server = createServer((host) => {
    track(host);
    host.once("data", (line: Buffer) => {
      lines.push(line.toString());
      if (faults.answer !== undefined) {
        host.write(faults.answer);
        return;
      }
      if (faults.pieces !== undefined) {
        void writePieces(host, faults.pieces);
        return;
      }
      const target = ports[Number(/^CONNECT (\d+)\n$/.exec(line.toString())?.[1])];
      if (target === undefined) {
        host.destroy();
        return;
      }
      const guest = connect(target, () => {
        host.write("OK 1024\n");
        host.pipe(guest).pipe(host);
      });
      track(guest);
      guest.on("close", () => host.destroy());
      host.on("close", () => guest.destroy());
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  return {
    lines,
    close: async () => {
      for (const socket of sockets) {
        socket.destroy();
      }
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

async function writePieces(socket: Socket, pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) {
    await new Promise((resolve) => {
      socket.write(piece, resolve);
    });
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
  socket.end();
}
