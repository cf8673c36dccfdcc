import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodeHex } from "../../attestation/bytes.ts";
import { Policy, type PolicyOptions } from "../../attestation/policy.ts";
import { VerifiedEvidence, type VerifyOptions } from "../../attestation/verified-evidence.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { portableBackend } from "../../crypto/portable.ts";
import { hasCode } from "../support/error-code.ts";
import {
  instanceId,
  leafNotBeforeMs,
  moduleId,
  region,
  registersWith,
  rootOfSignedEvidence,
  signedAtMs,
  signedEvidence,
} from "../support/signed-evidence.ts";

const pcr = (byte: number) => new Uint8Array(48).fill(byte);
const digits = (byte: number) => encodeHex(pcr(byte));
const policyWith = (options: PolicyOptions = {}) =>
  Policy.from({
    referenceValues: [{ pcr0: digits(1), pcr1: digits(2), pcr2: digits(3) }],
    insecureTestRoot: rootOfSignedEvidence,
    ...options,
  });
const policy = policyWith();
/** Has all that can be seen of a policy. */
const lookAlikeOf = (original: Policy): Policy =>
  Object.fromEntries([...Object.entries(original), ["root", original.root]]) as unknown as Policy;
const challenge = new Uint8Array(16).fill(0xc4);
const userData = Uint8Array.of(1, 2, 3);
const publicKey = new Uint8Array(32).fill(9);
const now = signedAtMs;

const verify = (evidence: Uint8Array, options: Partial<VerifyOptions> = {}) =>
  VerifiedEvidence.verify(evidence, { policy, now, ...options });

describe("verified evidence", () => {
  for (const backend of [nodeBackend, portableBackend]) {
    it(`holds what the document says, by the ${backend.name} backend`, () => {
      const bytes = signedEvidence({ publicKey, userData, nonce: challenge });
      const evidence = verify(bytes, { challenge, userData, backend });
      assert.deepEqual(evidence.publicKey, publicKey);
      assert.deepEqual(evidence.userData, userData);
      assert.deepEqual(evidence.challenge, challenge);
      const { pcrs, certificateNotAfterMs, ...rest } = evidence.claims;
      assert.deepEqual(rest, { moduleId, instanceId, region, timestampMs: now, debug: false });
      assert.deepEqual(
        pcrs,
        Object.fromEntries(registersWith().map(([i, value]) => [i, encodeHex(value)])),
      );
      assert.ok(certificateNotAfterMs > now);
    });
  }

  it("demands a public key of the length that the caller expects", () => {
    const bytes = signedEvidence({ publicKey });
    verify(bytes, { publicKeyBytes: 32 });
    verify(signedEvidence(), { publicKeyBytes: 0 });
    for (const publicKeyBytes of [0, 31]) {
      const message = /public_key: expected \d+ bytes, received 32/;
      assert.throws(() => verify(bytes, { publicKeyBytes }), hasCode("binding-mismatch", message));
    }
  });

  it("tells fields that are empty from fields that are absent", () => {
    const absent = verify(signedEvidence());
    assert.deepEqual(
      [absent.publicKey, absent.userData, absent.challenge],
      [undefined, undefined, undefined],
    );
    const none = new Uint8Array();
    const empty = verify(signedEvidence({ publicKey: none, userData: none, nonce: none }));
    assert.deepEqual([empty.publicKey, empty.userData, empty.challenge], [none, none, none]);
  });

  it("cannot be changed through what it gives or was given", () => {
    const bytes = signedEvidence({ publicKey, userData, nonce: challenge });
    const evidence = verify(bytes);
    bytes.fill(0);
    evidence.publicKey?.fill(0);
    evidence.userData?.fill(0);
    evidence.challenge?.fill(0);
    assert.deepEqual(evidence.publicKey, publicKey);
    assert.deepEqual(evidence.userData, userData);
    assert.deepEqual(evidence.challenge, challenge);
    assert.ok(Object.isFrozen(evidence.claims));
    assert.ok(Object.isFrozen(evidence.claims.pcrs));
  });

  it("cannot be made by anything else", () => {
    const evidence = verify(signedEvidence());
    // @ts-expect-error: an object of the same shape is no verified evidence.
    const lookAlike: VerifiedEvidence = {
      claims: evidence.claims,
      publicKey,
      userData,
      challenge,
      reappraise: () => {},
    };
    assert.ok(!(lookAlike instanceof VerifiedEvidence));
    // @ts-expect-error: the constructor is private.
    assert.throws(() => new VerifiedEvidence());
    const heir = Object.create(evidence) as VerifiedEvidence;
    assert.throws(() => heir.claims, TypeError);
  });

  it("is verified at the verifier's clock unless a time is given", () => {
    assert.throws(
      () => VerifiedEvidence.verify(signedEvidence(), { policy: policyWith({ maxAgeMs: 1 }) }),
      (error: Error) => /certificate-|stale-evidence/.test(error.message),
    );
  });

  it("is read from a Buffer and from a part of a larger array", () => {
    const bytes = signedEvidence();
    verify(Buffer.from(bytes));
    const larger = new Uint8Array(bytes.length + 20);
    larger.set(bytes, 7);
    verify(larger.subarray(7, 7 + bytes.length));
  });
});

describe("the instance binding", () => {
  const unbound = policyWith({ insecureSkipInstanceBinding: true });
  const cases: readonly (readonly [string, Uint8Array, string, RegExp])[] = [
    ...[
      instanceId,
      `${instanceId}-tpm0000000000000000`,
      "i-0123456789abcdef0-enc0123456789ABCDEF",
      "i-0123456789abcdef0-enc0123456789abcdef0",
      "j-0123456789abcdef0-enc0123456789abcdef",
      ` ${moduleId}`,
      `${moduleId}\n`,
    ].map(
      (id) =>
        [
          `a module_id ${JSON.stringify(id)}`,
          signedEvidence({ moduleId: id }),
          "not-an-enclave",
          /module_id/,
        ] as const,
    ),
    [
      "a leaf of another enclave",
      signedEvidence({ moduleId: `${instanceId}-enc0000000000000000` }),
      "instance-mismatch",
      /certificate: expected the name/,
    ],
    [
      "PCR4 of another instance",
      signedEvidence({ pcrs: registersWith({ 4: pcr(4) }) }),
      "instance-mismatch",
      /PCR4: expected that of i-0123456789abcdef0, received 0404/,
    ],
    [
      "no PCR4",
      signedEvidence({ pcrs: registersWith().filter(([i]) => i !== 4) }),
      "instance-mismatch",
      /PCR4: .* received none/,
    ],
    [
      "a time before its leaf",
      signedEvidence({ timestampMs: leafNotBeforeMs - 1 }),
      "instance-mismatch",
      /timestamp/,
    ],
  ];
  for (const [what, bytes, code, message] of cases) {
    it(`refuses ${what}, unless the policy skips it`, () => {
      assert.throws(() => verify(bytes), hasCode(code, message));
      verify(bytes, { policy: unbound });
    });
  }

  it("takes the first millisecond of its leaf", () => {
    verify(signedEvidence({ timestampMs: leafNotBeforeMs }));
  });

  it("refuses a time after its leaf", () => {
    const { certificateNotAfterMs: end } = verify(signedEvidence()).claims;
    const patient = policyWith({ futureSkewMs: 86_400_000 });
    verify(signedEvidence({ timestampMs: end }), { policy: patient });
    assert.throws(
      () => verify(signedEvidence({ timestampMs: end + 1 }), { policy: patient }),
      hasCode("instance-mismatch", /timestamp/),
    );
  });

  it("leaves names open that do not agree where the policy skips it", () => {
    const bytes = signedEvidence({ moduleId: "something" });
    const { claims } = verify(bytes, { policy: unbound });
    assert.deepEqual(
      [claims.moduleId, claims.instanceId, claims.region],
      ["something", undefined, undefined],
    );
  });
});

describe("the order of the checks", () => {
  /** Each fault is of a later step than the one before; the earliest decides. */
  const late = { userData: Uint8Array.of(0) };
  const stale = { ...late, timestampMs: now - 3000 };
  const other = { ...stale, nonce: new Uint8Array(16) };
  const image = { ...other, pcrs: registersWith({ 0: pcr(0x55) }) };
  const debug = { ...other, pcrs: registersWith({ 0: pcr(0) }) };
  const instance = { ...debug, pcrs: registersWith({ 0: pcr(0), 4: pcr(4) }) };
  const forged = signedEvidence(instance);
  forged[forged.length - 1]! ^= 1;
  const strict = policyWith({ maxAgeMs: 1000 });

  for (const [code, bytes, options] of [
    ["binding-mismatch", signedEvidence({ ...late, nonce: challenge }), {}],
    ["stale-evidence", signedEvidence({ ...stale, nonce: challenge }), {}],
    ["challenge-mismatch", signedEvidence(other), {}],
    ["measurement-mismatch", signedEvidence(image), {}],
    ["debug-enclave", signedEvidence(debug), {}],
    ["instance-mismatch", signedEvidence(instance), {}],
    ["bad-signature", forged, {}],
    ["certificate-expired", forged, { now: now + 86_400_000 }],
    ["certificate-not-yet-valid", forged, { now: now - 86_400_000 }],
    ["untrusted-chain", forged, { policy: Policy.from({ insecureAnyMeasurement: true }), now: 0 }],
    ["malformed-evidence", forged.subarray(1), { now: 0 }],
  ] as const) {
    it(`has ${code} before what comes after`, () => {
      assert.throws(
        () => verify(bytes, { policy: strict, challenge, userData, ...options }),
        hasCode(code),
      );
    });
  }
});

describe("arguments that cannot be meant", () => {
  // Were it looked at, it would be malformed.
  const bytes = new Uint8Array(100);
  const lookAlike = lookAlikeOf(policy);
  const refused: readonly (readonly [
    string,
    unknown,
    object,
    typeof TypeError | typeof RangeError,
  ])[] = [
    ["evidence as hexadecimal digits", encodeHex(bytes), {}, TypeError],
    ["evidence as a list", [...bytes], {}, TypeError],
    ["no policy", bytes, { policy: undefined }, TypeError],
    ["options in the place of a policy", bytes, { policy: { referenceValues: [] } }, TypeError],
    ["a policy by its looks", bytes, { policy: lookAlike }, TypeError],
    ["an heir of a policy", bytes, { policy: Object.create(policy) as Policy }, TypeError],
    ["a challenge of 15 bytes", bytes, { challenge: new Uint8Array(15) }, RangeError],
    ["an empty challenge", bytes, { challenge: new Uint8Array() }, RangeError],
    ["a challenge of text", bytes, { challenge: "0123456789abcdef" }, TypeError],
    ["a challenge of null", bytes, { challenge: null }, TypeError],
    ["user data of text", bytes, { userData: "" }, TypeError],
    ["a time that is no number", bytes, { now: NaN }, RangeError],
    ["a time without end", bytes, { now: Infinity }, RangeError],
    ["a time of text", bytes, { now: "2026-03-14" }, RangeError],
  ];
  for (const [what, evidence, options, error] of refused) {
    it(`are ${what}`, () => {
      assert.throws(() => verify(evidence as Uint8Array, options), error);
    });
  }
});

describe("kept evidence", () => {
  const evidence = verify(signedEvidence());

  it("passes the policy that it passed, however old it is", () => {
    evidence.reappraise(policy);
    evidence.reappraise(policyWith({ maxAgeMs: 1 }));
  });

  for (const [code, changed] of [
    ["measurement-mismatch", policyWith({ referenceValues: [{ pcr0: digits(2) }] })],
    ["untrusted-chain", Policy.from({ referenceValues: [{ pcr0: digits(1) }] })],
  ] as const) {
    it(`is refused by another policy with ${code}`, () => {
      assert.throws(() => evidence.reappraise(changed), hasCode(code));
    });
  }

  it("is refused as debug when that is allowed no more", () => {
    const registers = registersWith({ 0: pcr(0), 1: pcr(0), 2: pcr(0) });
    const debug = verify(signedEvidence({ pcrs: registers }), {
      policy: policyWith({ insecureAllowDebug: true }),
    });
    assert.ok(debug.claims.debug);
    assert.throws(() => debug.reappraise(policy), hasCode("debug-enclave"));
  });

  it("is bound to its instance when that is skipped no more", () => {
    const bytes = signedEvidence({ pcrs: registersWith({ 4: pcr(4) }) });
    const unbound = verify(bytes, { policy: policyWith({ insecureSkipInstanceBinding: true }) });
    assert.throws(() => unbound.reappraise(policy), hasCode("instance-mismatch"));
  });

  it("is not appraised by what is no policy", () => {
    assert.throws(() => evidence.reappraise({} as Policy), TypeError);
    assert.throws(() => evidence.reappraise(lookAlikeOf(policy)), TypeError);
  });
});
