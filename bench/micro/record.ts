/** Sealing and opening one record, against node:crypto's AES-256-GCM over the same bytes. */
import { createCipheriv, createDecipheriv, createSecretKey } from "node:crypto";
import { MAX_PLAINTEXT_BYTES, type Padding } from "../../channel/padding.ts";
import { giveArray } from "../../channel/record-array.ts";
import { type DirectionOptions, Opener, Sealer } from "../../channel/record.ts";
import type { SuiteId } from "../../channel/suite.ts";
import type { CryptoBackend } from "../../crypto/backend.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { portableBackend } from "../../crypto/portable.ts";
import { type Operation, timed } from "./operation.ts";

const ALGORITHM = "aes-256-gcm";
const KEY = createSecretKey(new Uint8Array(32).fill(1));
const IV = new Uint8Array(12).fill(2);

/** How a record is sealed; a way that is left out is the default. */
interface Way {
  readonly name: string;
  readonly title: string;
  readonly suite?: SuiteId;
  readonly padding?: Padding;
  readonly backend?: CryptoBackend;
}

const WAYS: readonly Way[] = [
  { name: "sealrpc", title: "sealrpc, suite 1, no padding" },
  { name: "sealrpc-padme", title: "sealrpc, suite 1, padded", padding: "padme" },
  { name: "sealrpc-suite-2", title: "sealrpc, suite 2, no padding", suite: 2 },
  {
    name: "sealrpc-portable",
    title: "sealrpc, suite 1, no padding, portable crypto",
    backend: portableBackend,
  },
];

export function sealing(bytes: number): readonly Operation[] {
  const content = new Uint8Array(bytes).fill(0x5a);
  // As in a session, frames lie where there is room for type and padding behind them.
  const plaintext = new Uint8Array(MAX_PLAINTEXT_BYTES).fill(0x5a);
  return [
    {
      name: "aead",
      title: "node:crypto: the bare AEAD",
      prepare: async () =>
        timed(() => {
          const cipher = createCipheriv(ALGORITHM, KEY, IV);
          cipher.update(content);
          cipher.final();
          cipher.getAuthTag();
        }),
    },
    ...WAYS.map((way): Operation => ({
      name: way.name,
      title: way.title,
      prepare: async () => {
        let sealer = sealerOf(way);
        return timed(() => {
          // A session changes its key then; here there is another session.
          if (sealer.keyUpdateDue(0)) sealer = sealerOf(way);
          giveArray(sealer.sealFilled("frames", plaintext, bytes, 0));
        });
      },
    })),
  ];
}

export function opening(bytes: number): readonly Operation[] {
  const content = new Uint8Array(bytes).fill(0x5a);
  // An opener takes each record once and in order, so it begins anew when they are all opened.
  const count = Math.min(4096, Math.ceil((16 * 1024 * 1024) / bytes));
  return [
    {
      name: "aead",
      title: "node:crypto: the bare AEAD",
      prepare: async () => {
        const cipher = createCipheriv(ALGORITHM, KEY, IV);
        const sealed = Buffer.concat([cipher.update(content), cipher.final()]);
        const tag = cipher.getAuthTag();
        // As many as below, so that the processor's caches hold as much of them.
        const records = Array.from({ length: count }, () => Uint8Array.from(sealed));
        let next = 0;
        return timed(() => {
          const decipher = createDecipheriv(ALGORITHM, KEY, IV);
          decipher.setAuthTag(tag);
          decipher.update(records[next++ % count] ?? sealed);
          decipher.final();
        });
      },
    },
    ...WAYS.map((way): Operation => ({
      name: way.name,
      title: way.title,
      prepare: async () => {
        const sealer = sealerOf(way);
        const records = Array.from({ length: count }, () => sealer.seal("frames", content));
        let opener = new Opener(directionOf(way));
        let next = 0;
        return timed(() => {
          const record = records[next++];
          if (record === undefined) {
            opener = new Opener(directionOf(way));
            next = 0;
            return;
          }
          opener.open(record, 0);
        });
      },
    })),
  ];
}

function sealerOf(way: Way): Sealer {
  return new Sealer({ ...directionOf(way), padding: way.padding ?? "none" });
}

function directionOf({ suite = 1, backend = nodeBackend }: Way): DirectionOptions {
  return { backend, suite, secret: new Uint8Array(32).fill(3), nowMs: 0 };
}
