/** The options of an attested channel, checked when it is made: nothing is ignored. */
import { CallCredentials, ChannelCredentials } from "@grpc/grpc-js";
import type { ChannelOptions } from "@grpc/grpc-js";
import type { DescService } from "@bufbuild/protobuf";

import { defaultBackend } from "#default-backend";
import { Policy } from "../../attestation/policy.ts";
import type { PolicyOptions } from "../../attestation/policy.ts";
import type { Padding } from "../../channel/padding.ts";
import type { SuiteId } from "../../channel/suite.ts";
import type { CryptoBackend } from "../../crypto/backend.ts";
import type { IdempotencySource } from "./idempotency.ts";
import { insecureCredentials } from "./outer-channel.ts";

export interface AttestedChannelOptions {
  /** What the enclave must prove. Without it there is no channel. */
  readonly policy: Policy | PolicyOptions;
  /** Of the connection to the proxy: TLS, mTLS. Not call credentials. @default insecure */
  readonly credentials?: ChannelCredentials;
  /** How many sessions are kept open while the channel is in use. @default 1 */
  readonly sessions?: number;
  /** The suites that will do, the preferred one first. @default [1, 2] */
  readonly suites?: readonly SuiteId[];
  /** How records are padded. @default "padme" */
  readonly padding?: Padding;
  /** The longest message that is accepted; -1: any. @default 4 MiB */
  readonly maxReceiveMessageBytes?: number;
  /** The longest message that is sent; -1: any. @default -1 */
  readonly maxSendMessageBytes?: number;
  /**
   * What is kept of answers that are not whole or that nobody reads, over all calls. Beyond it, the
   * call that keeps most ends with RESOURCE_EXHAUSTED. @default 256 MiB
   */
  readonly maxBufferedBytes?: number;
  /** Credentials of every call; sealed, as all metadata. */
  readonly callCredentials?: CallCredentials;
  /**
   * Keys of calls' metadata that also travel outside the seal, for whoever stands before the
   * enclave: each outer stream carries the newest values that a call had. @default []
   */
  readonly allowOuterMetadata?: readonly string[];
  /** grpc-js's options of the connection to the proxy. */
  readonly channelOptions?: ChannelOptions;
  /**
   * Descriptors or grpc-js definitions of services: a call of a method that they declare free of
   * side effects, or idempotent, is sent again when it was lost. @default []
   */
  readonly services?: readonly (DescService | IdempotencySource)[];
  /**
   * Proves what this client is, to enclaves that ask for it: the NSM device of the enclave that the
   * client runs in (`openNsmDevice` of `sealrpc/nsm`). Without it such enclaves refuse the client.
   */
  readonly attester?: ClientAttester;
  /** Where the cryptography runs. @default the platform's */
  readonly backend?: CryptoBackend;
}

/** What a client needs of an attester (docs/protocol.md §12). */
export interface ClientAttester {
  attest(request: {
    readonly userData: Uint8Array;
    readonly nonce: Uint8Array;
  }): Promise<Uint8Array>;
}

/** The same, with every default in its place. */
export type CheckedOptions = Required<
  Omit<AttestedChannelOptions, "policy" | "callCredentials" | "attester">
> & {
  readonly policy: Policy;
  readonly attester: ClientAttester | undefined;
  readonly callCredentials: CallCredentials | undefined;
};

const MAX_SESSIONS = 64;
const DEFAULT_MAX_RECEIVE_BYTES = 4 * 1024 * 1024;
const DEFAULT_MAX_BUFFERED_BYTES = 256 * 1024 * 1024;

const KEYS: ReadonlySet<string> = new Set<keyof AttestedChannelOptions>([
  "policy",
  "credentials",
  "sessions",
  "suites",
  "padding",
  "maxReceiveMessageBytes",
  "maxSendMessageBytes",
  "maxBufferedBytes",
  "callCredentials",
  "allowOuterMetadata",
  "channelOptions",
  "services",
  "attester",
  "backend",
]);

/**
 * Checks options and fills in the defaults.
 *
 * @throws TypeError or RangeError that names the option.
 */
export function checkOptions(options: AttestedChannelOptions): CheckedOptions {
  if (typeof options !== "object" || options === null) {
    throw new TypeError("options: expected an object with a policy");
  }
  for (const key of Object.keys(options)) {
    if (!KEYS.has(key)) throw new TypeError(`${key}: no such option`);
  }
  const { sessions = 1, suites = [1, 2], padding = "padme", callCredentials } = options;
  requireInteger("sessions", sessions, 1, MAX_SESSIONS);
  if (!Array.isArray(suites) || suites.length === 0 || suites.some((id) => id !== 1 && id !== 2)) {
    throw new RangeError("suites: expected some of 1 and 2");
  }
  requirePadding(padding);
  const {
    maxReceiveMessageBytes = DEFAULT_MAX_RECEIVE_BYTES,
    maxSendMessageBytes = -1,
    maxBufferedBytes = DEFAULT_MAX_BUFFERED_BYTES,
    allowOuterMetadata = [],
    services = [],
  } = options;
  requireInteger("maxReceiveMessageBytes", maxReceiveMessageBytes, -1);
  requireInteger("maxSendMessageBytes", maxSendMessageBytes, -1);
  requireInteger("maxBufferedBytes", maxBufferedBytes, 1);
  const { credentials = insecureCredentials() } = options;
  if (!(credentials instanceof ChannelCredentials)) {
    throw new TypeError("credentials: expected grpc-js's channel credentials");
  }
  if (callCredentials !== undefined && !(callCredentials instanceof CallCredentials)) {
    throw new TypeError("callCredentials: expected grpc-js's call credentials");
  }
  return {
    policy: policyOf(options.policy),
    credentials,
    sessions,
    suites,
    padding,
    maxReceiveMessageBytes,
    maxSendMessageBytes,
    maxBufferedBytes,
    callCredentials,
    allowOuterMetadata: allowOuterMetadata.map(outerKey),
    channelOptions: options.channelOptions ?? {},
    services,
    attester: attesterOf(options.attester),
    backend: options.backend ?? defaultBackend,
  };
}

/**
 * The policy that `policy` is or describes.
 *
 * @throws TypeError or RangeError for anything that is none.
 */
export function policyOf(policy: Policy | PolicyOptions | undefined): Policy {
  if (policy === undefined) throw new TypeError("policy: required, and there is no default");
  return Policy.is(policy) ? policy : Policy.from(policy);
}

function attesterOf(attester: ClientAttester | undefined): ClientAttester | undefined {
  if (attester !== undefined && typeof attester?.attest !== "function") {
    throw new TypeError("attester: expected an object with the method attest");
  }
  return attester;
}

function requireInteger(name: string, value: unknown, least: number, most = Infinity): void {
  if (typeof value !== "number") throw new TypeError(`${name}: expected a number`);
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new RangeError(`${name}: expected a whole number from ${least} on, received ${value}`);
  }
}

function requirePadding(padding: unknown): void {
  if (padding === "none" || padding === "padme") return;
  if (typeof padding === "object" && padding !== null && "bucket" in padding) {
    requireInteger("padding.bucket", padding.bucket, 1);
    return;
  }
  throw new TypeError('padding: expected "padme", "none" or { bucket }');
}

/** What gRPC says of a stream itself is not a call's to set. */
const OUTER_KEY = /^(?!(?:grpc-|sealrpc-|te$|content-type$|user-agent$))[0-9a-z_.-]+$/;

function outerKey(key: string): string {
  const lower = typeof key === "string" ? key.toLowerCase() : "";
  if (!OUTER_KEY.test(lower)) {
    throw new TypeError(`allowOuterMetadata: ${key} is no key that a call may set outside`);
  }
  return lower;
}
