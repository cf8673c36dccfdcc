import assert from "node:assert/strict";
import type { webcrypto } from "node:crypto";
import { describe, it } from "node:test";
import * as core from "@hpke/core";
import fc from "fast-check";
import * as panva from "hpke";
import { decapsulate, encapsulate, HpkeContext } from "../../channel/hpke.ts";
import { suiteOf } from "../../channel/suite.ts";
import type { CryptoBackend } from "../../crypto/backend.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { portableBackend } from "../../crypto/portable.ts";
import { isChannelError } from "../support/channel-error.ts";
import { fromHex, toHex } from "../support/hex.ts";
import { readVectors } from "../support/vectors.ts";

const numRuns = Math.min(Number(process.env.FUZZ_RUNS ?? 100), 2000);
const vectors = "rfc9180-x25519-export-only.json";

interface PublishedVector {
  readonly info: string;
  readonly skE: string;
  readonly skR: string;
  readonly pkR: string;
  readonly enc: string;
  readonly sharedSecret: string;
  readonly exports: readonly { readonly exporterContext: string; readonly exported: string }[];
}

const suite = suiteOf(1);

/** Our two sides. */
function send(
  backend: CryptoBackend,
  publicKey: Uint8Array,
  info: Uint8Array,
): { enc: Uint8Array; context: HpkeContext } {
  const { enc, sharedSecret } = encapsulate(backend, suite, publicKey);
  return { enc, context: new HpkeContext(backend, suite, sharedSecret, info) };
}

function receive(
  backend: CryptoBackend,
  privateKey: Uint8Array,
  enc: Uint8Array,
  info: Uint8Array,
): HpkeContext {
  const sharedSecret = decapsulate(backend, suite, backend.x25519(privateKey), enc);
  return new HpkeContext(backend, suite, sharedSecret, info);
}

async function importKey(
  peer: core.CipherSuite,
  key: Uint8Array,
  isPublic: boolean,
): Promise<webcrypto.CryptoKey> {
  const raw = Uint8Array.from(key).buffer;
  return (await peer.kem.importKey("raw", raw, isPublic)) as webcrypto.CryptoKey;
}

/** The backend, with the next ephemeral key chosen. */
function withEphemeral(backend: CryptoBackend, privateKey: Uint8Array): CryptoBackend {
  return { ...backend, x25519: () => backend.x25519(privateKey) };
}

for (const backend of [nodeBackend, portableBackend]) {
  describe(`HPKE on the ${backend.name} backend`, () => {
    it("gives what RFC 9180 A.7.1 says, on both sides", () => {
      const { cases } = readVectors(vectors) as { cases: PublishedVector[] };
      assert.equal(cases.length, 1);
      for (const vector of cases) {
        const info = fromHex(vector.info);
        const ephemeral = withEphemeral(backend, fromHex(vector.skE));
        const sent = encapsulate(ephemeral, suite, fromHex(vector.pkR));
        assert.equal(toHex(sent.enc), vector.enc);
        assert.equal(toHex(sent.sharedSecret), vector.sharedSecret);
        const keyPair = backend.x25519(fromHex(vector.skR));
        assert.equal(toHex(keyPair.publicKey), vector.pkR);
        const received = decapsulate(backend, suite, keyPair, sent.enc);
        assert.equal(toHex(received), vector.sharedSecret);
        for (const secret of [sent.sharedSecret, received]) {
          const context = new HpkeContext(backend, suite, secret, info);
          for (const { exporterContext, exported } of vector.exports) {
            assert.equal(toHex(context.export(fromHex(exporterContext), 32)), exported);
          }
        }
      }
    });

    it("fills the shared secret with zero once it is used", () => {
      const { sharedSecret } = encapsulate(backend, suite, backend.x25519().publicKey);
      const context = new HpkeContext(backend, suite, sharedSecret, new Uint8Array(0));
      assert.deepEqual(sharedSecret, new Uint8Array(32));
      context.destroy();
      assert.throws(() => context.export(new Uint8Array(0), 32), TypeError);
    });

    it("refuses an all-zero secret, on both sides", () => {
      const zero = new Uint8Array(32);
      assert.throws(() => encapsulate(backend, suite, zero), isChannelError("malformed-handshake"));
      assert.throws(
        () => decapsulate(backend, suite, backend.x25519(), zero),
        isChannelError("malformed-handshake"),
      );
    });

    const secret = fc.uint8Array({ minLength: 32, maxLength: 32 });
    const text = fc.uint8Array({ maxLength: 100 });
    const length = fc.integer({ min: 1, max: 100 });

    it("exports what the library `hpke` exports, whoever sends", async () => {
      const peer = new panva.CipherSuite(
        panva.KEM_DHKEM_X25519_HKDF_SHA256,
        panva.KDF_HKDF_SHA256,
        panva.AEAD_EXPORT_ONLY,
      );
      await fc.assert(
        fc.asyncProperty(secret, text, text, length, async (skR, info, label, bytes) => {
          const pkR = backend.x25519(skR).publicKey;
          const ours = send(backend, pkR, info);
          const theirKey = await peer.DeserializePrivateKey(skR);
          const theirPair = {
            privateKey: theirKey,
            publicKey: await peer.DeserializePublicKey(pkR),
          };
          assert.deepEqual(
            ours.context.export(label, bytes),
            await peer.ReceiveExport(theirPair, ours.enc, label, bytes, { info }),
          );
          const theirs = await peer.SendExport(theirPair.publicKey, label, bytes, { info });
          assert.deepEqual(
            receive(backend, skR, theirs.encapsulatedSecret, info).export(label, bytes),
            theirs.exportedSecret,
          );
        }),
        { numRuns: Math.min(numRuns, 25) },
      );
    });

    it("exports what the library `@hpke/core` exports, whoever sends", async () => {
      const peer = new core.CipherSuite({
        kem: new core.DhkemX25519HkdfSha256(),
        kdf: new core.HkdfSha256(),
        aead: new core.ExportOnly(),
      });
      await fc.assert(
        fc.asyncProperty(secret, text, text, length, async (skR, info, label, bytes) => {
          const { publicKey } = backend.x25519(skR);
          const ours = send(backend, publicKey, info);
          const recipientKey = {
            privateKey: await importKey(peer, skR, false),
            publicKey: await importKey(peer, publicKey, true),
          };
          const received = await peer.createRecipientContext({
            recipientKey,
            enc: Uint8Array.from(ours.enc).buffer,
            info: Uint8Array.from(info).buffer,
          });
          assert.deepEqual(
            ours.context.export(label, bytes),
            new Uint8Array(await received.export(Uint8Array.from(label).buffer, bytes)),
          );
          const theirs = await peer.createSenderContext({
            recipientPublicKey: recipientKey.publicKey,
            info: Uint8Array.from(info).buffer,
          });
          assert.deepEqual(
            receive(backend, skR, new Uint8Array(theirs.enc), info).export(label, bytes),
            new Uint8Array(await theirs.export(Uint8Array.from(label).buffer, bytes)),
          );
        }),
        { numRuns: Math.min(numRuns, 25) },
      );
    });
  });
}
