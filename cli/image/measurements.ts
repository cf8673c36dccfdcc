/** How measurements of an image are printed, and the entry of a release that has them. */
import type { Measurements } from "../../image/index.ts";
import { formatJson, type Row } from "../facts.ts";

/** In hexadecimal digits, under the names that a policy has for them. */
export interface MeasurementFacts {
  readonly pcr0: string;
  readonly pcr1: string;
  readonly pcr2: string;
  readonly pcr8?: string;
}

export function measurementFacts({ pcr0, pcr1, pcr2, pcr8 }: Measurements): MeasurementFacts {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  return {
    pcr0: hex(pcr0),
    pcr1: hex(pcr1),
    pcr2: hex(pcr2),
    ...(pcr8 === undefined ? {} : { pcr8: hex(pcr8) }),
  };
}

export function measurementRows(measurements: Measurements): readonly Row[] {
  return Object.entries(measurementFacts(measurements)).map(([name, digits]) => [
    name.toUpperCase(),
    digits,
  ]);
}

/** The entry of a current release, as it stands in the list that `sealrpc release sign` takes. */
export function formatReleaseEntry(version: string, measurements: Measurements): string {
  const referenceValues = [measurementFacts(measurements)];
  return formatJson({ version, status: "current", referenceValues });
}
