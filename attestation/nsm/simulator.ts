/**
 * A Nitro Security Module without the hardware: it answers every request, with documents of the
 * real shape that the real verifier checks in full. Its root is made at random and says what it is,
 * so evidence of it passes only a policy that names that root as `insecureTestRoot`.
 */
import { randomBytes, X509Certificate } from "node:crypto";
import { AttestationError } from "../errors.ts";
import type { AttestationRequest, Attester } from "./attester.ts";
import { Nsm } from "./nsm.ts";
import { PCR_BYTES, PCR_COUNT, PcrBank, extendedOnce } from "./pcr-bank.ts";
import { MAX_REQUEST_BYTES, type NsmRequest, decodeRequest } from "./request.ts";
import { type NsmErrorName, encodeError, encodeResponse } from "./response.ts";
import type { SimulatedChain } from "./simulated-chain.ts";
import { type OuterMap, signDocument } from "./simulated-document.ts";

/** Registers that a simulator can be given: the image's, the role's and the image signer's. */
export type SimulatedPcrIndex = 0 | 1 | 2 | 3 | 8;

export interface SimulatorOptions {
  /**
   * Values of PCR 0, 1, 2, 3 and 8, 48 bytes or their hex. PCR0, 1 and 2 are stand-ins that no
   * image has unless given, PCR3 and 8 zero. PCR4 follows from the module's id.
   */
  readonly pcrs?: { readonly [Index in SimulatedPcrIndex]?: Uint8Array | string } | undefined;
  /** `i-<17 hex digits>-enc<16 hex digits>`; random unless given. */
  readonly moduleId?: string | undefined;
  /** Region in the certificates' names. @default "us-east-1" */
  readonly region?: string | undefined;
  /** Boots in debug mode: PCR0, 1, 2 and 8 are zero. */
  readonly debug?: boolean | undefined;
  /** How long each request takes; they are answered one by one, as by the kernel's driver. @default 0 */
  readonly latencyMs?: number | undefined;
  /** Form of the document's outer map. @default "indefinite" */
  readonly outerMap?: OuterMap | undefined;
  /** Clock, milliseconds since the epoch. */
  readonly now?: (() => number) | undefined;
}

/** The part of a policy that admits one simulated enclave, and nothing else. */
export interface SimulatorPolicyOptions {
  readonly referenceValues: readonly [
    { readonly pcr0: string; readonly pcr1: string; readonly pcr2: string },
  ];
  /** PEM. */
  readonly insecureTestRoot: string;
}

const MODULE_ID = /^(i-[0-9a-f]{17})-enc[0-9a-f]{16}$/;
const REGION = /^[a-z]{2,}(-[a-z0-9]+)+$/;
/** A document holds no longer field. */
const MAX_FIELD_BYTES = 1024;
const RANDOM_BYTES = 256;

/** See the file header. */
export class Simulator implements Attester {
  /** Every request as a method, for tests of what stands on a module. */
  readonly nsm: Nsm;
  readonly moduleId: string;
  readonly #image: ReadonlyMap<number, Uint8Array>;
  readonly #pcrs: PcrBank;
  readonly #chain: SimulatedChain;
  readonly #outerMap: OuterMap;
  readonly #latencyMs: number;
  readonly #now: () => number;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(options: SimulatorOptions, moduleId: string, chain: SimulatedChain) {
    this.moduleId = moduleId;
    this.#chain = chain;
    this.#image = imagePcrs(options.pcrs ?? {});
    this.#pcrs = new PcrBank(initialPcrs(this.#image, options.debug ?? false, moduleId));
    this.#outerMap = options.outerMap ?? "indefinite";
    this.#latencyMs = options.latencyMs ?? 0;
    this.#now = options.now ?? Date.now;
    this.nsm = new Nsm({ exchange: (request) => this.answer(request), close: () => this.close() });
  }

  /**
   * Makes a module with a root of its own.
   *
   * @throws RangeError for a module id, region or register value of another form.
   */
  static async create(options: SimulatorOptions = {}): Promise<Simulator> {
    const {
      moduleId = `i-${randomBytes(9).toString("hex").slice(1)}-enc${randomBytes(8).toString("hex")}`,
      region = "us-east-1",
      now = Date.now,
    } = options;
    if (!MODULE_ID.test(moduleId)) {
      throw new RangeError(`moduleId: expected i-<17 hex>-enc<16 hex>, received ${moduleId}`);
    }
    if (!REGION.test(region)) {
      throw new RangeError(`region: expected a region's name, received ${region}`);
    }
    const certificates = await import("./simulated-chain.ts");
    const chain = new certificates.SimulatedChain({ moduleId, region }, now());
    return new Simulator(options, moduleId, chain);
  }

  /** The root of this simulator's documents, for `insecureTestRoot`. */
  get rootPem(): string {
    return new X509Certificate(this.#chain.root.certificate).toString();
  }

  /**
   * What a policy needs to admit this simulator's documents; in debug mode `insecureAllowDebug` too.
   */
  policyOptions(): SimulatorPolicyOptions {
    const pcr = (index: number) => Buffer.from(this.#image.get(index) ?? []).toString("hex");
    return {
      referenceValues: [{ pcr0: pcr(0), pcr1: pcr(1), pcr2: pcr(2) }],
      insecureTestRoot: this.rootPem,
    };
  }

  attest(request: AttestationRequest): Promise<Uint8Array> {
    return this.nsm.attest(request);
  }

  /**
   * The encoded response to an encoded request, whatever its bytes: what the device does.
   *
   * @throws AttestationError `nsm-unavailable` after `close`.
   */
  async answer(request: Uint8Array): Promise<Uint8Array> {
    const bytes = Uint8Array.from(request);
    const turn = this.#last.then(async () => {
      if (this.#latencyMs > 0) {
        await new Promise((resolve) => setTimeout(resolve, this.#latencyMs));
      }
      if (this.#closed) {
        throw new AttestationError("nsm-unavailable", "the simulator is closed");
      }
      return this.#answerNow(bytes);
    });
    this.#last = turn.catch(() => {});
    return turn;
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #answerNow(bytes: Uint8Array): Uint8Array {
    if (bytes.length > MAX_REQUEST_BYTES) {
      return encodeError("InputTooLarge");
    }
    const request = decodeRequest(bytes);
    return request ? this.#respond(request) : encodeError("InvalidArgument");
  }

  #respond(request: NsmRequest): Uint8Array {
    switch (request.name) {
      case "DescribeNSM":
        return encodeResponse("DescribeNSM", {
          version: [1, 0, 0],
          moduleId: this.moduleId,
          maxPcrs: PCR_COUNT,
          lockedPcrs: this.#pcrs.locked().map(([index]) => index),
        });
      case "GetRandom":
        return encodeResponse("GetRandom", Uint8Array.from(randomBytes(RANDOM_BYTES)));
      case "DescribePCR":
        return answerOrError("DescribePCR", this.#pcrs.describe(request.index));
      case "ExtendPCR":
        return answerOrError("ExtendPCR", this.#pcrs.extend(request.index, request.data));
      case "LockPCR":
        return answerOrError("LockPCR", this.#pcrs.lock(request.index));
      case "LockPCRs":
        return answerOrError("LockPCRs", this.#pcrs.lockBelow(request.range));
      default:
        return answerOrError("Attestation", this.#document(request));
    }
  }

  #document({ publicKey, userData, nonce }: AttestationRequest): Uint8Array | NsmErrorName {
    if ([publicKey, userData, nonce].some((field) => (field?.length ?? 0) > MAX_FIELD_BYTES)) {
      return "InputTooLarge";
    }
    const timestampMs = Math.floor(this.#now());
    const { leaf, cabundle } = this.#chain.at(timestampMs);
    const content = {
      moduleId: this.moduleId,
      timestampMs,
      pcrs: this.#pcrs.locked(),
      certificate: leaf.certificate,
      cabundle,
      publicKey,
      userData,
      nonce,
    };
    return signDocument(content, leaf.privateKey, this.#outerMap);
  }
}

function answerOrError<
  Name extends "DescribePCR" | "ExtendPCR" | "LockPCR" | "LockPCRs" | "Attestation",
>(name: Name, answer: Parameters<typeof encodeResponse<Name>>[1] | NsmErrorName): Uint8Array {
  return typeof answer === "string" ? encodeError(answer) : encodeResponse(name, answer);
}

/** PCR 0, 1, 2, 3 and 8 of an enclave that is not in debug mode; zero where they are not there. */
function imagePcrs(pcrs: NonNullable<SimulatorOptions["pcrs"]>): Map<number, Uint8Array> {
  const values = new Map(
    [0, 1, 2].map((index) => [index, extendedOnce(text(`sealrpc simulator PCR${index}`))]),
  );
  for (const index of [0, 1, 2, 3, 8] as const) {
    const given = pcrs[index];
    if (given !== undefined) {
      values.set(index, pcrValue(index, given));
    }
  }
  return values;
}

/** The registers at start: those of the image unless in debug mode, and PCR4 of the instance. */
function initialPcrs(
  image: ReadonlyMap<number, Uint8Array>,
  debug: boolean,
  moduleId: string,
): Map<number, Uint8Array> {
  const [, instance = ""] = MODULE_ID.exec(moduleId) ?? [];
  const shown = [...image].filter(([index]) => !debug || index === 3);
  return new Map([...shown, [4, extendedOnce(text(instance))]]);
}

function pcrValue(index: number, given: Uint8Array | string): Uint8Array {
  const hex = typeof given === "string" ? given : Buffer.from(given).toString("hex");
  if (!/^[0-9a-f]*$/i.test(hex) || hex.length !== 2 * PCR_BYTES) {
    throw new RangeError(`pcrs[${index}]: expected ${PCR_BYTES} bytes or their hex`);
  }
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}
