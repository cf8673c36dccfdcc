/**
 * What a hostile host does to the first session that it carries. Messages are counted from 0 in each
 * direction: the hello and the finish, or their replies, then records; so 2 is the first record.
 */

/** One outer stream, as the host sees it. */
export interface CarriedStream {
  up(message: Uint8Array): void;
  down(message: Uint8Array): void;
  /** Resets the client's side with an HTTP/2 code; the enclave's stays. */
  cutClient(code: number): void;
  /** Resets the enclave's side; the client's stays. */
  cutEnclave(): void;
  /** Ends the client's side with an outer status. */
  status(code: number, text: string): void;
  /** Sends GOAWAY on the client's connection. */
  goaway(): void;
}

export interface Event {
  readonly direction: "up" | "down";
  readonly index: number;
  readonly message: Uint8Array;
  readonly stream: CarriedStream;
  /** The other streams that are open, oldest first. */
  readonly others: readonly CarriedStream[];
  /** What attacks of several messages remember. */
  readonly memory: Map<string, Uint8Array>;
  /** Opens a stream to the enclave that nobody asked for. */
  readonly replay: (messages: readonly Uint8Array[]) => void;
}

export type Attack = (event: Event) => void;

export function forward({ direction, message, stream }: Event): void {
  stream[direction](message);
}

const RST_REFUSED_STREAM = 7;
const RST_CANCEL = 8;

function flipped(message: Uint8Array, at: number): Uint8Array {
  return message.map((byte, i) => (i === at ? byte ^ 1 : byte));
}

/** Applies `attack` to one message and carries all others. */
function on(direction: "up" | "down", index: number, attack: Attack): Attack {
  return (event) => {
    if (event.direction === direction && event.index === index) attack(event);
    else forward(event);
  };
}

const held: Uint8Array[] = [];

export const attacks: Readonly<Record<string, Attack>> = {
  nothing: forward,
  "flip a request": on("up", 2, ({ message, stream }) => stream.up(flipped(message, 40))),
  "flip a response": on("down", 2, ({ message, stream }) => stream.down(flipped(message, 40))),
  "flip the finish": on("up", 1, ({ message, stream }) => stream.up(flipped(message, 50))),
  "flip the finish reply": on("down", 1, ({ message, stream }) =>
    stream.down(flipped(message, 20)),
  ),
  "drop a request": on("up", 2, () => undefined),
  "repeat a request": on("up", 2, ({ message, stream }) => {
    stream.up(message);
    stream.up(message);
  }),
  "repeat a response": on("down", 2, ({ message, stream }) => {
    stream.down(message);
    stream.down(message);
  }),
  "swap two requests": (event) => {
    if (event.direction === "down" || event.index < 2) forward(event);
    else {
      held.push(event.message);
      if (held.length === 2) for (const message of held.reverse()) event.stream.up(message);
      if (held.length > 2) forward(event);
    }
  },
  "cut a record short": on("down", 2, ({ message, stream }) => {
    // The outer message stays well formed: tag, three bytes of length, one byte less of record.
    const record = message.subarray(message.length - 272);
    const length = record.length - 1;
    stream.down(Uint8Array.from([0x1a, (length & 127) | 128, length >> 7, ...record.subarray(1)]));
  }),
  "cut before the request": on("up", 2, ({ stream }) => {
    stream.cutClient(RST_CANCEL);
    stream.cutEnclave();
  }),
  "cut behind the request": on("up", 2, ({ message, stream }) => {
    stream.up(message);
    stream.cutClient(RST_CANCEL);
  }),
  "refuse what was delivered": on("up", 2, ({ message, stream }) => {
    stream.up(message);
    stream.cutClient(RST_REFUSED_STREAM);
  }),
  "send GOAWAY for what was delivered": on("up", 2, ({ message, stream }) => {
    stream.up(message);
    stream.goaway();
    stream.cutClient(RST_REFUSED_STREAM);
  }),
  "answer OK itself": on("up", 2, ({ stream }) => stream.status(0, "")),
  "answer UNAUTHENTICATED itself": on("up", 2, ({ stream }) => stream.status(16, "who are you?")),
  "answer RESOURCE_EXHAUSTED to the hello": on("up", 0, ({ stream }) => stream.status(8, "later")),
  "answer OK to the hello": on("up", 0, ({ stream }) => stream.status(0, "")),
  "answer nothing to the hello": on("up", 0, () => undefined),
  "answer garbage to the hello": on("up", 0, ({ stream }) =>
    stream.down(Uint8Array.of(0x0a, 3, 1, 2, 3)),
  ),
  "show an old document": (event) => {
    const { direction, index, message, stream, memory } = event;
    if (direction === "up" || index !== 0) forward(event);
    else {
      stream.down(memory.get("hello reply") ?? message);
      memory.set("hello reply", message);
    }
  },
  "change the parameters": on("down", 0, ({ message, stream }) => {
    // HelloReply starts with enclave_params, whose first byte behind tag and length is a tag again:
    // an offered suite is changed.
    const at = message.findIndex((byte, i) => byte === 0x12 && message[i + 1] === 2);
    stream.down(flipped(message, at + 3));
  }),
  // The first response waits for that of another session, and each then gets the other's.
  "splice sessions": (event) => {
    const { direction, index, message, stream, others, memory } = event;
    const held = memory.get("response");
    if (direction === "up" || index !== 2) forward(event);
    else if (held === undefined) memory.set("response", message);
    else {
      stream.down(held);
      for (const other of others) other.down(message);
    }
  },
  "delay beyond the deadline": on("up", 2, ({ message, stream }) => {
    setTimeout(() => stream.up(message), 700);
  }),
  "replay the whole session": (event) => {
    const { direction, index, message, memory, replay } = event;
    forward(event);
    if (direction === "up") memory.set(`up ${index}`, message);
    if (direction === "down" && index === 2) {
      replay([0, 1, 2].map((i) => memory.get(`up ${i}`) ?? new Uint8Array(0)));
    }
  },
  "send a record beyond all limits": on("down", 2, ({ stream }) => {
    const length = 262_161;
    const record = new Uint8Array(length + 4);
    record.set([0x1a, (length & 127) | 128, ((length >> 7) & 127) | 128, length >> 14]);
    stream.down(record);
  }),
};
