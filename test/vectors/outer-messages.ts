/** outer-messages.json: records in their outer message, and what is none. */
import { encodeRecordMessage, RECORD_HEADROOM } from "../../channel/outer-message.ts";
import { concat } from "../../channel/notation.ts";
import type { VectorFile } from "./vector-file.ts";

export function outerMessageVectors(): VectorFile {
  const good = [17, 127, 128, 300].map((length) => {
    const record = new Uint8Array(length).fill(0xab);
    const buffer = (): Uint8Array => concat(new Uint8Array(RECORD_HEADROOM), record);
    const message = encodeRecordMessage(buffer(), false);
    const grpcMessage = encodeRecordMessage(buffer(), true);
    return { name: `a record of ${length} bytes`, expect: "ok", record, message, grpcMessage };
  });
  const bad: readonly [string, string, readonly number[]][] = [
    ["nothing", "malformed-handshake", []],
    ["an unknown field", "malformed-handshake", [0x22, 0]],
    ["field 3 as a number", "malformed-handshake", [0x18, 0]],
    ["a hello shorter than announced", "malformed-handshake", [0x0a, 2, 0]],
    ["a hello and a hello", "malformed-handshake", [0x0a, 0, 0x0a, 0]],
    ["no length", "malformed-record", [0x1a]],
    ["an unfinished length", "malformed-record", [0x1a, 0x80]],
    ["a record shorter than announced", "malformed-record", [0x1a, 2, 0]],
    ["something after the record", "malformed-record", [0x1a, 1, 0, 0]],
    ["two records", "malformed-record", [0x1a, 1, 0, 0x1a, 1, 0]],
    ["a record announced beyond the limit", "record-too-large", [0x1a, 0x91, 0x80, 0x10]],
  ];
  return {
    description: "ConnectRequest or ConnectResponse, and the same with gRPC's message prefix",
    spec: "§3",
    cases: [
      ...good,
      ...bad.map(([name, expect, bytes]) => ({ name, expect, message: Uint8Array.from(bytes) })),
    ],
  };
}
