import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { AeadName, CryptoBackend } from "../../crypto/backend.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { portableBackend } from "../../crypto/portable.ts";
import { fromHex, toHex } from "../support/hex.ts";

const numRuns = Number(process.env.FUZZ_RUNS ?? 100);
const backends = [nodeBackend, portableBackend];
const aeadNames: readonly AeadName[] = ["AES-256-GCM", "ChaCha20-Poly1305"];

const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const anyBytes = fc.uint8Array({ maxLength: 300 });
/** The order of P-384's group. */
const P384_ORDER = BigInt(
  "0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
);
/** u-coordinates of small order (RFC 7748 §6.1 asks for the check they need). */
const SMALL_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

/** Runs one computation on both backends; all results are equal. */
function agree(compute: (backend: CryptoBackend) => Uint8Array | undefined): void {
  assert.deepEqual(compute(nodeBackend), compute(portableBackend));
}

function sealed(
  backend: CryptoBackend,
  name: AeadName,
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  aad?: Uint8Array,
): Uint8Array {
  const out = new Uint8Array(plaintext.length + 16);
  backend.aead(name, key).seal(nonce, plaintext, out, aad);
  return out;
}

describe("the backend on node:crypto", () => {
  it("frees a large array at once, and leaves a small one", () => {
    const [small, large] = [new Uint8Array(100), new Uint8Array(100_000)];
    nodeBackend.release(small);
    nodeBackend.release(large);
    assert.deepEqual([small.length, large.length], [100, 0]);
  });
});

describe("both backends", () => {
  it("hash the same", () => {
    fc.assert(
      fc.property(anyBytes, (data) => {
        agree((backend) => backend.hash("sha256", data));
        agree((backend) => backend.hash("sha384", data));
      }),
      { numRuns },
    );
  });

  it("derive the same by HKDF", () => {
    fc.assert(
      fc.property(anyBytes, anyBytes, fc.integer({ min: 0, max: 200 }), (a, b, length) => {
        agree((backend) => backend.hkdfExtract(a, b));
        agree((backend) => backend.hkdfExpand(backend.hkdfExtract(a, b), b, length));
      }),
      { numRuns },
    );
  });

  it("agree on X25519 secrets, each with its own and with the other's keys", () => {
    fc.assert(
      fc.property(bytes(32), bytes(32), bytes(32), (ours, theirs, anyPoint) => {
        agree((backend) => backend.x25519(ours).publicKey);
        agree((backend) => backend.x25519(ours).diffieHellman(anyPoint));
        const peer = portableBackend.x25519(theirs);
        const shared = nodeBackend.x25519(ours).diffieHellman(peer.publicKey);
        assert.ok(shared !== undefined);
        assert.deepEqual(peer.diffieHellman(nodeBackend.x25519(ours).publicKey), shared);
      }),
      { numRuns: Math.min(numRuns, 1000) },
    );
  });

  for (const name of aeadNames) {
    it(`seal the same with ${name}, and open what the other sealed`, () => {
      const aad = fc.option(anyBytes, { nil: undefined });
      fc.assert(
        fc.property(bytes(32), bytes(12), anyBytes, aad, (key, nonce, plaintext, extra) => {
          agree((backend) => sealed(backend, name, key, nonce, plaintext, extra));
          const record = sealed(nodeBackend, name, key, nonce, plaintext, extra);
          for (const backend of backends) {
            const opened = backend.aead(name, key).open(nonce, record, extra);
            assert.deepEqual(opened, plaintext);
          }
        }),
        { numRuns },
      );
    });

    it(`open nothing that was changed: ${name}`, () => {
      const key = new Uint8Array(32).fill(1);
      const nonce = new Uint8Array(12).fill(2);
      const aad = Uint8Array.of(3);
      const record = sealed(nodeBackend, name, key, nonce, Uint8Array.of(1, 2, 3), aad);
      for (const backend of backends) {
        const aead = backend.aead(name, key);
        for (let bit = 0; bit < record.length * 8; bit++) {
          const flipped = record.slice();
          flipped[bit >> 3]! ^= 1 << (bit & 7);
          assert.equal(aead.open(nonce, flipped, aad), undefined);
        }
        for (let length = 0; length < record.length; length++) {
          assert.equal(aead.open(nonce, record.subarray(0, length), aad), undefined);
        }
        assert.equal(aead.open(nonce, record, Uint8Array.of(4)), undefined);
        assert.equal(aead.open(nonce, record), undefined);
        assert.equal(aead.open(new Uint8Array(12), record, aad), undefined);
        assert.deepEqual(aead.open(nonce, record, aad), Uint8Array.of(1, 2, 3));
      }
    });
  }

  it("give the same verdict on P-384 signatures, genuine and malformed", () => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
    const point = publicKey.export({ format: "der", type: "spki" }).subarray(-97);
    const message = Buffer.from("a message");
    const signature = sign("sha384", message, { key: privateKey, dsaEncoding: "ieee-p1363" });
    const s = BigInt(`0x${signature.subarray(48).toString("hex")}`);
    const otherS = Buffer.from((P384_ORDER - s).toString(16).padStart(96, "0"), "hex");
    const malleated = Buffer.concat([signature.subarray(0, 48), otherS]);
    const zero = Buffer.alloc(48);
    const one = Buffer.concat([Buffer.alloc(47), Buffer.of(1)]);
    const r = signature.subarray(0, 48);
    const offCurve = Buffer.from(point);
    offCurve[96]! ^= 1;
    const compressed = Buffer.concat([Buffer.of(2 + (point[96]! & 1)), point.subarray(1, 49)]);
    const hybrid = Buffer.concat([Buffer.of(6 + (point[96]! & 1)), point.subarray(1)]);
    const cases: readonly [string, boolean, Uint8Array, Uint8Array, Uint8Array][] = [
      ["as signed", true, point, message, signature],
      ["the other s, high or low", true, point, message, malleated],
      ["another message", false, point, Buffer.from("another"), signature],
      ["r of 0", false, point, message, Buffer.concat([zero, signature.subarray(48)])],
      ["s of 0", false, point, message, Buffer.concat([r, zero])],
      ["r and s of 1", false, point, message, Buffer.concat([one, one])],
      ["all bits set", false, point, message, Buffer.alloc(96, 0xff)],
      ["a short signature", false, point, message, signature.subarray(0, 95)],
      ["a long signature", false, point, message, Buffer.concat([signature, Buffer.of(0)])],
      ["no signature", false, point, message, Buffer.alloc(0)],
      ["a point off the curve", false, offCurve, message, signature],
      ["a compressed point", false, compressed, message, signature],
      ["a hybrid point", false, hybrid, message, signature],
      ["the point at infinity", false, Buffer.of(0), message, signature],
      ["no point", false, Buffer.alloc(0), message, signature],
      [
        "a point of zeros",
        false,
        Buffer.concat([Buffer.of(4), Buffer.alloc(96)]),
        message,
        signature,
      ],
    ];
    for (const backend of backends) {
      for (const [name, expected, key, text, value] of cases) {
        assert.equal(backend.verifyP384(key, text, value), expected, `${backend.name}: ${name}`);
      }
    }
  });

  // Node 20 stood still for ever after some ten thousand keys when it did.
  it("never export a key that Node generated", (t) => {
    const { publicKey, privateKey } = generateKeyPairSync("x25519");
    const exports = [publicKey, privateKey].map((key) =>
      t.mock.method(Object.getPrototypeOf(key) as typeof key, "export"),
    );
    const { publicKey: peer } = nodeBackend.x25519();
    assert.ok(nodeBackend.x25519().diffieHellman(peer));
    for (const { mock } of exports) assert.equal(mock.callCount(), 0);
  });

  it("give different random bytes each time", () => {
    for (const backend of backends) {
      assert.equal(backend.randomBytes(32).length, 32);
      assert.notDeepEqual(backend.randomBytes(32), backend.randomBytes(32));
      assert.notDeepEqual(backend.x25519().publicKey, backend.x25519().publicKey);
    }
  });
});

for (const backend of backends) {
  describe(`the ${backend.name} backend`, () => {
    it("derives by HKDF as RFC 5869 A.1 does", () => {
      const ikm = new Uint8Array(22).fill(0x0b);
      const prk = backend.hkdfExtract(fromHex("000102030405060708090a0b0c"), ikm);
      const info = fromHex("f0f1f2f3f4f5f6f7f8f9");
      assert.equal(toHex(prk), "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
      assert.equal(
        toHex(backend.hkdfExpand(prk, info, 42)),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
      );
    });

    it("expands no key that is shorter than a hash", () => {
      assert.throws(() => backend.hkdfExpand(new Uint8Array(31), new Uint8Array(0), 32));
    });

    it("expands at most 8,160 bytes", () => {
      assert.equal(backend.hkdfExpand(new Uint8Array(32), new Uint8Array(0), 8160).length, 8160);
      assert.throws(() => backend.hkdfExpand(new Uint8Array(32), new Uint8Array(0), 8161));
    });

    it("seals with AES-256-GCM as test case 14 of the GCM specification does", () => {
      const record = sealed(
        backend,
        "AES-256-GCM",
        new Uint8Array(32),
        new Uint8Array(12),
        new Uint8Array(16),
      );
      const expected = "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919";
      assert.equal(toHex(record), expected);
    });

    it("gives no secret with a point of small order", () => {
      for (const point of SMALL_ORDER) {
        assert.equal(backend.x25519().diffieHellman(fromHex(point)), undefined, point);
      }
    });

    it("gives no secret with a public key of another length", () => {
      for (const length of [0, 31, 33]) {
        assert.equal(backend.x25519().diffieHellman(new Uint8Array(length).fill(9)), undefined);
      }
    });

    it("refuses keys of another length", () => {
      for (const length of [0, 16, 31, 33]) {
        const key = new Uint8Array(length);
        assert.throws(() => backend.x25519(key), RangeError);
        for (const name of aeadNames) assert.throws(() => backend.aead(name, key), RangeError);
      }
    });

    it("uses no key that was destroyed", () => {
      const keyPair = backend.x25519();
      keyPair.destroy();
      assert.throws(() => keyPair.diffieHellman(backend.x25519().publicKey), TypeError);
      for (const name of aeadNames) {
        const aead = backend.aead(name, new Uint8Array(32));
        aead.destroy();
        const sealed = new Uint8Array(20);
        assert.throws(() => aead.seal(new Uint8Array(12), new Uint8Array(4), sealed), TypeError);
        assert.throws(() => aead.open(new Uint8Array(12), new Uint8Array(20)), TypeError);
      }
    });

    it("keeps its own copy of a key", () => {
      const key = new Uint8Array(32).fill(5);
      const nonce = new Uint8Array(12);
      const privateKey = key.slice();
      const keyPair = backend.x25519(privateKey);
      privateKey.fill(0);
      const peer = backend.x25519();
      const expected = backend.x25519(key).diffieHellman(peer.publicKey);
      assert.deepEqual(keyPair.diffieHellman(peer.publicKey), expected);
      for (const name of aeadNames) {
        const given = key.slice();
        const aead = backend.aead(name, given);
        given.fill(0);
        const record = new Uint8Array(20);
        aead.seal(nonce, new Uint8Array(4), record);
        assert.deepEqual(record, sealed(backend, name, key, nonce, new Uint8Array(4)));
      }
    });

    it("seals into what has room for the tag and no more", () => {
      for (const name of aeadNames) {
        const aead = backend.aead(name, new Uint8Array(32));
        for (const length of [0, 15, 16, 18]) {
          const sealed = new Uint8Array(length);
          assert.throws(() => aead.seal(new Uint8Array(12), new Uint8Array(1), sealed), RangeError);
        }
      }
    });

    it("seals into a view, leaves the plaintext, and touches nothing around", () => {
      for (const name of aeadNames) {
        const around = new Uint8Array(40).fill(7);
        const view = around.subarray(3, 30);
        const plaintext = new Uint8Array(11).fill(8);
        const expected = sealed(backend, name, new Uint8Array(32), new Uint8Array(12), plaintext);
        backend.aead(name, new Uint8Array(32)).seal(new Uint8Array(12), plaintext, view);
        assert.deepEqual(view, expected);
        assert.deepEqual(plaintext, new Uint8Array(11).fill(8));
        assert.deepEqual(around.subarray(0, 3), new Uint8Array(3).fill(7));
        assert.deepEqual(around.subarray(30), new Uint8Array(10).fill(7));
      }
    });

    it("allocates what was asked for, and opens and seals what others released before", () => {
      const key = new Uint8Array(32);
      const nonce = new Uint8Array(12);
      for (const length of [0, 1, 100_000]) {
        const plaintext = backend.allocate(length).fill(3);
        assert.equal(plaintext.length, length);
        const record = sealed(backend, "AES-256-GCM", key, nonce, plaintext);
        const opened = backend.aead("AES-256-GCM", key).open(nonce, record);
        assert.deepEqual(opened, plaintext);
        backend.release(plaintext);
        assert.deepEqual(opened, new Uint8Array(length).fill(3));
      }
    });

    it("gives plain arrays, whose slices are copies", () => {
      const aead = backend.aead("AES-256-GCM", new Uint8Array(32));
      const record = new Uint8Array(17);
      aead.seal(new Uint8Array(12), new Uint8Array(1), record);
      const results = [
        backend.randomBytes(1),
        backend.hash("sha256", record),
        backend.hkdfExtract(record, record),
        backend.hkdfExpand(new Uint8Array(32), record, 1),
        backend.x25519().publicKey,
        backend.x25519().diffieHellman(backend.x25519().publicKey),
        aead.open(new Uint8Array(12), record),
      ];
      for (const result of results) assert.equal(result?.constructor, Uint8Array);
    });
  });
}
