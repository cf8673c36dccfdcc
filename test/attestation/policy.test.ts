import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { decodePem } from "../../attestation/pem.ts";
import { parsePolicyFile, Policy, type PolicyOptions } from "../../attestation/policy.ts";
import { awsRootPem } from "../../attestation/root.ts";
import { Simulator } from "../../attestation/nsm/simulator.ts";
import {
  basicConstraintsType,
  certificate,
  commonNameType,
  extension,
  keyUsageType,
  name,
  organizationType,
  sequence,
  der,
  hex,
} from "../support/der.ts";

const pcr0 = "0a".repeat(48);
const referenceValues = [{ pcr0 }];
const simulator = await Simulator.create();

const pem = (encoding: Uint8Array) =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(encoding).toString("base64")}\n-----END CERTIFICATE-----\n`;
const factsOf = (policy: Policy): object => Object.fromEntries(Object.entries(policy));
const refuses = (
  options: unknown,
  error: typeof TypeError | typeof RangeError,
  message: RegExp,
) => {
  assert.throws(
    () => Policy.from(options as PolicyOptions),
    (thrown: unknown) => {
      assert.ok(thrown instanceof error, String(thrown));
      assert.match(thrown.message, message);
      return true;
    },
  );
};

describe("the root of AWS's commercial partition", () => {
  it("is the one that AWS published", () => {
    const encoding = decodePem(awsRootPem)!;
    assert.equal(encoding.length, 533);
    assert.equal(
      createHash("sha256").update(encoding).digest("hex"),
      "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b",
    );
  });

  it("is pinned unless another is given", () => {
    assert.deepEqual(Policy.from({ referenceValues }).root, decodePem(awsRootPem));
  });
});

describe("a policy", () => {
  it("has strict limits unless others are given", () => {
    const policy = Policy.from({ referenceValues });
    assert.deepEqual(factsOf(policy), {
      referenceValues: [{ pcr0 }],
      maxAgeMs: 300_000,
      futureSkewMs: 300_000,
      notBeforeLeewayMs: 60_000,
      insecureAllowDebug: false,
      insecureAnyMeasurement: false,
      insecureSkipInstanceBinding: false,
    });
  });

  it("keeps what it was given", () => {
    const options = {
      referenceValues: [
        { pcr0 },
        { pcr0, pcr1: pcr0, pcr2: pcr0, pcr3: pcr0, pcr4: pcr0, pcr8: pcr0 },
      ],
      maxAgeMs: 1,
      futureSkewMs: 0,
      notBeforeLeewayMs: 0,
      insecureAllowDebug: true,
      insecureAnyMeasurement: true,
      insecureSkipInstanceBinding: true,
    };
    assert.deepEqual(factsOf(Policy.from(options)), options);
  });

  it("reads hexadecimal digits of any case", () => {
    const policy = Policy.from({ referenceValues: [{ pcr0: "aB".repeat(48) }] });
    assert.deepEqual(policy.referenceValues, [{ pcr0: "ab".repeat(48) }]);
  });

  it("passes over what is undefined", () => {
    const set = { pcr0, pcr1: undefined };
    const options = { referenceValues: [set], maxAgeMs: undefined, root: undefined };
    const policy = Policy.from(options as unknown as PolicyOptions);
    assert.deepEqual(policy.referenceValues, [{ pcr0 }]);
    assert.equal(policy.maxAgeMs, 300_000);
  });

  it("cannot be changed, neither in itself nor through what it was made of", () => {
    const set = { pcr0 };
    const sets = [set];
    const policy = Policy.from({ referenceValues: sets });
    set.pcr0 = "bb".repeat(48);
    sets.push(set);
    policy.root.fill(0);
    assert.deepEqual(policy.referenceValues, [{ pcr0 }]);
    assert.deepEqual(policy.root, decodePem(awsRootPem));
    assert.ok(Object.isFrozen(policy));
    assert.ok(Object.isFrozen(policy.referenceValues));
    assert.ok(Object.isFrozen(policy.referenceValues[0]));
  });

  it("is known by what made it, not by its looks", () => {
    const policy = Policy.from({ referenceValues });
    assert.ok(Policy.is(policy));
    assert.ok(!Policy.is(Object.create(Policy.prototype)));
    assert.ok(!Policy.is(factsOf(policy)));
    assert.ok(!Policy.is(undefined));
    assert.ok(!Policy.is(null));
    const policyShape = factsOf(policy) as Omit<Policy, "root">;
    // @ts-expect-error: an object of the same shape is no policy.
    const lookAlike: Policy = { ...policyShape, root: policy.root };
    assert.ok(!Policy.is(lookAlike));
  });

  describe("refuses", () => {
    const refused: readonly (readonly [
      string,
      unknown,
      typeof TypeError | typeof RangeError,
      RegExp,
    ])[] = [
      ["nothing", undefined, TypeError, /expected an object/],
      ["null", null, TypeError, /expected an object/],
      ["a list", [], TypeError, /expected an object/],
      [
        "an unknown key",
        { referenceValues, maxAge: 1 },
        TypeError,
        /"maxAge", expected referenceValues, maxAgeMs/,
      ],
      ["no measurements", {}, TypeError, /referenceValues/],
      ["an empty list of measurements", { referenceValues: [] }, RangeError, /expected a set/],
      [
        "an empty list even where any measurement will do",
        { referenceValues: [], insecureAnyMeasurement: true },
        RangeError,
        /expected a set/,
      ],
      [
        "measurements that are no list",
        { referenceValues: { pcr0 } },
        TypeError,
        /expected a list/,
      ],
      [
        "measurements of null",
        { referenceValues: null, insecureAnyMeasurement: true },
        TypeError,
        /expected a list/,
      ],
      [
        "a set that is no object",
        { referenceValues: [pcr0] },
        TypeError,
        /referenceValues\[0\]: expected an object/,
      ],
      ["a set that is a list", { referenceValues: [[pcr0]] }, TypeError, /expected an object/],
      ["a set of null", { referenceValues: [null] }, TypeError, /expected an object/],
      [
        "a set without pcr0",
        { referenceValues: [{ pcr0 }, { pcr1: pcr0 }] },
        TypeError,
        /referenceValues\[1\]: expected pcr0/,
      ],
      [
        "an empty set even where any measurement will do",
        { referenceValues: [{}], insecureAnyMeasurement: true },
        RangeError,
        /expected a measurement/,
      ],
      [
        "a set with an unknown key",
        { referenceValues: [{ pcr0, pcr5: pcr0 }] },
        TypeError,
        /"pcr5", expected pcr0, pcr1/,
      ],
      ["a register in capitals", { referenceValues: [{ PCR0: pcr0 }] }, TypeError, /"PCR0"/],
      [
        "a measurement of zeros",
        { referenceValues: [{ pcr0: "00".repeat(48) }] },
        RangeError,
        /pcr0: all zero/,
      ],
      [
        "zeros in any register",
        { referenceValues: [{ pcr0, pcr8: "00".repeat(48) }] },
        RangeError,
        /pcr8: all zero/,
      ],
      [
        "a measurement of 47 bytes",
        { referenceValues: [{ pcr0: "0a".repeat(47) }] },
        RangeError,
        /48 bytes, received 47/,
      ],
      [
        "a measurement of 32 bytes",
        { referenceValues: [{ pcr0: "0a".repeat(32) }] },
        RangeError,
        /48 bytes, received 32/,
      ],
      [
        "an empty measurement",
        { referenceValues: [{ pcr0: "" }] },
        RangeError,
        /48 bytes, received 0/,
      ],
      [
        "half a byte",
        { referenceValues: [{ pcr0: "0a".repeat(47) + "0" }] },
        TypeError,
        /hexadecimal/,
      ],
      [
        "0x in front",
        { referenceValues: [{ pcr0: `0x${pcr0.slice(2)}` }] },
        TypeError,
        /hexadecimal/,
      ],
      ["a space", { referenceValues: [{ pcr0: ` ${pcr0.slice(1)}` }] }, TypeError, /hexadecimal/],
      [
        "a measurement of bytes",
        { referenceValues: [{ pcr0: new Uint8Array(48) }] },
        TypeError,
        /hexadecimal/,
      ],
      ["a measurement of null", { referenceValues: [{ pcr0: null }] }, TypeError, /hexadecimal/],
      [
        "an age of text",
        { referenceValues, maxAgeMs: "300000" },
        TypeError,
        /maxAgeMs: expected milliseconds/,
      ],
      [
        "an age of 0",
        { referenceValues, maxAgeMs: 0 },
        RangeError,
        /maxAgeMs: .* from 1 on, received 0/,
      ],
      ["an age without end", { referenceValues, maxAgeMs: Infinity }, RangeError, /maxAgeMs/],
      ["an age that is no number", { referenceValues, maxAgeMs: NaN }, RangeError, /maxAgeMs/],
      ["a fraction", { referenceValues, futureSkewMs: 0.5 }, RangeError, /futureSkewMs/],
      ["a negative skew", { referenceValues, futureSkewMs: -1 }, RangeError, /futureSkewMs/],
      [
        "a negative leeway",
        { referenceValues, notBeforeLeewayMs: -1 },
        RangeError,
        /notBeforeLeewayMs/,
      ],
      [
        "a leeway of null",
        { referenceValues, notBeforeLeewayMs: null },
        TypeError,
        /notBeforeLeewayMs/,
      ],
      [
        "a flag of text",
        { referenceValues, insecureAllowDebug: "false" },
        TypeError,
        /insecureAllowDebug: expected true or false/,
      ],
      [
        "a flag of null",
        { referenceValues, insecureSkipInstanceBinding: null },
        TypeError,
        /insecureSkipInstanceBinding/,
      ],
      ["a flag of 1", { insecureAnyMeasurement: 1 }, TypeError, /insecureAnyMeasurement/],
      [
        "two roots",
        { referenceValues, root: awsRootPem, insecureTestRoot: awsRootPem },
        TypeError,
        /received both/,
      ],
      [
        "a root of null",
        { referenceValues, root: null },
        TypeError,
        /root: expected one certificate/,
      ],
      [
        "a root of text that is no PEM",
        { referenceValues, root: "MIIC" },
        TypeError,
        /root: expected one certificate/,
      ],
      [
        "two certificates as a root",
        { referenceValues, root: awsRootPem + awsRootPem },
        TypeError,
        /root: expected one/,
      ],
      [
        "a root of bad base64",
        { referenceValues, root: awsRootPem.replace("MIIC", "MII=") },
        TypeError,
        /root: expected/,
      ],
      [
        "a root that is no certificate",
        { referenceValues, root: Uint8Array.of(0x30, 0) },
        TypeError,
        /P-384 authority/,
      ],
      [
        "a root with a byte behind it",
        { referenceValues, root: Uint8Array.of(...decodePem(awsRootPem)!, 0) },
        TypeError,
        /P-384 authority/,
      ],
      ["a simulator's root", { referenceValues, root: simulator.rootPem }, TypeError, /simulator/],
      [
        "a root of another name",
        { referenceValues, root: certificate({ subject: name([commonNameType, "example"]) }) },
        TypeError,
        /PARTITION\.nitro-enclaves/,
      ],
      [
        "a root without a name",
        { referenceValues, root: certificate({ subject: name([organizationType, "Amazon"]) }) },
        TypeError,
        /PARTITION\.nitro-enclaves/,
      ],
      [
        "a test root that is no authority",
        {
          referenceValues,
          insecureTestRoot: certificate({
            extensions: [extension(keyUsageType, der(3, hex("0186")))],
          }),
        },
        TypeError,
        /insecureTestRoot: expected the certificate of an authority/,
      ],
      [
        "a test root that signs no certificates",
        {
          referenceValues,
          insecureTestRoot: certificate({
            extensions: [extension(basicConstraintsType, sequence(der(1, hex("ff"))), true)],
          }),
        },
        TypeError,
        /certificate of an authority/,
      ],
    ];
    for (const [what, options, error, message] of refused) {
      it(what, () => refuses(options, error, message));
    }
  });

  it("takes the root of another partition, as PEM or DER", () => {
    const govCloud = certificate({ subject: name([commonNameType, "aws-us-gov.nitro-enclaves"]) });
    for (const root of [govCloud, pem(govCloud), pem(govCloud).replaceAll("\n", "\r\n")]) {
      assert.deepEqual(Policy.from({ referenceValues, root }).root, govCloud);
    }
  });

  it("takes a simulator's root only as what it is", () => {
    const { root } = Policy.from({ referenceValues, insecureTestRoot: simulator.rootPem });
    assert.deepEqual(root, decodePem(simulator.rootPem));
  });

  it("may leave measurements open where that is asked for", () => {
    const insecureAnyMeasurement = true;
    assert.deepEqual(Policy.from({ insecureAnyMeasurement }).referenceValues, []);
    const some = Policy.from({ insecureAnyMeasurement, referenceValues: [{ pcr8: pcr0 }] });
    assert.deepEqual(some.referenceValues, [{ pcr8: pcr0 }]);
  });
});

describe("a policy file", () => {
  it("has the keys of the object", () => {
    const options = { referenceValues, maxAgeMs: 5, root: awsRootPem, insecureAllowDebug: true };
    assert.deepEqual(parsePolicyFile(JSON.stringify(options)), Policy.from(options));
  });

  for (const [what, text, error] of [
    ["text that is no JSON", "{", SyntaxError],
    ["JSON that is no object", "null", TypeError],
    ["no measurements", "{}", TypeError],
    ["an unknown key", `{"referenceValues":[{"pcr0":"${pcr0}"}],"pcr0":1}`, TypeError],
    ["__proto__", `{"__proto__":{"insecureAnyMeasurement":true}}`, TypeError],
  ] as const) {
    it(`is refused with ${what}`, () => {
      assert.throws(() => parsePolicyFile(text), error);
    });
  }
});
