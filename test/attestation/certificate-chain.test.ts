import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KeyUsageFlags } from "@peculiar/asn1-x509";
import { verifyChain } from "../../attestation/certificate-chain.ts";
import {
  type Certified,
  type CertificateTemplate,
  certify,
} from "../../attestation/nsm/simulated-certificate.ts";
import type { CryptoBackend } from "../../crypto/backend.ts";
import { nodeBackend } from "../../crypto/node.ts";
import {
  basicConstraintsType,
  certificate,
  der,
  extension,
  hex,
  keyUsageType,
  sequence,
} from "../support/der.ts";
import { hasCode } from "../support/error-code.ts";

const nowMs = Date.UTC(2026, 5, 1);
const authorityUsage = KeyUsageFlags.keyCertSign;
const leafUsage = KeyUsageFlags.digitalSignature;

const names = ["root", "regional", "zonal", "instance", "leaf"];
type Changes = Readonly<Record<string, Partial<CertificateTemplate>>>;

function template(commonName: string, changes: Changes): CertificateTemplate {
  const isLeaf = commonName === "leaf";
  return {
    commonName,
    notBeforeMs: nowMs - 3_600_000,
    notAfterMs: nowMs + 3_600_000,
    basicConstraints: { cA: !isLeaf },
    keyUsage: isLeaf ? leafUsage : authorityUsage,
    ...changes[commonName],
  };
}

/** A chain of five, root first, with changes to some of them. */
function chain(changes: Changes = {}): readonly Certified[] {
  const made: Certified[] = [];
  for (const commonName of names) made.push(certify(template(commonName, changes), made.at(-1)));
  return made;
}

/** A backend of its own, so that nothing was verified before. */
const freshBackend = (): CryptoBackend => ({ ...nodeBackend });

function verify(
  certified: readonly Certified[],
  {
    root = certified[0]!.certificate,
    at = nowMs,
    backend = freshBackend(),
  }: { root?: Uint8Array; at?: number; backend?: CryptoBackend } = {},
): string | undefined {
  const encodings = certified.map(({ certificate }) => certificate);
  const options = { root, nowMs: at, notBeforeLeewayMs: 60_000, backend };
  return verifyChain(encodings.slice(0, -1), encodings.at(-1)!, options).subject.commonName;
}

function refuses(certified: readonly Certified[], message: RegExp, code = "untrusted-chain"): void {
  assert.throws(() => verify(certified), hasCode(code, message));
}

const good = chain();
const [root, regional, zonal, instance, leaf] = good as [
  Certified,
  Certified,
  Certified,
  Certified,
  Certified,
];

describe("a chain of certificates", () => {
  it("ends at the leaf", () => {
    assert.equal(verify(good), "leaf");
  });

  it("is as long as its path lengths let it", () => {
    const limits = {
      root: { basicConstraints: { cA: true, pathLenConstraint: 3 } },
      regional: { basicConstraints: { cA: true, pathLenConstraint: 2 } },
      zonal: { basicConstraints: { cA: true, pathLenConstraint: 1 } },
      instance: { basicConstraints: { cA: true, pathLenConstraint: 0 } },
    };
    verify(chain(limits));
    for (const [name, pathLenConstraint] of [
      ["root", 2],
      ["regional", 1],
      ["zonal", 0],
    ] as const) {
      const shorter = { [name]: { basicConstraints: { cA: true, pathLenConstraint } } };
      refuses(chain({ ...limits, ...shorter }), /at most . authorities below/);
    }
  });

  it("begins at the pinned root and at no look-alike", () => {
    const lookAlike = certify(template("root", {}));
    assert.throws(
      () => verify(good, { root: lookAlike.certificate }),
      hasCode("untrusted-chain", /pinned root/),
    );
    const forged = chain();
    assert.throws(
      () => verify(forged, { root: root.certificate }),
      hasCode("untrusted-chain", /pinned root/),
    );
    assert.throws(
      () => verify([root, ...forged.slice(1)]),
      hasCode("untrusted-chain", /cabundle\[1\]: its signature/),
    );
  });

  it("has no certificate too many, too few or elsewhere", () => {
    const another = /another/;
    refuses([root, zonal, instance, leaf], another);
    refuses([root, leaf], another);
    refuses([root, zonal, regional, instance, leaf], another);
    refuses([root, regional, zonal, zonal, instance, leaf], another);
    refuses([root, regional, zonal, instance, certify(template("other", {})), leaf], another);
    for (const rootless of [
      [regional, zonal, instance, leaf],
      [instance, zonal, regional, root, leaf],
      [leaf],
    ]) {
      assert.throws(
        () => verify(rootless, { root: root.certificate }),
        hasCode("untrusted-chain", /pinned root/),
      );
    }
  });

  it("has its root once", () => {
    refuses([root, ...good], /cabundle\[1\]: expected an issuer other than the subject/);
  });

  it("does not accept the root as its leaf", () => {
    const signing = { keyUsage: authorityUsage | leafUsage };
    refuses(
      [...chain({ root: signing }).slice(0, 1), certify(template("root", {}))],
      /issuer other/,
    );
  });

  it("has every issuer's name, whoever signed", () => {
    const renamed = { ...zonal, subject: regional.subject };
    const child = certify(template("instance", {}), renamed);
    refuses(
      [root, regional, zonal, child, certify(template("leaf", {}), child)],
      /issuer, received/,
    );
  });

  it("has every signature", () => {
    const twin = certify(template("zonal", {}), regional);
    refuses([root, regional, twin, instance, leaf], /cabundle\[3\]: its signature/);
    const otherInstance = certify(template("instance", {}), zonal);
    refuses([root, regional, zonal, otherInstance, leaf], /certificate: its signature/);
  });

  for (const name of names.slice(0, 4)) {
    it(`has no ${name} that may not sign certificates`, () => {
      refuses(chain({ [name]: { basicConstraints: { cA: false } } }), /CA:TRUE/);
      refuses(chain({ [name]: { keyUsage: leafUsage } }), /keyCertSign/);
    });
  }

  it("has no authority whose basicConstraints are not critical", () => {
    const unmarked = extension(basicConstraintsType, sequence(der(1, hex("ff"))));
    const signing = extension(keyUsageType, der(3, hex("0186")), true);
    const lax = certificate({ extensions: [unmarked, signing] });
    refuses([{ ...root, certificate: lax }, leaf], /basicConstraints, critical/);
  });

  it("has no leaf that is an authority or may not sign documents", () => {
    refuses(chain({ leaf: { basicConstraints: { cA: true } } }), /no certificate authority/);
    const limited = { basicConstraints: { cA: false, pathLenConstraint: 0 } };
    refuses(chain({ leaf: limited }), /no certificate authority/);
    refuses(chain({ leaf: { keyUsage: authorityUsage } }), /digitalSignature/);
  });

  it("has no leaf that a leaf signed", () => {
    const second = certify({ ...template("leaf", {}), commonName: "second" }, leaf);
    refuses([...good, second], /cabundle\[4\]: expected basicConstraints/);
  });

  it("has no certificate that cannot be read", () => {
    const broken = { ...zonal, certificate: zonal.certificate.subarray(1) };
    refuses([root, regional, broken, instance, leaf], /cabundle\[2\]: expected tag/);
    refuses(
      [root, regional, zonal, instance, { ...leaf, certificate: Uint8Array.of(0x30, 0) }],
      /certificate: /,
    );
  });

  for (const [position, name] of names.entries()) {
    const where = position === 4 ? /certificate: / : new RegExp(`cabundle\\[${position}\\]: `);

    it(`ends with its ${name}, to the millisecond`, () => {
      const ending = chain({ [name]: { notAfterMs: nowMs } });
      verify(ending);
      const expired = hasCode("certificate-expired", where);
      assert.throws(() => verify(ending, { at: nowMs + 1 }), expired);
    });

    it(`begins with its ${name}, and a minute's leeway`, () => {
      const beginning = chain({ [name]: { notBeforeMs: nowMs } });
      verify(beginning, { at: nowMs - 60_000 });
      const early = hasCode("certificate-not-yet-valid", where);
      assert.throws(() => verify(beginning, { at: nowMs - 60_001 }), early);
    });
  }

  describe("that was verified before", () => {
    it("costs no signature, and with another leaf only the leaf's", () => {
      let count = 0;
      const backend: CryptoBackend = {
        ...nodeBackend,
        verifyP384: (...operands) => {
          count += 1;
          return nodeBackend.verifyP384(...operands);
        },
      };
      verify(good, { backend });
      assert.equal(count, 4);
      verify(good, { backend });
      assert.equal(count, 4);
      verify([...good.slice(0, -1), certify(template("leaf", {}), instance)], { backend });
      assert.equal(count, 5);
    });

    it("is verified again where any byte of it differs", () => {
      const backend = freshBackend();
      verify(good, { backend });
      const stranger = certify(template("leaf", {}), certify(template("instance", {}), zonal));
      assert.throws(
        () => verify([...good.slice(0, -1), stranger], { backend }),
        hasCode("untrusted-chain", /certificate: its signature/),
      );
    });

    it("does not make an authority of its leaf", () => {
      const backend = freshBackend();
      verify(good, { backend });
      const second = certify({ ...template("leaf", {}), commonName: "second" }, leaf);
      assert.throws(
        () => verify([...good, second], { backend }),
        hasCode("untrusted-chain", /cabundle\[4\]: expected basicConstraints/),
      );
    });

    it("does not make a leaf of its authority", () => {
      const backend = freshBackend();
      verify(good, { backend });
      assert.throws(
        () => verify([root, regional, zonal, instance], { backend }),
        hasCode("untrusted-chain", /certificate: expected no certificate authority/),
      );
    });

    for (const name of names) {
      it(`ends with its ${name} all the same`, () => {
        const backend = freshBackend();
        const ending = chain({ [name]: { notAfterMs: nowMs } });
        verify(ending, { backend });
        assert.throws(
          () => verify(ending, { backend, at: nowMs + 1 }),
          hasCode("certificate-expired"),
        );
        verify(ending, { backend });
      });
    }

    it("is not trusted under another root", () => {
      const backend = freshBackend();
      verify(good, { backend });
      const other = chain();
      assert.throws(
        () => verify(good, { backend, root: other[0]!.certificate }),
        hasCode("untrusted-chain", /pinned root/),
      );
      assert.throws(
        () => verify([other[0]!, ...good.slice(1)], { backend }),
        hasCode("untrusted-chain", /its signature/),
      );
    });

    it("was refused, and is refused again", () => {
      const backend = freshBackend();
      const bad = chain({ zonal: { keyUsage: leafUsage } });
      for (let i = 0; i < 2; i++) {
        assert.throws(() => verify(bad, { backend }), hasCode("untrusted-chain", /keyCertSign/));
      }
    });
  });
});
