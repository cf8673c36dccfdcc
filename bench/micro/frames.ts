/** The codec of frames, against node:crypto's AES-256-GCM over the same bytes. */
import { createCipheriv, createSecretKey } from "node:crypto";
import { FRAME_HEADER_BYTES, MESSAGE, visitFrames, writeFrameHeader } from "../../channel/frame.ts";
import { type Operation, timed } from "./operation.ts";

const COUNT = 64;
const BODY_BYTES = 100;
const KEY = createSecretKey(new Uint8Array(32).fill(1));
const IV = new Uint8Array(12).fill(2);
const body = new Uint8Array(BODY_BYTES).fill(0x5a);

/** Of 64 messages of 100 bytes: a busy turn's record. */
export const frames: readonly Operation[] = [
  {
    name: "aead",
    title: "node:crypto: the bare AEAD over them",
    prepare: async () => {
      const content = written();
      return timed(() => {
        const cipher = createCipheriv("aes-256-gcm", KEY, IV);
        cipher.update(content);
        cipher.final();
        cipher.getAuthTag();
      });
    },
  },
  { name: "write", title: "sealrpc: write 64 frames", prepare: async () => timed(written) },
  {
    name: "visit",
    title: "sealrpc: read 64 frames",
    prepare: async () => {
      const content = written();
      let seen = 0;
      return timed(() => {
        visitFrames(content, "client", (_type, _flags, _callId, { length }) => {
          seen += length;
        });
      });
    },
  },
];

const content = new Uint8Array(COUNT * (FRAME_HEADER_BYTES + BODY_BYTES));

function written(): Uint8Array {
  let at = 0;
  for (let id = 1; id <= COUNT; id++) {
    at = writeFrameHeader(content, at, MESSAGE, 0, id, BODY_BYTES);
    content.set(body, at);
    at += BODY_BYTES;
  }
  return content;
}
