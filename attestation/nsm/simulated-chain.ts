/**
 * The simulator's certificate chain: root, regional, zonal, instance, leaf, with the lives and path
 * lengths of the hardware's. A certificate is replaced, with all below it, while it still outlives
 * what it certifies, as the hardware does: a document always has some life left.
 */
import { randomBytes } from "node:crypto";
import { KeyUsageFlags } from "@peculiar/asn1-x509";
import { type Certified, type CertificateTemplate, certify } from "./simulated-certificate.ts";

const SECOND_MS = 1000;
const HOUR_MS = 3600 * SECOND_MS;
const DAY_MS = 24 * HOUR_MS;

/** The common name of every simulator's root. A policy refuses it where a real root is wanted. */
const SIMULATOR_ROOT_NAME = "sealrpc simulator root";

/** The end of a leaf's life that a new document must not reach. */
const LEAF_RESERVE_MS = 15 * 60 * SECOND_MS;

interface Level {
  readonly commonName: (names: ChainNames) => string;
  /** Life before and after the moment of issue. */
  readonly backdatedMs: number;
  readonly lifeMs: number;
  readonly basicConstraints: CertificateTemplate["basicConstraints"];
  readonly keyUsage: number;
  readonly revocationList?: string;
}

interface ChainNames {
  readonly moduleId: string;
  readonly region: string;
}

const SIGNING_CA =
  KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign;

const ROOT: Level = {
  commonName: () => SIMULATOR_ROOT_NAME,
  backdatedMs: DAY_MS,
  lifeMs: 30 * 365 * DAY_MS,
  basicConstraints: { cA: true },
  keyUsage: SIGNING_CA,
};

/** From below the root down to the leaf. */
const LEVELS: readonly Level[] = [
  {
    commonName: ({ region }) => `${label()}.${region}.aws.nitro-enclaves`,
    backdatedMs: HOUR_MS,
    lifeMs: 20 * DAY_MS,
    basicConstraints: { cA: true, pathLenConstraint: 2 },
    keyUsage: SIGNING_CA,
    revocationList: "http://crl.sealrpc-simulator.invalid/regional.crl",
  },
  {
    commonName: ({ region }) => `${label()}.zonal.${region}.aws.nitro-enclaves`,
    backdatedMs: HOUR_MS,
    lifeMs: 6 * DAY_MS,
    basicConstraints: { cA: true, pathLenConstraint: 1 },
    keyUsage: SIGNING_CA,
    revocationList: "http://crl.sealrpc-simulator.invalid/zonal.crl",
  },
  {
    commonName: ({ moduleId, region }) =>
      `${moduleId.replace(/-enc.*/, "")}.${region}.aws.nitro-enclaves`,
    backdatedMs: HOUR_MS,
    lifeMs: 23 * HOUR_MS,
    basicConstraints: { cA: true, pathLenConstraint: 0 },
    keyUsage: KeyUsageFlags.keyCertSign,
  },
  {
    commonName: ({ moduleId, region }) => `${moduleId}.${region}.aws`,
    backdatedMs: 3 * SECOND_MS,
    lifeMs: 3 * HOUR_MS,
    basicConstraints: { cA: false },
    keyUsage: KeyUsageFlags.digitalSignature | KeyUsageFlags.nonRepudiation,
  },
];

function label(): string {
  return randomBytes(8).toString("hex");
}

/** See the file header. */
export class SimulatedChain {
  readonly root: Certified;
  readonly #names: ChainNames;
  /** Below the root, in the order of LEVELS. */
  #issued: Certified[] = [];

  constructor(names: ChainNames, nowMs: number) {
    this.#names = names;
    this.root = issue(ROOT, names, nowMs);
  }

  /** The leaf for a document made at `nowMs`, and its chain from the root down. */
  at(nowMs: number): { readonly leaf: Certified; readonly cabundle: readonly Uint8Array[] } {
    const stale = LEVELS.findIndex((_, depth) => !lastsAt(this.#issued[depth], depth, nowMs));
    if (stale >= 0) {
      this.#issued.length = stale;
      for (const level of LEVELS.slice(stale)) {
        this.#issued.push(issue(level, this.#names, nowMs, this.#issued.at(-1) ?? this.root));
      }
    }
    const [leaf, ...authorities] = [this.root, ...this.#issued].reverse() as [Certified];
    return { leaf, cabundle: [...authorities].reverse().map(({ certificate }) => certificate) };
  }
}

/** Whether a certificate is valid and outlives what is issued under it from now on. */
function lastsAt(issued: Certified | undefined, depth: number, nowMs: number): boolean {
  const needed = LEVELS[depth + 1]?.lifeMs ?? LEAF_RESERVE_MS;
  return issued !== undefined && issued.notBeforeMs <= nowMs && nowMs + needed <= issued.notAfterMs;
}

function issue(level: Level, names: ChainNames, nowMs: number, issuer?: Certified): Certified {
  const issuedMs = Math.floor(nowMs / SECOND_MS) * SECOND_MS;
  return certify(
    {
      ...level,
      commonName: level.commonName(names),
      notBeforeMs: issuedMs - level.backdatedMs,
      notAfterMs: issuedMs + level.lifeMs,
    },
    issuer,
  );
}
