import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  appraiseAge,
  appraiseChallenge,
  appraiseDebug,
  appraiseMeasurements,
  appraiseUserData,
} from "../../attestation/appraisal.ts";
import { encodeHex } from "../../attestation/bytes.ts";
import type { AttestationDocument } from "../../attestation/document.ts";
import { Policy, type PolicyOptions } from "../../attestation/policy.ts";
import { hasCode } from "../support/error-code.ts";

const pcr = (byte: number) => new Uint8Array(48).fill(byte);
const digits = (byte: number) => encodeHex(pcr(byte));

/** PCR n of each register is n + 1, forty-eight times, unless changed. */
function documentWith(
  registers: Readonly<Record<number, Uint8Array | undefined>> = {},
  fields: Partial<AttestationDocument> = {},
): AttestationDocument {
  const pcrs = new Map<number, Uint8Array>();
  for (let register = 0; register < 16; register++) {
    const value = register in registers ? registers[register] : pcr(register + 1);
    if (value !== undefined) pcrs.set(register, value);
  }
  return {
    module_id: "i-1234567890abcdef0-enc1234567890abcdef",
    digest: "SHA384",
    timestamp: 1_000_000,
    pcrs,
    certificate: Uint8Array.of(),
    cabundle: [],
    public_key: undefined,
    user_data: undefined,
    nonce: undefined,
    ...fields,
  };
}

const policyWith = (options: Partial<PolicyOptions>) =>
  Policy.from({ referenceValues: [{ pcr0: digits(1) }], ...options });
const zero = pcr(0);
const debug = { 0: zero, 1: zero, 2: zero, 8: zero };

describe("the appraisal of measurements", () => {
  const all = {
    pcr0: digits(1),
    pcr1: digits(2),
    pcr2: digits(3),
    pcr3: digits(4),
    pcr4: digits(5),
    pcr8: digits(9),
  };

  it("passes when every register of a set is the same", () => {
    appraiseMeasurements(documentWith(), policyWith({ referenceValues: [all] }));
  });

  for (const [key, register] of [
    ["pcr0", 0],
    ["pcr1", 1],
    ["pcr2", 2],
    ["pcr3", 3],
    ["pcr4", 4],
    ["pcr8", 8],
  ] as const) {
    it(`fails when ${key} differs or is absent, and says which`, () => {
      const policy = policyWith({ referenceValues: [all] });
      const different = pcr(register + 1);
      different[47]! ^= 1;
      assert.throws(
        () => appraiseMeasurements(documentWith({ [register]: different }), policy),
        hasCode(
          "measurement-mismatch",
          new RegExp(
            `^\\[measurement-mismatch\\] referenceValues\\[0\\]: PCR${register} expected ${all[key]}, received ${encodeHex(different)}$`,
          ),
        ),
      );
      assert.throws(
        () => appraiseMeasurements(documentWith({ [register]: undefined }), policy),
        hasCode("measurement-mismatch", new RegExp(`PCR${register} expected .*, received none$`)),
      );
    });
  }

  it("passes when any set is the same", () => {
    const referenceValues = [{ pcr0: digits(7) }, { pcr0: digits(1) }, { pcr0: digits(8) }];
    appraiseMeasurements(documentWith(), policyWith({ referenceValues }));
  });

  it("does not mix registers of two sets", () => {
    const referenceValues = [
      { pcr0: digits(1), pcr1: digits(0x77) },
      { pcr0: digits(0x77), pcr1: digits(2) },
    ];
    assert.throws(
      () => appraiseMeasurements(documentWith(), policyWith({ referenceValues })),
      hasCode("measurement-mismatch"),
    );
  });

  it("shows the nearest of several sets first and the rest in brief", () => {
    const far = { pcr0: digits(0x71), pcr1: digits(0x72) };
    const near = { pcr0: digits(1), pcr1: digits(0x73) };
    const referenceValues = [far, near, far, far, far, far];
    assert.throws(
      () => appraiseMeasurements(documentWith(), policyWith({ referenceValues })),
      (error: Error) => {
        assert.equal(
          error.message,
          `[measurement-mismatch] referenceValues[1]: PCR1 expected ${digits(0x73)}, received ${digits(2)}. ` +
            "referenceValues[0]: PCR0 differs; PCR1 differs. " +
            "referenceValues[2]: PCR0 differs; PCR1 differs. " +
            "referenceValues[3]: PCR0 differs; PCR1 differs. 2 more sets differ",
        );
        return true;
      },
    );
  });

  it("stays short however many sets there are", () => {
    const wrong = Object.fromEntries(Object.keys(all).map((key) => [key, digits(0x55)]));
    const policy = policyWith({ referenceValues: Array.from({ length: 1000 }, () => wrong) });
    assert.throws(
      () => appraiseMeasurements(documentWith(), policy),
      (error: Error) => error.message.length < 2000,
    );
  });

  it("passes anything where the policy names nothing", () => {
    const policy = Policy.from({ insecureAnyMeasurement: true });
    appraiseMeasurements(documentWith(), policy);
  });

  it("compares what the policy names though any image would do", () => {
    const policy = Policy.from({
      insecureAnyMeasurement: true,
      referenceValues: [{ pcr8: digits(0x55) }],
    });
    assert.throws(
      () => appraiseMeasurements(documentWith(), policy),
      hasCode("measurement-mismatch"),
    );
  });
});

describe("the appraisal of debug enclaves", () => {
  const strict = policyWith({});
  const lenient = policyWith({ insecureAllowDebug: true });

  for (const [what, registers] of [
    ["PCR0, 1 and 2", debug],
    ["PCR0 alone", { 0: zero }],
    ["PCR1 alone", { 1: zero }],
    ["PCR2 alone", { 2: zero }],
    ["every register", Object.fromEntries(Array.from({ length: 16 }, (_, i) => [i, zero]))],
  ] as const) {
    it(`refuses zeros in ${what}, and lets them pass where debug is allowed`, () => {
      const document = documentWith(registers);
      assert.throws(() => appraiseDebug(document, strict), hasCode("debug-enclave"));
      appraiseDebug(document, lenient);
    });
  }

  it("does not mind zeros in PCR3 and PCR8, nor a missing PCR1", () => {
    appraiseDebug(documentWith({ 3: zero, 8: zero, 1: undefined }), strict);
  });

  it("refuses debug even where any measurement will do", () => {
    const policy = Policy.from({ insecureAnyMeasurement: true });
    assert.throws(() => appraiseDebug(documentWith(debug), policy), hasCode("debug-enclave"));
  });

  it("does not compare the image's registers of a debug enclave, but the host's", () => {
    const pins = { pcr0: digits(1), pcr1: digits(2), pcr2: digits(3), pcr8: digits(9) };
    const policyOf = (pcr3: string, pcr4: string) =>
      policyWith({ insecureAllowDebug: true, referenceValues: [{ ...pins, pcr3, pcr4 }] });
    const document = documentWith(debug);
    appraiseMeasurements(document, policyOf(digits(4), digits(5)));
    for (const [pcr3, pcr4, register] of [
      [digits(0x55), digits(5), 3],
      [digits(4), digits(0x55), 4],
    ] as const) {
      assert.throws(
        () => appraiseMeasurements(document, policyOf(pcr3, pcr4)),
        hasCode("measurement-mismatch", new RegExp(`PCR${register} expected`)),
      );
    }
  });

  it("compares everything of a measured enclave though debug is allowed", () => {
    const policy = policyWith({
      insecureAllowDebug: true,
      referenceValues: [{ pcr0: digits(0x55) }],
    });
    assert.throws(
      () => appraiseMeasurements(documentWith(), policy),
      hasCode("measurement-mismatch"),
    );
  });
});

describe("the appraisal of the challenge", () => {
  const challenge = pcr(3).subarray(0, 16);
  it("passes the same bytes", () => {
    appraiseChallenge(documentWith({}, { nonce: challenge.slice() }), challenge);
  });
  for (const [what, nonce] of [
    ["none", undefined],
    ["an empty one", new Uint8Array()],
    ["another", pcr(4).subarray(0, 16)],
    ["a beginning of it", challenge.subarray(0, 15)],
    ["one with more behind it", pcr(3).subarray(0, 17)],
  ] as const) {
    it(`refuses ${what}`, () => {
      const document = documentWith({}, { nonce });
      assert.throws(() => appraiseChallenge(document, challenge), hasCode("challenge-mismatch"));
    });
  }
  it("quotes no more than the beginning of a long nonce", () => {
    const document = documentWith({}, { nonce: new Uint8Array(1024) });
    assert.throws(
      () => appraiseChallenge(document, challenge),
      hasCode("challenge-mismatch", /received (00){32}… \(1024 bytes\)$/),
    );
  });
});

describe("the appraisal of the age", () => {
  const policy = policyWith({ maxAgeMs: 1000, futureSkewMs: 500 });
  const document = documentWith({}, { timestamp: 1_000_000 });
  it("passes from the skew to the age", () => {
    for (const now of [999_500, 1_000_000, 1_001_000]) appraiseAge(document, policy, now);
  });
  it("refuses what is older", () => {
    assert.throws(
      () => appraiseAge(document, policy, 1_001_001),
      hasCode("stale-evidence", /up to 1000 ms, received 1001 ms/),
    );
  });
  it("refuses what is further ahead", () => {
    assert.throws(
      () => appraiseAge(document, policy, 999_499),
      hasCode("stale-evidence", /at most 500 ms ahead of the clock, received 501 ms/),
    );
  });
});

describe("the appraisal of the user data", () => {
  const expected = Uint8Array.of(1, 2, 3);
  it("passes the same bytes", () => {
    appraiseUserData(documentWith({}, { user_data: expected.slice() }), expected);
  });
  for (const [what, user_data] of [
    ["none", undefined],
    ["an empty one", new Uint8Array()],
    ["another", Uint8Array.of(1, 2, 4)],
    ["a longer one", Uint8Array.of(1, 2, 3, 4)],
  ] as const) {
    it(`refuses ${what}`, () => {
      const document = documentWith({}, { user_data });
      assert.throws(() => appraiseUserData(document, expected), hasCode("binding-mismatch"));
    });
  }
  it("tells an empty expectation from none", () => {
    appraiseUserData(documentWith({}, { user_data: new Uint8Array() }), new Uint8Array());
    assert.throws(
      () => appraiseUserData(documentWith(), new Uint8Array()),
      hasCode("binding-mismatch", /expected 0 bytes, received none/),
    );
  });
});
