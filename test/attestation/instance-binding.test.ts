import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseCertificate } from "../../attestation/certificate.ts";
import type { AttestationDocument } from "../../attestation/document.ts";
import { instanceOf } from "../../attestation/instance-binding.ts";
import { certificate, commonNameType, name, organizationType } from "../support/der.ts";

const instanceId = "i-0123456789abcdef0";
const moduleId = `${instanceId}-enc0123456789abcdef`;

function instance(commonName: string, module_id: string = moduleId) {
  const leaf = parseCertificate(
    certificate({ subject: name([commonNameType, commonName]) }),
    "leaf",
  );
  return instanceOf({ module_id } as AttestationDocument, leaf);
}

describe("the names of an instance", () => {
  it("are those on which document and leaf agree", () => {
    assert.deepEqual(instance(`${moduleId}.us-gov-west-1.aws`), {
      instanceId,
      region: "us-gov-west-1",
    });
  });

  for (const commonName of [
    "",
    moduleId,
    `${moduleId}.aws`,
    `${moduleId}..aws`,
    `${moduleId}.eu-west-1`,
    `${moduleId}.eu-west-1.`,
    `${moduleId}.eu-west-1.awsx`,
    `${moduleId}.eu-west-1.aws.`,
    `${moduleId}.eu-west-1.aws.nitro-enclaves`,
    `${moduleId}.eu.west.aws`,
    `${moduleId}.EU-WEST-1.aws`,
    `${moduleId}.${"a".repeat(33)}.aws`,
    `x${moduleId}.eu-west-1.aws`,
    `${moduleId}0.eu-west-1.aws`,
    `${moduleId}-eu-west-1.aws`,
    `${instanceId}.eu-west-1.aws`,
  ]) {
    it(`are none with the leaf's name ${JSON.stringify(commonName)}`, () => {
      assert.equal(instance(commonName), undefined);
    });
  }

  it("are none where the module_id has another form, though the leaf repeats it", () => {
    for (const id of ["something", instanceId, `${moduleId}0`, moduleId.toUpperCase(), ""]) {
      assert.equal(instance(`${id}.eu-west-1.aws`, id), undefined);
    }
  });

  it("are none where the leaf has no common name", () => {
    const subject = name([organizationType, "Amazon"]);
    const leaf = parseCertificate(certificate({ subject }), "leaf");
    assert.equal(instanceOf({ module_id: moduleId } as AttestationDocument, leaf), undefined);
  });
});
